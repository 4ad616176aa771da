/**
 * The real program over a real mount, in the foreground as a child: `startMount({ swift, database: 'prod' })`. Its log is guarded (an
 * unannounced WARN or ERROR fails `stop`), and no test file leaves its process or mount behind.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { controlDirectory, thisHost } from '../../src/config/host.js';
import { requestStatus } from '../../src/control/control-client.js';
import { socketPath } from '../../src/control/socket-path.js';
import type { MountStatus } from '../../src/filestore/mount-status.js';
import { atExit } from './at-exit.js';
import { LogGuard } from './log-guard.js';
import { eventually, run } from './processes.js';
import type { Finished } from './processes.js';
import { cliPath } from './project.js';
import { removeDir, tempDir } from './temp-dir.js';

export interface MountSettings {
  /** A Swift to log in to; or say all of it in `env`. */
  readonly swift?: { readonly authUrl: string; readonly user: string; readonly key: string };
  readonly env?: Readonly<Record<string, string>>;
  /** Without it the mount is the whole filestore directory. */
  readonly database?: string;
  readonly containerPrefix?: string;
  readonly origin?: string;
  /** Further flags. */
  readonly args?: readonly string[];
  /** In a session of its own, as a service is: the kernel shares the processors out among sessions (sched(7), autogroup). A killed test file leaves it. */
  readonly ownSession?: boolean;
  /** Directories to use again; default new ones. */
  readonly dirs?: { readonly mountPoint?: string; readonly spool?: string; readonly cache?: string };
}

/** The program ended instead of serving. */
export class StartRefused extends Error {
  readonly code: number | null;
  readonly stderr: string;

  constructor(code: number | null, stderr: string) {
    super(`odoo-swiftfs mount ended with exit code ${String(code)}:\n${stderr}`);
    this.code = code;
    this.stderr = stderr;
  }
}

export interface Mount {
  readonly path: string;
  readonly spoolDir: string;
  readonly cacheDir: string;
  /** Of the daemon that runs now, or ran last. */
  readonly pid: number;
  readonly log: LogGuard;
  /** A path below the mount. */
  file(...names: string[]): string;
  status(): Promise<MountStatus>;
  /** Resolves when everything acknowledged is in Swift. @param everyMs how often that is asked, which costs the daemon a little */
  drained(limitMs?: number, everyMs?: number): Promise<void>;
  /** SIGKILL: the mount stays, dead, as after a crash. */
  kill9(): Promise<void>;
  /** SIGTERM and the orderly end, then a start with the same directories and flags (or others). Also after {@link kill9}. */
  restart(changed?: Partial<MountSettings>): Promise<void>;
  /** SIGTERM; the directories stay. @returns the exit code */
  terminate(limitMs?: number): Promise<number | null>;
  /** The orderly end: exit code 0, mount gone, log quiet, directories removed. */
  stop(): Promise<void>;
}

/** Node's own start, the log-in and a loaded machine; a well one takes a second. */
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;

/** The kernel ends a connection by io_uring behind its process: what is asked meanwhile is aborted. */
async function connectionDown(mountPoint: string): Promise<void> {
  const isGoingDown = (error: NodeJS.ErrnoException): boolean => error.code === 'ECONNABORTED' || error.code === 'ECANCELED';
  while (await fs.promises.statfs(mountPoint).then(() => false, isGoingDown));
}

/** The environment without what would configure the program by accident. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name, value]) => value !== undefined && !/^(OS_|ST_|ODOO_SWIFTFS_)/.test(name));
  return { ...(Object.fromEntries(kept) as Record<string, string>), ...extra };
}

/** Runs the program to its end, e.g. `runCli(['status', '--json'])`. */
export function runCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return run(process.execPath, [cliPath, ...args], { env, timeoutMs: 120_000 });
}

export function isMounted(mountPoint: string): boolean {
  return fs
    .readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === mountPoint);
}

class RunningDaemon {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<number | null>;
  readonly #lines: string[] = [];

  constructor(args: readonly string[], env: Record<string, string>, detached: boolean, log: LogGuard) {
    this.child = spawn(process.execPath, [cliPath, ...args], { env, detached, stdio: ['ignore', 'ignore', 'pipe'] });
    this.pid = this.child.pid ?? 0;
    const { stderr } = this.child;
    if (stderr !== null) {
      createInterface({ input: stderr }).on('line', (line) => {
        this.#lines.push(line);
        log.push(line);
      });
    }
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', resolve);
    });
  }

  get stderr(): string {
    return this.#lines.join('\n');
  }

  /** Resolves when this very process says that it serves. */
  async serving(): Promise<void> {
    const refused = this.ended.then((code) => {
      throw new StartRefused(code, this.stderr);
    });
    refused.catch(() => undefined);
    await Promise.race([
      refused,
      eventually('the mount serves', () => this.#lines.some((line) => /^INFO serving\b/.test(line)), START_LIMIT_MS),
    ]).catch((error: unknown) => {
      this.child.kill('SIGKILL');
      if (error instanceof StartRefused) throw error;
      throw new Error(`${String(error)}; its log:\n${this.stderr}`);
    });
  }
}

function flagsOf(settings: MountSettings, mountPoint: string, spoolDir: string, cacheDir: string): string[] {
  const flags = ['mount', mountPoint, '--spool-dir', spoolDir, '--cache-dir', cacheDir];
  if (settings.database !== undefined) flags.push('--database', settings.database);
  if (settings.containerPrefix !== undefined) flags.push('--container-prefix', settings.containerPrefix);
  if (settings.origin !== undefined) flags.push('--origin', settings.origin);
  return [...flags, ...(settings.args ?? [])];
}

function environmentOf({ swift, env }: MountSettings): Record<string, string> {
  const login: Record<string, string> = swift === undefined ? {} : { ST_AUTH: swift.authUrl, ST_USER: swift.user, ST_KEY: swift.key };
  return cleanEnvironment({ ...login, ...env });
}

/** @throws StartRefused when the program ends instead of serving */
export async function startMount(initial: MountSettings): Promise<Mount> {
  let settings = initial;
  const dir = tempDir('mount');
  const makeDir = (given: string | undefined, name: string): string => {
    const directory = given ?? path.join(dir, name);
    fs.mkdirSync(directory, { recursive: true });
    return directory;
  };
  const mountPoint = initial.dirs?.mountPoint ?? makeDir(undefined, 'filestore');
  const spoolDir = initial.dirs?.spool ?? makeDir(undefined, 'spool');
  const cacheDir = initial.dirs?.cache ?? makeDir(undefined, 'cache');
  const log = new LogGuard();

  const start = (): RunningDaemon =>
    new RunningDaemon(flagsOf(settings, mountPoint, spoolDir, cacheDir), environmentOf(settings), settings.ownSession ?? false, log);
  let daemon = start();
  const cleanNow = (): void => {
    if (daemon.child.exitCode === null && daemon.child.signalCode === null) daemon.child.kill('SIGKILL');
    if (isMounted(mountPoint)) spawnSync('umount', ['-l', mountPoint], { stdio: 'ignore', timeout: 10_000 });
  };
  const takeBack = atExit(cleanNow);
  const forget = (): void => {
    takeBack();
    cleanNow();
    removeDir(dir);
  };
  try {
    await daemon.serving();
  } catch (error) {
    forget();
    throw error;
  }

  const terminate = async (limitMs = STOP_LIMIT_MS): Promise<number | null> => {
    daemon.child.kill('SIGTERM');
    let code: number | null | undefined;
    void daemon.ended.then((value) => {
      code = value;
    });
    await eventually('the daemon ends after SIGTERM', () => code !== undefined, limitMs).catch((error: unknown) => {
      daemon.child.kill('SIGKILL');
      throw new Error(`${String(error)}; the end of its log:\n${log.lines.slice(-20).join('\n')}`);
    });
    return code ?? null;
  };
  const status = (): Promise<MountStatus> => requestStatus(socketPath(controlDirectory(thisHost()), mountPoint));
  const isRunning = (): boolean => daemon.child.exitCode === null && daemon.child.signalCode === null;
  return {
    path: mountPoint,
    spoolDir,
    cacheDir,
    get pid() {
      return daemon.pid;
    },
    log,
    file: (...names) => path.join(mountPoint, ...names),
    status,
    drained: async (limitMs, everyMs) => {
      await eventually('everything written is in Swift', async () => (await status()).safeToLoseThisMachine, limitMs, everyMs);
    },
    kill9: async () => {
      log.expect(/^WARN dead-mount-cleared/);
      daemon.child.kill('SIGKILL');
      await daemon.ended;
      await connectionDown(mountPoint);
    },
    restart: async (changed) => {
      if (isRunning())
        assert.equal(await terminate(), 0, `exit code after SIGTERM; the end of the log:\n${log.lines.slice(-20).join('\n')}`);
      settings = { ...settings, ...changed };
      daemon = start();
      await daemon.serving();
    },
    terminate,
    stop: async () => {
      try {
        if (isRunning())
          assert.equal(await terminate(), 0, `exit code after SIGTERM; the end of the log:\n${log.lines.slice(-20).join('\n')}`);
        if (daemon.child.signalCode === null) assert.equal(isMounted(mountPoint), false, 'the mount is gone after the end');
        log.assertQuiet();
      } finally {
        forget();
      }
    },
  };
}
