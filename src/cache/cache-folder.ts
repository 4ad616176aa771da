/**
 * The cache's folder on the disk: how a copy gets its name, and how it loses it. What goes wrong here costs speed and not correctness, so it
 * is told once a minute and thrown only where the caller has another way.
 */
import { closeSync, constants, mkdirSync, openSync, renameSync, unlink, unlinkSync } from 'node:fs';
import { copyFile, readdir, rename, unlink as unlinkLater } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.js';
import { kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { CacheLayout } from './cache-layout.js';
import { DIRECTORY_MODE } from './cache-layout.js';
import type { CacheKey } from './cache.js';
import { fingerprintAt, fingerprintOf, isSameFile, type Fingerprint } from './fingerprint.js';

const COMPLAINT_INTERVAL_MS = 60_000;
/** Freeing the blocks of a larger file takes long enough to be left to the thread pool. */
const LARGE_FILE_BYTES = 16 * 1024 * 1024;
const QUARANTINE_MAX_FILES = 32;

interface FolderOptions {
  readonly layout: CacheLayout;
  /** Whether the folder is ours to write; may begin at any time, and whoever answers "no" has told why. */
  readonly mayWrite: () => boolean;
  readonly log: Log;
  readonly clock: Clock;
}

export class CacheFolder {
  readonly #layout: CacheLayout;
  readonly #mayWrite: () => boolean;
  readonly #log: Log;
  readonly #clock: Clock;
  #opening: Promise<void> | undefined;
  #isOpen = false;
  /** Called when the folder becomes ours in the midst of this life. */
  onLateOpen: (() => void) | undefined;
  #temporaryNumber = 0;
  #complainedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ layout, mayWrite, log, clock }: FolderOptions) {
    this.#layout = layout;
    this.#mayWrite = mayWrite;
    this.#log = log;
    this.#clock = clock;
  }

  /** Makes the folders and removes what an earlier life left half done, when the folder is ours. Complains where that cannot be. */
  async open(): Promise<void> {
    if (!this.#mayWrite()) return;
    try {
      this.make();
      for (const name of await readdir(this.#layout.temporary)) await unlinkLater(join(this.#layout.temporary, name));
    } catch (error) {
      this.complain(error);
    }
    this.#isOpen = true;
    this.onLateOpen?.();
  }

  /** Whether anything may be changed; until it is, copies are read all the same: they may be another daemon's. */
  isWritable(): boolean {
    if (!this.#isOpen && this.#mayWrite()) this.#opening ??= this.open();
    return this.#isOpen;
  }

  /** Also after somebody removed them while we run. @throws what the disk says */
  make(): void {
    this.#layout.make();
  }

  /** The cache's disk cannot be used: said once a minute. */
  complain(error: unknown): void {
    if (!this.#mayWrite()) return this.#log.debug('cache.unwritable', { directory: this.#layout.root, reason: messageOf(error) });
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#complainedAtMs < COMPLAINT_INTERVAL_MS) return;
    this.#complainedAtMs = nowMs;
    this.#log.warn('cache.unwritable', {
      directory: this.#layout.root,
      reason: messageOf(error),
      remedy: 'blobs are read from Swift meanwhile; make room on the disk of cache_dir, or make it writable again',
    });
  }

  /** A path that nobody has, for a file that gets its name later. */
  temporaryPath(): string {
    return join(this.#layout.temporary, String(++this.#temporaryNumber));
  }

  /** @returns a descriptor for reading. @throws what the disk says */
  openCopy(key: CacheKey): number {
    return openSync(this.#layout.pathOf(key), constants.O_RDONLY | constants.O_NOFOLLOW);
  }

  /** Gives a file of the same file system its name. Of 256 folders nearly every one is there already. @throws what the disk says */
  moveIn(file: string, key: CacheKey): void {
    const path = this.#layout.pathOf(key);
    try {
      renameSync(file, path);
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw error;
      mkdirSync(this.#layout.directoryOf(key), { recursive: true, mode: DIRECTORY_MODE });
      renameSync(file, path);
    }
  }

  /**
   * Gives a file of any file system its name here.
   * @param verified what it looked like when its bytes were hashed; looked at on both sides of the move, which changes the ctime
   * @throws what the disk says
   */
  async adopt(file: string, key: CacheKey, verified: Fingerprint | undefined): Promise<{ fingerprint: Fingerprint; isVerified: boolean }> {
    const isUnchanged = (): boolean => verified !== undefined && isSameFile(verified, fingerprintAt(file));
    let isVerified = isUnchanged();
    let isCopy = false;
    try {
      this.moveIn(file, key);
    } catch (error) {
      if (kindOf(error) !== 'cross-device') throw error;
      isCopy = true;
      const temporary = this.temporaryPath();
      await copyFile(file, temporary);
      isVerified &&= isUnchanged();
      await rename(temporary, this.#layout.pathOf(key));
      await unlinkLater(file);
    }
    const fd = this.openCopy(key);
    try {
      const fingerprint = fingerprintOf(fd);
      if (!isCopy) isVerified &&= verified !== undefined && isSameFile(fingerprint, { ...verified, ctimeMs: fingerprint.ctimeMs });
      return { fingerprint, isVerified };
    } finally {
      closeSync(fd);
    }
  }

  /**
   * The name goes now, so that a fill right after is not taken away with it; the blocks of a large file go later.
   * @param isOpen its blocks stay as long as somebody reads it
   */
  remove(key: CacheKey, sizeBytes: number, isOpen: boolean): void {
    if (!this.isWritable()) return;
    const path = this.#layout.pathOf(key);
    try {
      if (isOpen || sizeBytes < LARGE_FILE_BYTES) return unlinkSync(path);
      const doomed = this.temporaryPath();
      renameSync(path, doomed);
      unlink(doomed, () => undefined);
    } catch (error) {
      if (kindOf(error) !== 'not-found') this.complain(error);
    }
  }

  /** A copy that its disk does not give. */
  tellUnreadable(key: CacheKey, error: unknown): void {
    this.#log.warn('cache.unreadable', {
      key,
      reason: messageOf(error),
      remedy: 'it is filled again; test the disk of cache_dir',
    });
  }

  /** Sets a copy aside for a human, of those not more than the last few. One that is not ours stays where it is, and is not read again. */
  quarantine(key: CacheKey, reason: string): void {
    if (!this.isWritable()) {
      this.#log.warn('cache.quarantined', {
        key,
        reason,
        kept: this.#layout.pathOf(key),
        remedy: 'cache_dir cannot be written: it is left there',
      });
      return;
    }
    const kept = join(this.#layout.quarantine, `${key}.${this.#clock.nowMs()}`);
    this.#log.warn('cache.quarantined', {
      key,
      reason,
      kept,
      remedy: 'it is filled again; if this happens often, test the disk of cache_dir',
    });
    try {
      renameSync(this.#layout.pathOf(key), kept);
    } catch (error) {
      this.complain(error);
    }
    this.#trimQuarantine().catch((error: unknown) => this.complain(error));
  }

  async #trimQuarantine(): Promise<void> {
    const stamp = (name: string): number => Number(name.slice(name.lastIndexOf('.') + 1));
    const names = (await readdir(this.#layout.quarantine)).sort((a, b) => stamp(b) - stamp(a));
    for (const name of names.slice(QUARANTINE_MAX_FILES)) await unlinkLater(join(this.#layout.quarantine, name));
  }
}
