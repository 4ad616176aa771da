/** Requests of ours that change the container, and which names they deleted or stored: what Swift said before, or meanwhile, is older than that. */
import { steadyNowMs } from '../base/clock.js';
import { RecentPaths } from './recent-paths.js';

/** Of those that are asked for, where one that is there still will do. */
const STORED_MOST = 20;

export class OwnChanges {
  #underWay = 0;
  #ended = 0;
  /** Of those, what stores something. */
  #storing = 0;
  #lastStoredAtMs = -Infinity;
  /** When Swift confirmed a delete of ours, by path: an answer that set out before is older than that. */
  readonly #deletedAtMs = new RecentPaths();
  /** The same of what stored it; Infinity while that is under way. */
  readonly #storedAtMs = new RecentPaths();

  /** @param stores the object that the request stores, if it does */
  async run<T>(request: () => Promise<T>, stores?: string): Promise<T> {
    this.#underWay++;
    if (stores !== undefined) {
      this.#storing++;
      this.#storedAtMs.note(stores, Infinity);
    }
    try {
      return await request();
    } finally {
      this.#underWay--;
      this.#ended++;
      if (stores !== undefined) {
        this.#storing--;
        this.#lastStoredAtMs = steadyNowMs();
        this.#storedAtMs.note(stores, steadyNowMs());
      }
    }
  }

  /** @returns whether any has been under way since: a count of the container that was taken meanwhile says nothing then */
  watch(): () => boolean {
    // One that is under way now has ended by then, or has not.
    const before = this.#ended;
    return () => this.#underWay > 0 || this.#ended !== before;
  }

  /** Whether anything that stores something has been under way since, by `steadyNowMs`. */
  hasStoredSince(sinceMs: number): boolean {
    return this.#storing > 0 || this.#lastStoredAtMs >= sinceMs;
  }

  /** @returns paths of what was stored since then, by `steadyNowMs`: the last ones */
  storedSince(sinceMs: number): string[] {
    return this.#storedAtMs.since(sinceMs, STORED_MOST);
  }

  noteDeleted(path: string): void {
    this.#deletedAtMs.note(path, steadyNowMs());
  }

  wasDeletedSince(path: string, sinceMs: number): boolean {
    return this.#deletedAtMs.isSince(path, sinceMs);
  }

  /** Also while a request that stores it is under way. */
  wasStoredSince(path: string, sinceMs: number): boolean {
    return this.#storedAtMs.isSince(path, sinceMs);
  }
}
