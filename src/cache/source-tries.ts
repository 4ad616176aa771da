/** How often one source is opened anew for a body that breaks off. */
import type { Clock } from '../base/clock.js';

/** Openings of one source in a row that bring no byte. */
const FRUITLESS_MAX = 3;
/** Openings of one source in a row that bring little and end soon: a body that breaks every few bytes is no source. */
const HASTY_MAX = 20;
const HASTY_BYTES = 1 << 20;
const HASTY_MS = 5_000;
const RETRY_DELAY_MS = 100;

export class SourceTries {
  readonly #clock: Clock;
  #fruitless = 0;
  #hasty = 0;
  #startedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It is asked. */
  begin(): void {
    this.#startedMs = this.#clock.nowMs();
  }

  /** @param broughtBytes since it was asked */
  brokeOff(broughtBytes: number): void {
    this.#fruitless = broughtBytes > 0 ? 0 : this.#fruitless + 1;
    const isHasty = broughtBytes < HASTY_BYTES && this.#clock.nowMs() - this.#startedMs < HASTY_MS;
    this.#hasty = isHasty ? this.#hasty + 1 : 0;
  }

  get areEnough(): boolean {
    return this.#fruitless >= FRUITLESS_MAX || this.#hasty >= HASTY_MAX;
  }

  /** Before the next one. */
  get pauseMs(): number {
    return RETRY_DELAY_MS << this.#fruitless;
  }
}
