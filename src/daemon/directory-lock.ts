/**
 * One daemon for a spool or cache directory: `DIRECTORY/lock` names its holder by pid, the process's start time and the boot, so that a
 * lock of a killed daemon is known for dead even when its pid has been given out again.
 *
 * INVARIANT: the lock appears with its content in one step (link(2) of a finished file), so a reader never sees half of it. On a full disk it
 * is a symbolic link whose target is the content, which takes no block: what is in the spool must be served and published all the more.
 * Behind it stands a lock of the kernel's (kernel-lock.ts), for a lock file that was removed, or whose pid is that of another container.
 */
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { FilestoreError, kindOf, kindOfOptionPath, messageOf, type ErrorKind } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { lockInKernel, type KernelLock } from './kernel-lock.js';

export interface DirectoryLock {
  /** Idempotent. */
  release(): void;
}

interface Holder {
  readonly pid: number;
  readonly identity: string;
}

const ATTEMPTS = 8;
let serial = 0;

/**
 * Makes the directory (0700) when it is not there, and takes its lock.
 * @param option for the message: which option names the directory
 * @throws FilestoreError busy when another daemon lives there; bad-config where no directory can be made (below a file, in /proc); not-permitted, no-space, read-only for what the disk says
 */
export function lockDirectory(directory: string, option: string): DirectoryLock {
  const file = `${directory}/lock`;
  const own = identityOf(process.pid) ?? 'unknown';
  const content = `${process.pid} ${own}\n`;
  try {
    makeDirectory(directory, 0o700);
  } catch (error) {
    throw cannotBeUsed(directory, option, kindOfOptionPath(error), error);
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Looked at first, since a disk that cannot be written says so before it says that the name is there.
      const found = readOrUndefined(file);
      const holder = found === undefined ? undefined : parseHolder(found);
      if (holder !== undefined && identityOf(holder.pid) === holder.identity) {
        throw new FilestoreError(
          'busy',
          `${option} ${directory} is used by another odoo-swiftfs (pid ${holder.pid}); stop it, or give this mount a ${option} of its own`,
        );
      }
      if (found !== undefined) removeDead(file, found);
      if (tryLink(directory, file, content)) return lockHeld(file, content, kernelLock(directory, option, file));
    }
  } catch (error) {
    if (error instanceof FilestoreError) throw error;
    throw cannotBeUsed(directory, option, kindOf(error), error);
  }
  throw new FilestoreError('busy', `${option} ${directory}: others keep taking its lock; try again`);
}

function cannotBeUsed(directory: string, option: string, kind: ErrorKind, cause: unknown): FilestoreError {
  const remedy = kind === 'no-space' ? '; its disk is full (df, df -i)' : kind === 'bad-config' ? '; name another directory' : '';
  return new FilestoreError(kind, `${option} ${directory} cannot be used: ${messageOf(cause)}${remedy}`, { cause });
}

/** @param file the lock file that was made just now */
function kernelLock(directory: string, option: string, file: string): KernelLock | undefined {
  const lock = lockInKernel(directory);
  if (lock !== 'held') return lock;
  unlinkSync(file);
  const who = 'another odoo-swiftfs, whose lock file was removed or which runs in another container';
  throw new FilestoreError('busy', `${option} ${directory} is used by ${who}; stop it, or give this mount a ${option} of its own`);
}

function lockHeld(file: string, content: string, inKernel: KernelLock | undefined): DirectoryLock {
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      try {
        if (readOrUndefined(file) === content) unlinkSync(file);
      } finally {
        inKernel?.release();
      }
    },
  };
}

function tryLink(directory: string, file: string, content: string): boolean {
  const finished = `${directory}/lock.${process.pid}.${serial++}`;
  try {
    writeFileSync(finished, content, { mode: 0o600 });
    linkSync(finished, file);
    return true;
  } catch (error) {
    if (kindOf(error) === 'no-space') return trySymbolicLink(file, content, error);
    if (kindOf(error) === 'exists') return false;
    throw error;
  } finally {
    rmSync(finished, { force: true });
  }
}

/** @param full what a file was refused with: the message of a link has its target in it, line break and all */
function trySymbolicLink(file: string, content: string, full: unknown): boolean {
  try {
    symlinkSync(content, file);
    return true;
  } catch (error) {
    if (kindOf(error) === 'exists') return false;
    throw kindOf(error) === 'no-space' ? full : error;
  }
}

/** Two starts may find the same dead lock: who renamed away a lock that is no longer that one puts it back. */
function removeDead(file: string, dead: string): void {
  const aside = `${file}.dead.${process.pid}.${serial++}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (kindOf(error) === 'not-found') return;
    throw error;
  }
  try {
    if (readLock(aside) !== dead) linkSync(aside, file);
  } finally {
    unlinkSync(aside);
  }
}

function readLock(file: string): string {
  try {
    return readlinkSync(file);
  } catch (error) {
    // A file, as it is where there is room.
    if (kindOf(error) === 'invalid-argument') return readFileSync(file, 'utf8');
    throw error;
  }
}

function readOrUndefined(file: string): string | undefined {
  try {
    return readLock(file);
  } catch (error) {
    if (kindOf(error) === 'not-found') return undefined;
    throw error;
  }
}

function parseHolder(content: string): Holder | undefined {
  const match = /^(\d+) (\S+)\n$/.exec(content);
  return match === null ? undefined : { pid: Number(match[1]), identity: match[2] ?? '' };
}

/** Boot and start time of a process; undefined when it is not running. Source: proc(5), /proc/PID/stat fields 3 and 22. */
export function identityOf(pid: number): string | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  const boot = readOrUndefined('/proc/sys/kernel/random/boot_id');
  if (stat === undefined || boot === undefined) return undefined;
  // The second field is the command's name in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const isGone = fields[0] === 'Z' || fields[0] === 'X';
  return isGone ? undefined : `${boot.trim()}:${fields[19] ?? ''}`;
}
