/**
 * What is on the wire now, and for how long none of it has had a byte: the daemon's view of a Swift that hangs. A request whose
 * answer takes Swift long by its nature (a copy, a bulk delete) is left out: its silence says nothing about Swift.
 */
import type { Clock } from '../../base/clock.js';

export interface RunningRequest {
  /** Bytes moved, either way. */
  moved(): void;
  ended(): void;
}

const UNWATCHED: RunningRequest = { moved: () => undefined, ended: () => undefined };

export class RunningRequests {
  readonly #clock: Clock;
  readonly #running = new Set<{ lastByteMs: number }>();
  readonly #counts: Record<string, number> = {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Requests sent so far, by method; every attempt counts. */
  get counts(): Readonly<Record<string, number>> {
    return this.#counts;
  }

  get stalledMs(): number {
    const nowMs = this.#clock.nowMs();
    let shortest = Infinity;
    for (const { lastByteMs } of this.#running) shortest = Math.min(shortest, nowMs - lastByteMs);
    return shortest === Infinity ? 0 : shortest;
  }

  /** @param silence 'expected' leaves the request out of {@link stalledMs} */
  start(method: string, silence: 'tells' | 'expected' = 'tells'): RunningRequest {
    this.#counts[method] = (this.#counts[method] ?? 0) + 1;
    if (silence === 'expected') return UNWATCHED;
    const entry = { lastByteMs: this.#clock.nowMs() };
    this.#running.add(entry);
    return {
      moved: () => {
        entry.lastByteMs = this.#clock.nowMs();
      },
      ended: () => {
        this.#running.delete(entry);
      },
    };
  }
}
