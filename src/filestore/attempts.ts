/**
 * The background work of a database in pieces. A piece that failed is tried again by itself, at its own growing intervals; what Swift refuses
 * is told once; at the end of the mount nothing is waited for. Deletes and times of a turn are waited for before the next, so each request has
 * few attempts: one object that Swift does not take for long must not hold up the others.
 */
import { setMaxListeners } from 'node:events';
import { FilestoreError, kindOf, messageOf, StoreAnswered, StoreFaltered } from '../base/errors.js';
import { displayName } from '../base/names.js';
import type { Database } from './database.js';
import { RetrySchedule, type Cause } from './retry-schedule.js';

/** What is under way when the mount ends has this long to end by its signal. */
const STOP_GRACE_MS = 1_000;

export class Attempts {
  readonly retries = new RetrySchedule();
  readonly #db: Database;
  readonly #stopped = new AbortController();
  /** Of every request that a piece makes: readers and writers go before it, and at the end of the mount none is waited for. */
  readonly request = { priority: 'background' as const, signal: this.#stopped.signal, tries: 'few' as const };

  constructor(db: Database) {
    this.#db = db;
    // A listener for each piece of work that runs, which Node would take for a leak.
    setMaxListeners(0, this.#stopped.signal);
  }

  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** The mount ends, or Swift is away: no further piece is to be begun. */
  get mustStop(): boolean {
    return this.#stopped.signal.aborted || this.#db.health.isAway;
  }

  /** Those of `items` that may still be begun. */
  *begun<T>(items: Iterable<T>): Generator<T> {
    for (const item of items) {
      if (this.mustStop) return;
      yield item;
    }
  }

  /** The mount ends. */
  stop(): void {
    this.#stopped.abort();
  }

  /**
   * Runs a piece of work that is due. Never rejects.
   * @param work `KIND` or `KIND PATH`: what it is tried again as
   * @returns whether it was done; false also when it is not due yet
   */
  async run(work: string, piece: () => Promise<void>): Promise<boolean> {
    if (!this.retries.isDue(work)) return false;
    try {
      await this.#orStopped(piece());
      this.retries.succeeded(work);
      return true;
    } catch (error) {
      this.#failed(work, error);
      return false;
    }
  }

  /** Requests end by their signal at the stop; a question shared with readers and a login go on by themselves and are not waited for. */
  #orStopped(work: Promise<void>): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const stop = (): void => {
        timer = setTimeout(() => reject(new FilestoreError('interrupted', 'the mount ends')), STOP_GRACE_MS);
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
      };
      work.finally(settle).then(resolve, reject);
    });
  }

  #failed(work: string, error: unknown): void {
    const kind = kindOf(error);
    if (this.#stopped.signal.aborted || kind === 'interrupted') return;
    const message = messageOf(error);
    const before = this.retries.problem;
    const cause = causeOf(error);
    this.retries.failed(work, message, cause);
    const event = work.split(' ', 1)[0] ?? work;
    if (cause === 'outage' || this.retries.problem === undefined) this.#db.log.debug(`publisher.${event}`, { reason: message });
    else if (before === undefined)
      this.#db.log.warn(`publisher.${event}-refused`, { database: displayName(this.#db.name), reason: message });
  }
}

function causeOf(error: unknown): Cause {
  if (kindOf(error) !== 'unavailable') return 'refusal';
  if (error instanceof StoreFaltered) return 'failure';
  return error instanceof StoreAnswered ? 'refusal' : 'outage';
}
