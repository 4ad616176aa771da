/**
 * What an earlier life of the cache left on the disk: searched for in the background while the cache serves. Until it is known, a key that is not in the
 * ledger may be on the disk all the same.
 */
import { findEntries } from './cache-index.js';
import type { CacheLayout } from './cache-layout.js';
import type { CacheKey } from './cache.js';
import type { Ledger } from './ledger.js';

interface EarlierLifeParts {
  readonly layout: CacheLayout;
  readonly ledger: Ledger;
  /** Whether the folder is ours. */
  readonly isWritable: () => boolean;
  /** The ledger knows all of it. */
  readonly onFound: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class EarlierLife {
  readonly #parts: EarlierLifeParts;
  readonly #closing = new AbortController();
  /** Removed while the search runs, which may come upon it. Undefined once that is over. */
  #removedMeanwhile: Set<CacheKey> | undefined = new Set();
  #search: Promise<void>;

  constructor(parts: EarlierLifeParts) {
    this.#parts = parts;
    this.#search = this.#find();
  }

  /** Resolves when the search is over, or was given up. */
  get settled(): Promise<void> {
    return this.#search;
  }

  /** The search is over: what the ledger lacks is not there. */
  get isKnown(): boolean {
    return this.#removedMeanwhile === undefined;
  }

  /** The search runs, and may come upon this one. */
  mayHave(key: CacheKey): boolean {
    return this.#removedMeanwhile?.has(key) === false;
  }

  removed(key: CacheKey): void {
    this.#removedMeanwhile?.add(key);
  }

  added(key: CacheKey): void {
    this.#removedMeanwhile?.delete(key);
  }

  searchAgain(): void {
    this.#search = this.#search.then(() => this.#find());
  }

  giveUp(): void {
    this.#closing.abort();
  }

  async #find(): Promise<void> {
    const { layout, ledger, isWritable, onFound, onFailure } = this.#parts;
    const forgotten = (this.#removedMeanwhile ??= new Set<CacheKey>());
    try {
      const older = await findEntries(layout, this.#closing.signal, isWritable());
      if (older === undefined) return;
      await ledger.addOlder(older, forgotten, () => new Promise((resolve) => setImmediate(resolve)));
      this.#removedMeanwhile = undefined;
      onFound();
    } catch (error) {
      onFailure(error);
    }
  }
}
