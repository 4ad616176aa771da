/** `mount MOUNTPOINT`: serves in the foreground, or starts a daemon that does and returns when its mount answers. */
import { SYSTEM_CLOCK } from '../../base/clock.js';
import { kindOf, messageOf } from '../../base/errors.js';
import { createLog, type Log } from '../../base/log.js';
import { thisHost } from '../../config/host.js';
import { resolveSettings } from '../../config/resolve.js';
import { packageVersion } from '../../config/version.js';
import { SignalInbox } from '../../daemon/signal-inbox.js';
import type { MountStatus } from '../../filestore/mount-status.js';
import { startInBackground, tellParent } from '../background.js';
import { resolveInputOf, type ParsedFlags } from '../flags.js';
import { mountPointPath } from '../mount-point-path.js';
import { print, warn } from '../output.js';

/** @param args the command line, which a daemon is started with again */
export async function mountCommand(parsed: ParsedFlags, args: readonly string[]): Promise<void> {
  const host = thisHost();
  const { settings } = resolveSettings(resolveInputOf(parsed), host);
  const mountPoint = mountPointPath(String(parsed['mountpoint']));
  if (parsed['daemon'] === true) {
    // The log, which is opened first, makes the directory that it lies in, which may be one of a filestore.
    const { assertOutside } = await import('../../daemon/outside-mount-point.js');
    await assertOutside(mountPoint, settings, true);
    const { pid, warnings } = await startInBackground(args, mountPoint, settings.logFile ?? `${settings.spoolDirectory}/daemon.log`);
    print(`${mountPoint}: mounted, pid ${pid}`);
    // It serves what it can, and yet an option that was just mistyped should not be found out days later.
    for (const warning of warnings) warn(`${mountPoint} ${warning}`);
    return;
  }
  const isDaemon = process.send !== undefined;
  const log = createLog(settings.logLevel, isDaemon ? writeDatedLine : writeLine);
  // A full disk under the log is no reason to stop serving: the line is lost.
  process.stderr.on('error', () => undefined);
  const inbox = new SignalInbox(isDaemon ? ['SIGHUP'] : []);
  try {
    const [{ startMount }, { partMakers }, { serveUntilEnded }] = await Promise.all([
      import('../../daemon/start-mount.js'),
      import('../../daemon/part-makers.js'),
      import('../../daemon/serve.js'),
    ]);
    const mount = await startMount({ settings, mountPoint, version: packageVersion(), host, clock: SYSTEM_CLOCK, log }, partMakers);
    const ended = serveUntilEnded(mount, log, inbox);
    if (isDaemon) process.chdir('/');
    tellParent({ state: 'serving', warnings: warningsOf(mount.status()) });
    await ended;
  } catch (error) {
    reportFailure(error, log, isDaemon);
    throw error;
  }
}

/** These warnings are what a state above is about. */
const SAID_BY_THE_STATE = /^(mount\.degraded|swift\.away|cache\.|login-failed) /;

/** Of the start: what the mount does without, and what it warned of. */
function warningsOf({ databases, cache, recentErrors }: MountStatus): readonly string[] {
  const degraded = databases.find(({ state }) => state !== 'serving')?.reason;
  return [
    ...(degraded === undefined ? [] : [`is degraded (see odoo-swiftfs status): ${degraded}`]),
    ...(cache.problem === undefined ? [] : [`serves without a cache: ${cache.problem}`]),
    ...recentErrors.filter(({ message }) => !SAID_BY_THE_STATE.test(message)).map(({ message }) => `warns: ${message}`),
  ];
}

function writeLine(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A file has nobody who adds the time, as journald does. */
function writeDatedLine(line: string): void {
  writeLine(`${new Date().toISOString()} ${line}`);
}

/** The parent prints the reason; the daemon's own log should have it too. */
function reportFailure(error: unknown, log: Log, isDaemon: boolean): void {
  if (!isDaemon) return;
  log.error('start-failed', { kind: kindOf(error), reason: messageOf(error) });
  tellParent({ state: 'failed', kind: kindOf(error), message: messageOf(error) });
}
