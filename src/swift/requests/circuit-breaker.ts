/**
 * Stops asking a server that does not answer: while open, calls fail at once instead of each waiting for its own time-outs.
 *
 *   closed ──(5 failures in a row over ≥ 2 s, of more than two objects; or 3 refused connections in a row)──► open
 *   open ──(one call let through a second)──► half-open ──(it fails)──► open
 *   any ──(an answer)──► closed
 */
import { FilestoreError } from '../../base/errors.js';
import type { Clock } from '../../base/clock.js';

export type BreakerState = 'closed' | 'open' | 'half-open';

const FAILURES_TO_OPEN = 5;
/** Five calls that fail together when one connection drops say less than five in a row over some time. */
const FAILURE_SPAN_MS = 2000;
/** So many objects may fail for the disks that they are on, with no other call in between, before the server itself is doubted. */
const UNLUCKY_OBJECTS = 2;
const REFUSALS_TO_OPEN = 3;
const PROBE_EVERY_MS = 1000;

export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #what: string;
  #state: BreakerState = 'closed';
  #sinceMs: number;
  #failures = 0;
  #refusals = 0;
  /** What the failures in a row are about, as far as they are about single objects. */
  readonly #objects = new Set<string>();
  #isAboutMore = false;
  #firstFailureMs = 0;
  #lastTryMs = 0;
  #lastError: string | undefined;

  /** @param what whom the messages name: the endpoint's URL */
  constructor(clock: Clock, what: string) {
    this.#clock = clock;
    this.#what = what;
    this.#sinceMs = clock.nowMs();
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** When the state began, in milliseconds since the epoch. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** What the last failure was; undefined once something was answered again. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /**
   * To be called before each attempt; afterwards exactly one of `succeeded`, `failed`, `abandoned`.
   * @throws FilestoreError unavailable while open
   */
  enter(): void {
    if (this.#state === 'closed') return;
    const nowMs = this.#clock.nowMs();
    // A half-open trial that takes long (a large PUT) may be joined by another each second.
    if (nowMs - this.#lastTryMs >= PROBE_EVERY_MS) {
      this.#lastTryMs = nowMs;
      this.#become('half-open');
      return;
    }
    throw this.openError();
  }

  openError(): FilestoreError {
    const seconds = Math.round((this.#clock.nowMs() - this.#firstFailureMs) / 1000);
    return new FilestoreError('unavailable', `${this.#what} has not answered for ${seconds} s; last: ${this.#lastError ?? 'unknown'}`);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#refusals = 0;
    this.#objects.clear();
    this.#isAboutMore = false;
    this.#lastError = undefined;
    this.#become('closed');
  }

  /** @param object what the server says it cannot do something with, itself: while few such objects are all that fails, others are asked */
  failed(message: string, refused: boolean, object?: string): void {
    const nowMs = this.#clock.nowMs();
    if (this.#failures++ === 0) this.#firstFailureMs = nowMs;
    this.#refusals = refused ? this.#refusals + 1 : 0;
    this.#lastError = message;
    if (object !== undefined) this.#objects.add(object);
    if (object === undefined || this.#objects.size > UNLUCKY_OBJECTS) this.#isAboutMore = true;
    const enough = this.#isAboutMore && this.#failures >= FAILURES_TO_OPEN && nowMs - this.#firstFailureMs >= FAILURE_SPAN_MS;
    if (this.#state !== 'closed' || enough || this.#refusals >= REFUSALS_TO_OPEN) {
      this.#lastTryMs = nowMs;
      this.#become('open');
    }
  }

  /** The caller gave up, or the failure was its own: it says nothing about the server. */
  abandoned(): void {
    if (this.#state === 'half-open') this.#become('open');
  }

  #become(state: BreakerState): void {
    if (this.#state === state) return;
    // Between open and half-open the outage goes on, so its beginning stays.
    if (state === 'closed' || this.#state === 'closed') this.#sinceMs = this.#clock.nowMs();
    this.#state = state;
  }
}
