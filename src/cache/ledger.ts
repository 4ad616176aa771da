/**
 * What the cache holds, by recency. An index only: the files are the truth, and a line here that no file backs is dropped when it shows.
 * `lru-cache` keeps the order and the sum of sizes; what goes is chosen by us, because a pinned copy may not.
 */
import { LRUCache } from 'lru-cache';
import type { CacheKey } from './cache.js';

const SLICE = 5000;

export class Ledger {
  #entries = newEntries();
  #bytes = 0;

  get files(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(key: CacheKey): boolean {
    return this.#entries.has(key);
  }

  /** Counts as a use. */
  touch(key: CacheKey): void {
    this.#entries.get(key);
  }

  set(key: CacheKey, sizeBytes: number): void {
    this.#bytes += sizeBytes - (this.#entries.peek(key) ?? 0);
    this.#entries.set(key, sizeBytes);
  }

  /** @returns the bytes it had */
  delete(key: CacheKey): number {
    const sizeBytes = this.#entries.peek(key);
    if (sizeBytes === undefined) return 0;
    this.#entries.delete(key);
    this.#bytes -= sizeBytes;
    return sizeBytes;
  }

  /** The one used longest ago of those that may go. */
  oldest(mayGo: (key: CacheKey) => boolean): CacheKey | undefined {
    for (const key of this.#entries.rkeys()) if (mayGo(key)) return key;
    return undefined;
  }

  /** Oldest first. */
  entries(): Iterable<readonly [CacheKey, number]> {
    return this.#entries.rentries() as Iterable<[CacheKey, number]>;
  }

  /**
   * Puts what an earlier life left behind everything used in this one. Works in slices: `pause` is awaited between two.
   * @param older oldest first
   * @param forgotten keys that were deleted since `older` was found; looked at last
   */
  async addOlder(
    older: Iterable<readonly [CacheKey, number]>,
    forgotten: ReadonlySet<CacheKey>,
    pause: () => Promise<void>,
  ): Promise<void> {
    const merged = new Ledger();
    let count = 0;
    for (const [key, sizeBytes] of older) {
      merged.set(key, sizeBytes);
      if (++count % SLICE === 0) await pause();
    }
    // From here to the end in one tick: nothing is used or forgotten in between.
    for (const key of forgotten) merged.delete(key);
    for (const [key, sizeBytes] of this.entries()) merged.set(key, sizeBytes);
    this.#entries = merged.#entries;
    this.#bytes = merged.#bytes;
  }
}

/** Bounded by bytes on the disk (see `Evictor`), not by itself. */
function newEntries(): LRUCache<CacheKey, number> {
  return new LRUCache<CacheKey, number>({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 });
}
