/**
 * `--daemon`: the same command is started again in a session of its own, without terminal, logging to a file. It says over a pipe when its
 * mount serves or why it does not; until then the parent waits, and then asks the mount itself.
 */
import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SYSTEM_CLOCK } from '../base/clock.js';
import { ERROR_KINDS, FilestoreError, kindOfOptionPath, messageOf, type ErrorKind } from '../base/errors.js';
import { inheritedDescriptor, isInherited } from '../base/inherited-device.js';
import { makeDirectory } from '../base/make-directory.js';
import { stayAwake } from './stay-awake.js';

type StartReport =
  | { readonly state: 'serving'; readonly warnings: readonly string[] }
  | { readonly state: 'failed'; readonly kind: ErrorKind; readonly message: string };

interface Started {
  readonly pid: number;
  /** What the mount does without from the first, e.g. Swift. */
  readonly warnings: readonly string[];
}

const ANSWER_TIMEOUT_MS = 10_000;

/** In the daemon: says how the start went, and lets go of the parent. Does nothing in the foreground. */
export function tellParent(report: StartReport): void {
  if (process.send === undefined || !process.connected) return;
  process.send(report, undefined, undefined, () => {
    if (process.connected) process.disconnect();
  });
}

/**
 * @param args the command line with `--daemon`
 * @returns once the mount answers
 * @throws FilestoreError the daemon's own reason
 */
export async function startInBackground(args: readonly string[], mountPoint: string, logFile: string): Promise<Started> {
  const logFd = openLog(logFile);
  const script = process.argv[1];
  if (script === undefined) throw new FilestoreError('internal', 'the path of this program is not known');
  const childArgs = args.filter((arg) => arg !== '--daemon' && arg !== '--daemon=true');
  const child = spawn(process.execPath, [...process.execArgv, script, ...childArgs], {
    detached: true,
    stdio: stdioFor(logFd, mountPoint),
  });
  closeSync(logFd);
  const stop = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const report = await new Promise<StartReport>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new FilestoreError('internal', `the daemon cannot be started: ${error.message}`, { cause: error })),
      );
      child.once('message', (message) => (isStartReport(message) ? resolve(message) : undefined));
      child.once('exit', (code, signal) =>
        reject(
          new FilestoreError('unavailable', `the daemon ended before its mount answered (${signal ?? `code ${code}`}); see ${logFile}`),
        ),
      );
    });
    if (report.state === 'failed') throw new FilestoreError(report.kind, report.message);
    await untilMountAnswers(mountPoint, logFile);
    return { pid: child.pid ?? 0, warnings: report.warnings };
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** The device that mount.fuse3 opened is handed on under its number. */
function stdioFor(logFd: number, mountPoint: string): StdioOptions {
  const stdio: (number | 'ignore' | 'ipc')[] = ['ignore', logFd, logFd];
  const device = inheritedDescriptor(mountPoint);
  if (device !== undefined) {
    while (stdio.length < device) stdio.push('ignore');
    stdio[device] = device;
  }
  return [...stdio, 'ipc'];
}

function openLog(logFile: string): number {
  try {
    makeDirectory(dirname(logFile), 0o700);
    return openSync(logFile, 'a', 0o600);
  } catch (error) {
    const remedy = 'it is named by log_file, or else lies in spool_dir';
    throw new FilestoreError(kindOfOptionPath(error), `log file ${logFile} cannot be written: ${messageOf(error)}; ${remedy}`, {
      cause: error,
    });
  }
}

function isStartReport(message: unknown): message is StartReport {
  if (typeof message !== 'object' || message === null || !('state' in message)) return false;
  if (message.state === 'serving') return 'warnings' in message;
  return message.state === 'failed' && 'kind' in message && ERROR_KINDS.includes(message.kind as ErrorKind) && 'message' in message;
}

/** Asked here and not by the daemon, which would wait for itself. */
async function untilMountAnswers(mountPoint: string, logFile: string): Promise<void> {
  if (isInherited(mountPoint)) return;
  const patience = new AbortController();
  const late = SYSTEM_CLOCK.sleep(ANSWER_TIMEOUT_MS, patience.signal).then(
    () => 'late' as const,
    () => 'answered' as const,
  );
  try {
    const outcome = await stayAwake(() => Promise.race([stat(mountPoint).then(() => 'answered' as const), late]));
    if (outcome === 'late') throw new FilestoreError('unavailable', `${mountPoint} is mounted and does not answer; see ${logFile}`);
  } finally {
    patience.abort();
  }
}
