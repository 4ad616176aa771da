/**
 * Keeps the cache within its budget, and the disk's free space and inodes above the floor: `spool_dir` may lie on the same disk. Works in slices, so that evicting 100,000 small
 * blobs does not stop the daemon, and goes down to a low-water mark, so that it need not run at every fill.
 */
import type { Clock } from '../base/clock.js';
import { sizeOfDisk } from '../base/disk-size.js';
import type { CacheKey } from './cache.js';
import type { Ledger } from './ledger.js';

const LOW_WATER = 0.9;
const SLICE_FILES = 32;
/** How long, and for how many written bytes, an answer of statfs is believed. */
const STATFS_VALID_MS = 3000;
const STATFS_VALID_BYTES = 64 * 1024 * 1024;

/** Inodes that are left to others: so many, or this part of a small disk's. */
const NAMES_LEFT = 8192;
const NAMES_LEFT_PART = 1 / 16;

interface EvictorOptions {
  readonly ledger: Ledger;
  readonly directory: string;
  readonly budgetBytes: number;
  readonly floorBytes: number;
  readonly clock: Clock;
  /** Whether the folder is ours. */
  readonly mayEvict: () => boolean;
  readonly isPinned: (key: CacheKey) => boolean;
  /** Removes the file and its line in the ledger. */
  readonly remove: (key: CacheKey) => void;
}

export class Evictor {
  readonly #options: EvictorOptions;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  /** Inodes above those that are left to others. */
  #spareNames = Infinity;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #writtenSince = 0;
  #running: Promise<void> | undefined;
  #evicted = 0;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  get evicted(): number {
    return this.#evicted;
  }

  /** Whether the disk has room for one file more, of so many bytes, above the floor; evicts a few for them when not. */
  hasRoomFor(sizeBytes: number): boolean {
    for (let evicted = 0; this.#isShortOf(sizeBytes, 1); evicted++) {
      if (evicted < SLICE_FILES && this.#evictOne()) continue;
      this.evictSoon();
      return false;
    }
    return true;
  }

  /** Tells of bytes that came in, and evicts in the background when they were too many. */
  added(sizeBytes: number): void {
    this.#writtenSince += sizeBytes;
    this.#freeBytes -= sizeBytes;
    // The second is that of a directory, which may be the first file's there.
    this.#spareNames -= 2;
    this.evictSoon();
  }

  evictSoon(): void {
    if (this.#running !== undefined || !this.#isOver() || !this.#options.mayEvict()) return;
    this.#running = this.#evict().finally(() => (this.#running = undefined));
  }

  /** Resolves when no eviction runs. */
  async settled(): Promise<void> {
    await this.#running;
  }

  #isOver(): boolean {
    return this.#options.ledger.bytes > this.#options.budgetBytes || this.#isShortOf(0, 0);
  }

  async #evict(): Promise<void> {
    const { ledger, budgetBytes } = this.#options;
    const target = budgetBytes * LOW_WATER;
    const isOverBudget = ledger.bytes > budgetBytes;
    let count = 0;
    while ((isOverBudget && ledger.bytes > target) || this.#isShortOf(0, 0)) {
      if (!this.#evictOne()) return;
      if (++count % SLICE_FILES === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #evictOne(): boolean {
    const { ledger, isPinned, remove } = this.#options;
    const key = ledger.oldest((candidate) => !isPinned(candidate));
    if (key === undefined) return false;
    const before = ledger.bytes;
    remove(key);
    this.#freeBytes += before - ledger.bytes;
    this.#spareNames++;
    this.#evicted++;
    return true;
  }

  /** Whether others would be left with too little after so much more. */
  #isShortOf(bytes: number, names: number): boolean {
    this.#look();
    return this.#freeBytes - bytes < this.#options.floorBytes || this.#spareNames < names;
  }

  #look(): void {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#askedAtMs < STATFS_VALID_MS && this.#writtenSince < STATFS_VALID_BYTES) return;
    this.#askedAtMs = nowMs;
    this.#writtenSince = 0;
    try {
      const { freeBytes, names, freeNames } = sizeOfDisk(this.#options.directory);
      this.#freeBytes = freeBytes;
      this.#spareNames = freeNames - Math.min(NAMES_LEFT, names * NAMES_LEFT_PART);
    } catch {
      // The folder is gone or the disk is broken: who writes there will be told.
      this.#freeBytes = Number.MAX_SAFE_INTEGER;
      this.#spareNames = Infinity;
    }
  }
}
