/**
 * The time one call has with all its attempts. While bytes move it does not strike: a large PUT may take longer than a call is allowed
 * to wait. It strikes when the time is over and nothing has moved for `graceMs`.
 */
import { setMaxListeners } from 'node:events';
import { FilestoreError } from '../../base/errors.js';
import type { Clock } from '../../base/clock.js';
import type { Stop } from './wire.js';

export class Deadline implements Stop {
  readonly #clock: Clock;
  readonly #endMs: number;
  readonly #graceMs: number;
  readonly #totalMs: number;
  readonly #callerSignal: AbortSignal | undefined;
  /** Made when somebody asks for the signal: most calls are answered before. */
  #controller: AbortController | undefined;
  readonly #onCallerAbort = (): void => this.#abort();
  #aborted = false;
  /** What runs now and is to be ended with the call. */
  onAbort: (() => void) | undefined;
  #progressMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, totalMs: number, graceMs: number, callerSignal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#totalMs = totalMs;
    this.#endMs = clock.nowMs() + totalMs;
    this.#graceMs = graceMs;
    this.#callerSignal = callerSignal;
    this.#timer = setTimeout(() => this.#strike(), totalMs);
    if (callerSignal === undefined) return;
    // Any number of calls may run under one signal (a job's, the publisher's), and each leaves it in close(): more than ten are no leak.
    setMaxListeners(0, callerSignal);
    if (callerSignal.aborted) this.#abort();
    else callerSignal.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  /** Fires when the time is over or the caller gives up. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Whether the signal has fired. */
  get aborted(): boolean {
    return this.#aborted;
  }

  get remainingMs(): number {
    return this.#endMs - this.#clock.nowMs();
  }

  progress(): void {
    this.#progressMs = this.#clock.nowMs();
  }

  /**
   * The error of a call whose signal has fired. @param what method and path. @param lastError of the attempt before, if any
   * @param silence what is known of the attempt that had no answer
   */
  error(what: string, lastError: string | undefined, silence?: string): FilestoreError {
    if (this.#callerSignal?.aborted) return new FilestoreError('interrupted', `${what}: given up by the caller`);
    const tail = silence ?? (lastError === undefined ? undefined : `last: ${lastError}`);
    return new FilestoreError('unavailable', `${what}: no answer within ${this.#totalMs} ms${tail === undefined ? '' : `; ${tail}`}`);
  }

  /** The head of the answer is here: time no longer limits the call, the caller's signal still does. */
  stopClock(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.stopClock();
    this.#callerSignal?.removeEventListener('abort', this.#onCallerAbort);
  }

  #strike(): void {
    const quietMs = this.#clock.nowMs() - this.#progressMs;
    if (quietMs >= this.#graceMs) this.#abort();
    else this.#timer = setTimeout(() => this.#strike(), this.#graceMs - quietMs);
  }
  #abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#controller?.abort();
    this.onAbort?.();
  }
}
