/**
 * Work that nobody waits for, done while the loop waits for Swift: a reader that got his bytes asks for the next file within a fraction of a
 * millisecond, and what is done in between, or just when that file's bytes come, makes him wait.
 */
import type { Clock } from '../base/clock.js';

/** Where no request of ours goes out, work waits so long. */
const LONGEST_MS = 10;

export class Intermissions {
  readonly #clock: Clock;
  /** In the order in which they came. */
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves at the next intermission that no earlier work takes, after 10 ms, or when the signal fires. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const begin = (): void => {
        this.#waiting.delete(begin);
        resolve();
      };
      this.#waiting.add(begin);
      this.#clock.sleep(LONGEST_MS, signal).then(begin, begin);
    });
  }

  /** A request has just gone out: there is time for the work of one. */
  begin(): void {
    for (const begin of this.#waiting) return begin();
  }
}
