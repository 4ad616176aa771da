/**
 * The background of one database: publishes what is pending, tells Swift of deletes and times, renews the registration, and keeps the list of
 * names fresh. One loop, woken by work, by Swift's return and by the clock; readers and writers go before it, and a burst of closes that are
 * answered from the spool has the disk to itself for a moment (`#mustHold`).
 */
import { steadyNowMs } from '../base/clock.js';
import { Attempts } from './attempts.js';
import { lateDueMs } from './delete-path.js';
import type { Database } from './database.js';
import { refreshBelow, wholly } from './list-swift.js';
import { RENEW_MS } from './node-registry.js';
import { owedDeletes, owesNothing } from './owed.js';
import { PendingPublisher } from './publish-pending.js';
import { tellDeletes } from './tell-deletes.js';
import { tellTimes, tellTouched } from './tell-times.js';

/** What is pending goes out when nothing was sealed for this long, … */
const QUIET_MS = 100;
/** … and at the latest when it has been held back for this long. */
const HELD_AT_MOST_MS = 1_000;
const DRAIN_LOOK_MS = 25;
/** However soon the next work is due: turns that find nothing to do would take the loop for themselves. */
const SHORTEST_SLEEP_MS = 50;
/** How old a complete list of names may grow. */
const REFRESH_MS = 600_000;
/** After Swift is back its list is fetched this soon, behind what waited for it. */
const REFRESH_AFTER_RETURN_MS = 1_000;
/** When to look again whether there is a container to be listed. */
const UNBOUND_MS = 5_000;

export class Publisher {
  readonly #db: Database;
  readonly #attempts: Attempts;
  readonly #loop: Promise<void>;
  readonly #pending: PendingPublisher;
  #wake: () => void = () => undefined;
  /** There is work that came while a turn was running. */
  #woken = false;
  /** Since when what is pending is held back, on the clock of `performance.now`. */
  #heldSinceMs: number | undefined;
  #isDraining = false;
  #renewAtMs = steadyNowMs() + RENEW_MS;
  #refreshAtMs = 0;

  constructor(db: Database) {
    this.#db = db;
    this.#attempts = new Attempts(db);
    db.wake = () => {
      this.#woken = true;
      this.#wake();
    };
    this.#pending = new PendingPublisher(db, this.#attempts);
    db.publishNow = (path) => this.#pending.now(path);
    db.health.onReturn(() => {
      this.#attempts.retries.clear();
      this.#refreshAtMs = Math.min(this.#refreshAtMs, steadyNowMs() + REFRESH_AFTER_RETURN_MS);
      db.wake();
    });
    this.#loop = this.#run();
  }

  /** Resolves when nothing is owed, or when the time is up. @returns whether nothing is owed */
  async drain(timeoutMs: number): Promise<boolean> {
    const until = steadyNowMs() + timeoutMs;
    this.#isDraining = true;
    while (!this.#owesNothing() && steadyNowMs() < until) {
      this.#wake();
      // A timer, not a promise: while Swift is away a turn ends at once, and the loop must get to its other work.
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    }
    this.#isDraining = false;
    return this.#owesNothing();
  }

  #owesNothing(): boolean {
    const { spool, owedTimes, touched } = this.#db;
    return owedTimes.size + touched.size === 0 && owesNothing(spool);
  }

  /** The container is another one than it was: its names are to be listed soon. */
  refreshSoon(): void {
    this.#refreshAtMs = 0;
    this.#attempts.retries.clear();
    this.#db.wake();
  }

  async close(): Promise<void> {
    this.#attempts.stop();
    this.#wake();
    await this.#loop;
    await this.#pending.ended();
  }

  async #run(): Promise<void> {
    const { signal } = this.#attempts;
    while (!signal.aborted) {
      this.#woken = false;
      await this.#turn();
      if (signal.aborted) return;
      if (!this.#woken) await this.#sleep();
      // Turns that end without asking anybody (a login in its pause fails at once) must leave the loop to others, however often they are woken.
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #sleep(): Promise<void> {
    return new Promise<void>((resolve) => {
      const isIdle = this.#isIdle();
      const next = isIdle ? Infinity : this.#nextMs();
      const longestMs = isIdle || this.#heldSinceMs === undefined ? RENEW_MS : QUIET_MS;
      const timer = setTimeout(resolve, Math.min(Math.max(SHORTEST_SLEEP_MS, next - steadyNowMs()), longestMs)).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Until somebody wakes the loop there is nothing to do, whatever is due. */
  #isIdle(): boolean {
    return this.#db.health.isAway || (this.#db.dropped && this.#owesNothing());
  }

  #nextMs(): number {
    const retryMs = this.#attempts.retries.nextMs((work) => this.#pending.mayBegin(work));
    return Math.min(this.#renewAtMs, this.#refreshAtMs, this.#nextDueMs(), retryMs);
  }

  /** When the first of the deletes that wait may be told; those that failed have their own times. */
  #nextDueMs(): number {
    const [db, { retries }] = [this.#db, this.#attempts];
    if (db.binding.refusal !== undefined) return Infinity;
    let next = Infinity;
    for (const tombstone of db.spool.tombstones.values())
      if (!db.publishing.has(tombstone.path) && retries.isDue(`delete ${tombstone.path}`)) next = Math.min(next, lateDueMs(db, tombstone));
    return next;
  }

  /** Does what there is to do and is due. Never rejects. */
  async #turn(): Promise<void> {
    const [db, attempts] = [this.#db, this.#attempts];
    if (this.#isIdle()) return;
    // The container of a dropped database is not made again: what is owed of it are deletes.
    const isOver = db.dropped || (db.binding.isEnded && this.#owesNothing());
    if (!db.binding.isBound && !(await this.#settle(isOver))) {
      db.problem = attempts.retries.problem;
      return;
    }
    if (!this.#mustHold()) this.#pending.begin();
    await this.#pending.tried();
    await tellDeletes(db, attempts);
    await tellTimes(db, attempts);
    await tellTouched(db, attempts);
    attempts.retries.keepOwed((work) => this.#isOwed(work));
    db.problem = attempts.retries.problem;
    if (db.dropped) return;
    await this.#renew();
    await this.#refresh();
    db.problem = attempts.retries.problem;
  }

  /** @returns whether the container is ours to use; without one, whether we are where it was */
  #settle(isOver: boolean): Promise<boolean> {
    const [{ binding, health }, attempts] = [this.#db, this.#attempts];
    if (isOver) return attempts.run('account', () => health.watch(binding.assertOurAccount(attempts.request)));
    return attempts.run('bind', () => health.watch(binding.ensure(attempts.request)));
  }

  async #renew(): Promise<void> {
    const [db, attempts] = [this.#db, this.#attempts];
    if (steadyNowMs() < this.#renewAtMs) return;
    const isDone = await attempts.run('renew', () => db.health.watch(db.binding.renew(attempts.request)));
    this.#renewAtMs = isDone ? steadyNowMs() + RENEW_MS : attempts.retries.dueAtMs('renew');
  }

  async #refresh(): Promise<void> {
    const [db, attempts] = [this.#db, this.#attempts];
    if (steadyNowMs() < this.#refreshAtMs) return;
    // Whoever finds names wrong meanwhile asks for another one.
    this.#refreshAtMs = steadyNowMs() + REFRESH_MS;
    if (!db.binding.isBound) this.#refreshAtMs = steadyNowMs() + UNBOUND_MS;
    // That one object cannot be asked for is no word of Swift as a whole.
    else if (!(await attempts.run('refresh', () => wholly(db.health.watch(refreshBelow(db, '', attempts.request))))))
      this.#refreshAtMs = attempts.retries.dueAtMs('refresh');
  }

  /** Whether a piece of work, named as for {@link Attempts.run}, is still to be done: what failed may have been deleted or overwritten since. */
  #isOwed(work: string): boolean {
    const { spool, owedTimes, touched, binding } = this.#db;
    const at = work.indexOf(' ');
    const path = work.slice(at + 1);
    switch (at < 0 ? work : work.slice(0, at)) {
      case 'publish':
        return spool.pending.has(path);
      case 'delete':
        return spool.tombstones.has(path);
      case 'deletes':
        return owedDeletes(spool).next().done !== true;
      case 'times':
        return owedTimes.has(path);
      case 'touch':
        return touched.has(path);
      case 'account':
      case 'bind':
        return !binding.isBound;
      default:
        return true;
    }
  }

  /** Whether writers are at it: a PUT takes disk and processor from the next close(), and gains nothing by going out in its midst. */
  #mustHold(): boolean {
    const nowMs = performance.now();
    const isQuiet = nowMs - this.#db.lastSealMs >= QUIET_MS;
    this.#heldSinceMs ??= nowMs;
    if (!isQuiet && !this.#isDraining && nowMs - this.#heldSinceMs < HELD_AT_MOST_MS) return true;
    this.#heldSinceMs = undefined;
    return false;
  }
}
