/**
 * Descriptors of verified copies. One that is in use is pinned and shared; one that is not stays open for a while, so that opening a
 * popular blob again costs a single fstat, or none until its bytes are read.
 *
 *   verified ──► pinned ◄──open/close──► idle ──(more than the pool holds, or forgotten)──► closed
 */
import { openFileLimit } from '../base/open-file-limit.js';
import type { CacheKey, HeldFile } from './cache.js';
import type { Fingerprint } from './fingerprint.js';
import { VerifiedFile } from './verified-file.js';

/** Descriptors that stay open although nobody uses them: a few thousand hot blobs, and most of the process's limit for its other work. */
const IDLE_MAX = 4096;
const SHARE_OF_LIMIT = 4;
/** Kept from readers: a read that is refused is tried again by whoever reads, a document that is refused is lost (Odoo up to 18). */
const KEPT_FOR_WRITERS_MAX = 4096;
const KEPT_FOR_WRITERS_SHARE = 3 / 8;

/** @param limit of the process's open files */
export function mostIdleFiles(limit: number): number {
  return Math.min(IDLE_MAX, Math.floor(limit / SHARE_OF_LIMIT));
}

/** Distinct files that may be open for reading at one time; idle ones give way to them. @param limit of the process's open files */
export function mostReadFiles(limit: number): number {
  return limit - Math.min(KEPT_FOR_WRITERS_MAX, Math.ceil(limit * KEPT_FOR_WRITERS_SHARE));
}

interface Held {
  readonly key: CacheKey;
  readonly file: VerifiedFile;
  /** On no path: ours alone, gone with its last close. */
  readonly isAnonymous: boolean;
  pins: number;
  /** Its disk did not give its bytes. */
  isRejected: boolean;
}

export class HeldFiles {
  readonly #held = new Map<CacheKey, Held>();
  /** In the order of their last use, oldest first. */
  readonly #idle = new Map<CacheKey, Held>();
  readonly #onUnpinned: (key: CacheKey) => void;
  readonly #onRejected: (key: CacheKey) => void;
  readonly #idleMax: number;
  readonly #readMax: number;
  /** Copies that somebody has pinned, also those that are handed out no more. */
  #pinned = 0;

  /**
   * @param onUnpinned called when a copy was closed by its last user, for an eviction that waited for it
   * @param onRejected called when the disk did not give the bytes of a copy that is still under its name
   * @param limit of the process's open files, for tests
   */
  constructor(onUnpinned: (key: CacheKey) => void, onRejected: (key: CacheKey) => void, limit = openFileLimit()) {
    this.#onUnpinned = onUnpinned;
    this.#onRejected = onRejected;
    this.#idleMax = mostIdleFiles(limit);
    this.#readMax = mostReadFiles(limit);
  }

  /** Call before another file is opened for a reader: idle ones make room. @returns false when there is none */
  makeRoom(): boolean {
    for (const key of this.#idle.keys()) {
      if (this.#pinned + this.#idle.size < this.#readMax) break;
      this.drop(key);
    }
    return this.#pinned < this.#readMax;
  }

  isPinned(key: CacheKey): boolean {
    return (this.#held.get(key)?.pins ?? 0) > 0;
  }

  /** @returns undefined when none is held; 'changed' when the file behind it is not what was verified (it is held no more then) */
  pin(key: CacheKey): HeldFile | undefined | 'changed' {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    if (held.pins === 0) {
      if (!isAsVerified(held)) {
        this.drop(key);
        return 'changed';
      }
      this.#idle.delete(key);
    }
    return this.#handOut(held);
  }

  /** Pins without a look at the file: its user asks `isIntact` before each read. */
  pinUnseen(key: CacheKey): HeldFile | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    if (held.pins === 0) this.#idle.delete(key);
    return this.#handOut(held);
  }

  /** Takes over a descriptor whose bytes were verified just now, and pins it. */
  add(key: CacheKey, fd: number, verified: Fingerprint, isAnonymous = false): HeldFile {
    this.drop(key);
    const held: Held = { key, file: new VerifiedFile(key, fd, verified), isAnonymous, pins: 0, isRejected: false };
    this.#held.set(key, held);
    return this.#handOut(held);
  }

  /** Hands it out no more; its present users go on. */
  drop(key: CacheKey): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.#idle.delete(key);
    if (held.pins === 0) held.file.close();
  }

  closeIdle(): void {
    for (const key of [...this.#idle.keys()]) this.drop(key);
  }

  #handOut(held: Held): HeldFile {
    if (held.pins++ === 0) this.#pinned++;
    return new Pin(held, this);
  }

  /** For {@link Pin}: its user is done. */
  unpin(held: Held): void {
    if (--held.pins > 0) return;
    this.#pinned--;
    this.#rest(held);
  }

  /** For {@link Pin}: whether the file is what was verified; otherwise it is handed out no more. */
  check(held: Held): boolean {
    if (isAsVerified(held)) return true;
    if (this.#held.get(held.key) === held) this.drop(held.key);
    return false;
  }

  /** For {@link Pin}: its disk did not give the bytes. */
  reject(held: Held): void {
    held.isRejected = true;
    if (this.#held.get(held.key) !== held) return;
    this.drop(held.key);
    if (!held.isAnonymous) this.#onRejected(held.key);
  }

  #rest(held: Held): void {
    if (this.#held.get(held.key) !== held) held.file.close();
    else if (held.isAnonymous) this.drop(held.key);
    else {
      this.#idle.set(held.key, held);
      const oldest = this.#idle.size > this.#idleMax ? this.#idle.keys().next().value : undefined;
      if (oldest !== undefined) this.drop(oldest);
    }
    this.#onUnpinned(held.key);
  }
}

/** One user's hold on a copy. */
class Pin implements HeldFile {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly #held: Held;
  readonly #files: HeldFiles;
  #isOpen = true;

  constructor(held: Held, files: HeldFiles) {
    this.fd = held.file.fd;
    this.sizeBytes = held.file.sizeBytes;
    this.#held = held;
    this.#files = files;
  }

  isIntact(): boolean {
    return this.#files.check(this.#held);
  }

  async isIntactByHash(): Promise<boolean> {
    return !this.#held.isRejected && (await this.#held.file.isIntactByHash());
  }

  reject(): void {
    this.#files.reject(this.#held);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#files.unpin(this.#held);
  }
}

function isAsVerified({ file, isAnonymous, isRejected }: Held): boolean {
  return !isRejected && (isAnonymous || file.isIntact());
}
