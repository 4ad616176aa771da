/**
 * Whether Swift can be asked. Everything that goes to Swift for this mount passes by here, so that one silence is noticed once and nobody else
 * waits for it.
 *
 *    up ──(a request fails as `unavailable`; or a waiter has waited `stallMs` and no request got a byte as long)──► away
 *    away ──(any answer, also the probe's)──► up
 *
 * A rate limit and a missing container are answers (`StoreAnswered`): who asked goes without, and nothing is away.
 *
 * A waiting LOOKUP holds its directory's lock in the kernel, so `answerOrAway` gives up at the turn to `away`; a request that already runs
 * goes on and its success brings us back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { asError, DiskFailed, FilestoreError, kindOf, messageOf, StoreAnswered, StoreNotAsked } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { ObjectStore } from '../store/object-store.js';

const WATCH_MS = 100;
const LATE_MS = 250;
/** A silence shorter than this is not worth a line in the log. */
const TELL_AFTER_MS = 5_000;
/** A Swift that answers some requests and refuses others is back and away again every few seconds: so soon after a return it is told only if it lasts. */
const CALM_MS = 60_000;
const PROBE_MS = 1_000;
const PROBE_TIMEOUT_MS = 15_000;

/** Kinds that say nothing about one object but that the store as a whole does not serve us. */
const AWAY_KINDS = new Set(['unavailable', 'bad-credentials']);

interface Waiter {
  readonly sinceMs: number;
  readonly onAway: (error: FilestoreError) => void;
}

export class StoreHealth {
  readonly #store: ObjectStore;
  readonly #stallMs: number;
  readonly #log: Log;
  /** Runs while somebody waits or a silence is to be told: an idle mount wakes for nothing. */
  #watch: NodeJS.Timeout | undefined;
  /** In the order they began to wait. */
  readonly #waiters = new Set<Waiter>();
  readonly #returned = new Set<() => void>();
  readonly #stopped = new AbortController();
  #awaySinceMs: number | undefined;
  #reason: string | undefined;
  /** This absence has been logged. */
  #told = false;
  #lastAnswerMs = 0;
  /** When Swift was back last. */
  #backAtMs = 0;
  #lookedAtMs = 0;
  #isProbing = false;

  /** @param stallMs silence on every running request after which Swift counts as away */
  constructor(store: ObjectStore, stallMs: number, log: Log) {
    this.#store = store;
    this.#stallMs = stallMs;
    this.#log = log;
  }

  /** When Swift was back last, on the clock of `steadyNowMs`; 0 when it was not away. */
  get backAtMs(): number {
    return this.#backAtMs;
  }

  get isAway(): boolean {
    return this.#awaySinceMs !== undefined;
  }

  get awaySinceMs(): number | undefined {
    return this.#awaySinceMs;
  }

  get reason(): string | undefined {
    return this.#reason;
  }

  /** Called each time Swift is back. */
  onReturn(listener: () => void): void {
    this.#returned.add(listener);
  }

  /**
   * Watches the outcome of a request.
   * @returns what it returns; while we are up every caller waits for it
   */
  async watch<T>(request: Promise<T>): Promise<T> {
    try {
      const result = await request;
      this.#lastAnswerMs = steadyNowMs();
      this.#up();
      return result;
    } catch (error) {
      // What a disk of this machine said, in our words or in Node's, is no word of the store's.
      if (!(error instanceof FilestoreError) || error instanceof StoreNotAsked || error instanceof DiskFailed) throw error;
      if (AWAY_KINDS.has(kindOf(error)) && !(error instanceof StoreAnswered)) this.#away(messageOf(error), 'loud');
      else if (kindOf(error) !== 'interrupted') {
        if (error instanceof StoreAnswered) this.#lastAnswerMs = steadyNowMs();
        this.#up();
      }
      throw error;
    }
  }

  /**
   * The same for who may not wait: rejects with `unavailable` at once while Swift is away, and at the turn to it. The request itself goes on.
   * @param start makes the request; not called while Swift is away
   * @param patienceMs the longest this caller may wait, also while others are answered: one slow disk of Swift must not hold a directory
   */
  answerOrAway<T>(start: () => Promise<T>, signal?: AbortSignal, patienceMs?: number): Promise<T> {
    if (this.isAway) return Promise.reject(this.#error());
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => settle(() => reject(new FilestoreError('interrupted', 'given up while waiting for Swift')));
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        finish();
      };
      const waiter: Waiter = { sinceMs: steadyNowMs(), onAway: (error) => settle(() => reject(error)) };
      this.#waiters.add(waiter);
      this.#keepWatch();
      const late = (): void =>
        waiter.onAway(new FilestoreError('unavailable', `Swift did not answer this question within ${patienceMs} ms`));
      const timer = patienceMs === undefined ? undefined : setTimeout(late, patienceMs).unref();
      signal?.addEventListener('abort', onAbort, { once: true });
      this.watch(start()).then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(asError(error))),
      );
    });
  }

  /** Resolves when Swift is back, or when the signal fires. */
  async untilBack(signal: AbortSignal): Promise<void> {
    if (!this.isAway || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#returned.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#returned.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  close(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#stopped.abort();
  }

  #error(): FilestoreError {
    return new FilestoreError('unavailable', `Swift cannot be reached: ${this.#reason ?? 'no answer'}`);
  }

  #keepWatch(): void {
    if (this.#watch !== undefined || this.#stopped.signal.aborted) return;
    this.#lookedAtMs = steadyNowMs();
    this.#watch = setInterval(() => this.#look(), WATCH_MS).unref();
  }

  /** Looks for silence. A turn of the loop that comes late says that this process was not running, not that Swift was silent. */
  #look(): void {
    const now = steadyNowMs();
    if (now - this.#lookedAtMs > LATE_MS) this.#lastAnswerMs = now;
    this.#lookedAtMs = now;
    if (this.#awaySinceMs !== undefined && !this.#told) {
      if (now - this.#awaySinceMs >= TELL_AFTER_MS) this.#tell();
      return;
    }
    const oldest = this.#waiters.values().next().value;
    if (this.#awaySinceMs !== undefined || oldest === undefined) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      return;
    }
    const silentMs = Math.min(now - oldest.sinceMs, now - this.#lastAnswerMs, this.#store.stalledMs);
    if (silentMs >= this.#stallMs) this.#away(`no answer for ${(silentMs / 1000).toFixed(1)} s`, 'quiet');
  }

  /** @param how a silence may be a hiccup: it is told when it lasts; a failure is told at once */
  #away(reason: string, how: 'loud' | 'quiet'): void {
    // The end of the mount cuts off what still runs.
    if (this.#stopped.signal.aborted) return;
    this.#reason = reason;
    if (this.#awaySinceMs === undefined) {
      this.#awaySinceMs = steadyNowMs();
      const error = this.#error();
      for (const waiter of [...this.#waiters]) waiter.onAway(error);
      if (!this.#isProbing) void this.#probe();
    }
    if (how === 'loud' && !this.#told && steadyNowMs() - this.#backAtMs >= CALM_MS) this.#tell();
    this.#keepWatch();
  }

  #tell(): void {
    this.#told = true;
    this.#log.warn('swift.away', {
      reason: this.#reason,
      meaning: 'writes go to the spool; reads come from cache and origin, others wait',
    });
  }

  #up(): void {
    if (this.#awaySinceMs === undefined) return;
    // Only an absence that was told has an end to tell.
    this.#log[this.#told ? 'info' : 'debug']('swift.back', { afterMs: steadyNowMs() - this.#awaySinceMs, reason: this.#reason });
    this.#told = false;
    this.#backAtMs = steadyNowMs();
    this.#awaySinceMs = undefined;
    this.#reason = undefined;
    for (const listener of [...this.#returned]) listener();
  }

  /**
   * Asks once a second until any request, this one or another, has been answered. Never rejects.
   * INVARIANT: one at a time. A Swift that goes and comes within a second finds the one that still sleeps.
   */
  async #probe(): Promise<void> {
    const { signal } = this.#stopped;
    this.#isProbing = true;
    while (this.isAway && !signal.aborted) {
      try {
        await delay(PROBE_MS, undefined, { ref: false, signal });
        if (!this.isAway) break;
        await this.watch(this.#store.probe({ timeoutMs: PROBE_TIMEOUT_MS, signal }));
      } catch (error) {
        this.#log.debug('swift.probe', { reason: messageOf(error) });
      }
    }
    this.#isProbing = false;
  }
}
