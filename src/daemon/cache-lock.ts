/**
 * The lock of `cache_dir`. What only its disk says (read-only, full, broken, not ours to write) must not refuse a start, since the cache costs
 * speed and nothing else: then it writes nothing until the lock can be had. What is a slip in the options is refused all the same.
 */
import { accessSync, constants, statSync } from 'node:fs';
import type { Clock } from '../base/clock.js';
import { sizeOfDisk } from '../base/disk-size.js';
import { FilestoreError, messageOf, type ErrorKind } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { lockDirectory, type DirectoryLock } from './directory-lock.js';

/** Between two tries to have it after all. */
const RETRY_MS = 10_000;
const MEANING = 'files are read from Swift each time';
const REMEDY = 'make it writable, or make room on its disk; that is noticed within 10 s';

/** Another daemon is there, or a path that can never be one. */
const REFUSED: readonly ErrorKind[] = ['busy', 'bad-config'];
/** Right for a directory that is there; where it is missing the path was mistyped. */
const REFUSED_IF_MISSING: readonly ErrorKind[] = ['forbidden', 'not-permitted'];

export class CacheLock {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #lock: DirectoryLock | undefined;
  /** Why it is not held. */
  #reason = '';
  #triedAtMs = 0;
  #isReleased = false;

  /** @throws FilestoreError what {@link lockDirectory} throws, where it is no matter of the disk */
  constructor(directory: string, clock: Clock, log: Log) {
    this.#directory = directory;
    this.#clock = clock;
    this.#log = log;
    const error = this.#try();
    if (error === undefined) return;
    if (REFUSED.includes(error.kind) || (REFUSED_IF_MISSING.includes(error.kind) && !isDirectory(directory))) throw error;
    log.warn('cache.not-used', { directory, reason: this.#reason, meaning: MEANING, remedy: REMEDY });
  }

  /** Whether the cache may write; tried again now and then. */
  isHeld(): boolean {
    if (this.#lock !== undefined) return true;
    if (this.#isReleased || this.#clock.nowMs() - this.#triedAtMs < RETRY_MS || this.#try() !== undefined) return false;
    this.#log.info('cache.used-again', { directory: this.#directory });
    return true;
  }

  /** For `status`: why the cache keeps nothing, with the remedy. */
  get problem(): string | undefined {
    const reason = this.isHeld() ? whyUnwritable(this.#directory) : this.#reason;
    return reason === undefined ? undefined : `${reason}; ${MEANING}; ${REMEDY}`;
  }

  /** Idempotent. On a disk that turned read-only the lock stays, and the next start sees that nobody holds it. */
  release(): void {
    this.#isReleased = true;
    try {
      this.#lock?.release();
    } catch (error) {
      this.#log.debug('cache.lock-left', { directory: this.#directory, reason: messageOf(error) });
    }
    this.#lock = undefined;
  }

  /** @returns why not */
  #try(): FilestoreError | undefined {
    this.#triedAtMs = this.#clock.nowMs();
    try {
      this.#lock = lockDirectory(this.#directory, 'cache_dir');
      return undefined;
    } catch (error) {
      if (!(error instanceof FilestoreError)) throw error;
      this.#reason = error.message;
      return error;
    }
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function whyUnwritable(directory: string): string | undefined {
  try {
    accessSync(directory, constants.W_OK);
    const { freeBytes, freeNames } = sizeOfDisk(directory);
    if (freeBytes > 0 && freeNames > 0) return undefined;
    return `the disk of cache_dir ${directory} has no ${freeBytes > 0 ? 'inode (df -i)' : 'room'} left`;
  } catch (error) {
    return `cache_dir ${directory} cannot be used: ${messageOf(error)}`;
  }
}
