/**
 * What may be said to be absent without asking Swift for the name itself.
 *
 * - A "no" of Swift is believed for `negativeTtlMs`, here and not in the kernel.
 * - In a container that this daemon made, with `nodes: one`, every name is one of ours. That nobody uploads behind our back is
 *   checked by the container's object count, which is exact at once: one HEAD of the container stands for the HEADs of all new names within
 *   `negativeTtlMs`.
 */
import { steadyNowMs } from '../base/clock.js';

const MOST_NAMES = 50_000;

export class Absence {
  readonly #untilMs = new Map<string, number>();
  readonly #ttlMs: number;
  #onlyOursUntilMs = 0;

  constructor(negativeTtlMs: number) {
    this.#ttlMs = negativeTtlMs;
  }

  /** Swift said no, just now. */
  said(path: string): void {
    if (this.#untilMs.size >= MOST_NAMES) this.#dropOld();
    this.#untilMs.delete(path);
    this.#untilMs.set(path, steadyNowMs() + this.#ttlMs);
  }

  isKnown(path: string): boolean {
    const until = this.#untilMs.get(path);
    if (until === undefined) return false;
    if (steadyNowMs() < until) return true;
    this.#untilMs.delete(path);
    return false;
  }

  /** The name exists, or may. */
  end(path: string): void {
    this.#untilMs.delete(path);
  }

  /** The container's count equalled what we know to be in it. */
  countAgreed(): void {
    this.#onlyOursUntilMs = steadyNowMs() + this.#ttlMs;
  }

  get holdsOnlyOurs(): boolean {
    return steadyNowMs() < this.#onlyOursUntilMs;
  }

  /** Entries stand in the order of their ends, so the old ones are in front. */
  #dropOld(): void {
    const now = steadyNowMs();
    for (const [path, until] of this.#untilMs) {
      if (until > now && this.#untilMs.size < MOST_NAMES) return;
      this.#untilMs.delete(path);
    }
  }
}
