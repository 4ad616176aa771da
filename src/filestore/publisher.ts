/**
 * The background of one database: publishes what is pending, oldest first, tells Swift of deletes, renews the registration, and keeps the list of
 * names fresh. One loop, woken by work, by Swift's return and by the clock; readers and writers go before it (priority `background`), and a
 * burst of closes that are answered from the spool has the disk to itself for a moment (`#mustHold`).
 *
 * What may interleave: each PUT and DELETE re-checks, under the blob's lock, that its record is still the current one.
 */
import { setMaxListeners } from 'node:events';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Pending, Tombstone } from '../spool/spool.js';
import { assertContainer, learnInfo, refreshBelow } from './ask-swift.js';
import type { Database } from './database.js';
import { deleteOwed, settleDeleted } from './delete-path.js';
import { RENEW_MS } from './node-registry.js';
import { owedDeletes, owedWrites, owesNothing } from './owed.js';
import { kindOfPath } from './path-kind.js';
import { RetrySchedule } from './retry-schedule.js';
import { bodyOfFile, cacheKeyOf, learn, metadataOf, putObject } from './publish.js';
import { openSealed } from './sealed-file.js';

/** What the store leaves to background work of its 16 connections; where it leaves less, the rest waits there behind readers and writers. */
const PUBLISH_AT_ONCE = 12;
/** What is pending goes out when nothing was sealed for this long, … */
const QUIET_MS = 100;
/** … and at the latest when it has been held back for this long. */
const HELD_AT_MOST_MS = 1_000;
/** Names a bulk delete takes: their locks are held while it runs (about 3 ms a name). */
const DELETES_AT_ONCE = 100;
const FEWEST_FOR_BULK = 8;
const DELETE_EACH_AT_ONCE = 4;
const DRAIN_LOOK_MS = 25;
/** What is under way when the mount ends has this long to end by its signal. */
const STOP_GRACE_MS = 1_000;
/** How old a complete list of names may grow. */
const REFRESH_MS = 600_000;
/** When to look again whether there is a container to be listed. */
const UNBOUND_MS = 5_000;

export class Publisher {
  readonly #db: Database;
  readonly #stopped = new AbortController();
  /** Of every request made here: at the stop none is waited for. */
  readonly #request = { priority: 'background' as const, signal: this.#stopped.signal };
  readonly #loop: Promise<void>;
  #wake: () => void = () => undefined;
  /** There is work that came while a turn was running. */
  #woken = false;
  /** Since when what is pending is held back, on the clock of `performance.now`. */
  #heldSinceMs: number | undefined;
  #isDraining = false;
  readonly #retries = new RetrySchedule();
  #renewAtMs = Date.now() + RENEW_MS;
  #refreshAtMs = 0;

  constructor(db: Database) {
    this.#db = db;
    // A listener for each piece of work that runs, which Node would take for a leak.
    setMaxListeners(0, this.#stopped.signal);
    db.wake = () => {
      this.#woken = true;
      this.#wake();
    };
    db.health.onReturn(() => {
      this.#retries.clear();
      this.#refreshAtMs = Math.min(this.#refreshAtMs, Date.now() + 1_000);
      this.#wake();
    });
    this.#loop = this.#run();
  }

  /** Resolves when nothing is owed, or when the time is up. @returns whether nothing is owed */
  async drain(timeoutMs: number): Promise<boolean> {
    const until = Date.now() + timeoutMs;
    this.#isDraining = true;
    while (!this.#owesNothing() && Date.now() < until) {
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
    this.#retries.clear();
    this.#db.wake();
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      this.#woken = false;
      await this.#turn();
      if (!signal.aborted && !this.#woken) await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    return new Promise<void>((resolve) => {
      const next = Math.min(this.#renewAtMs, this.#refreshAtMs, this.#nextDueMs(), this.#retries.nextMs);
      const longestMs = this.#heldSinceMs === undefined ? RENEW_MS : QUIET_MS;
      const timer = setTimeout(resolve, Math.min(Math.max(50, next - Date.now()), longestMs)).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** When the first of the deletes that wait may be told, in ms since the epoch. */
  #nextDueMs(): number {
    let next = Infinity;
    for (const { owedToSwift, dueAtMs } of this.#db.spool.tombstones.values())
      if (owedToSwift && dueAtMs !== undefined) next = Math.min(next, dueAtMs);
    return next;
  }

  /** Does what there is to do and is due. Never rejects. */
  async #turn(): Promise<void> {
    const db = this.#db;
    if (db.health.isAway || (db.dropped && this.#owesNothing())) return;
    // The container of a dropped database is not made again: what is owed of it are deletes.
    const isOver = db.dropped || (db.binding.isEnded && this.#owesNothing());
    if (!isOver && !db.binding.isBound && !(await this.#attempt('bind', () => db.health.watch(db.binding.ensure(this.#stopped.signal)))))
      return;
    if (!this.#mustHold()) await this.#publishAll();
    await this.#deleteAll();
    await this.#updateTimes();
    await this.#touch();
    this.#retries.keepOwed((work) => this.#isOwed(work));
    db.problem = this.#retries.problem;
    if (db.dropped) return;
    await this.#renew();
    await this.#refresh();
    db.problem = this.#retries.problem;
  }

  async #renew(): Promise<void> {
    const db = this.#db;
    if (Date.now() < this.#renewAtMs) return;
    const isDone = await this.#attempt('renew', () => db.health.watch(db.binding.renew(this.#request)));
    this.#renewAtMs = isDone ? Date.now() + RENEW_MS : this.#retries.dueAtMs('renew');
  }

  async #refresh(): Promise<void> {
    const db = this.#db;
    if (Date.now() < this.#refreshAtMs) return;
    // Whoever finds names wrong meanwhile asks for another one.
    this.#refreshAtMs = Date.now() + REFRESH_MS;
    if (!db.binding.isBound) this.#refreshAtMs = Date.now() + UNBOUND_MS;
    else if (!(await this.#attempt('refresh', () => db.health.watch(refreshBelow(db, '', this.#request)))))
      this.#refreshAtMs = this.#retries.dueAtMs('refresh');
  }

  /** Whether a piece of work, named as for `#attempt`, is still to be done: what failed may have been deleted or overwritten since. */
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

  /** One that Swift refuses does not stop the others; an outage stops all. */
  async #publishAll(): Promise<void> {
    // As it stands now: what comes meanwhile is for the next turn, so that deletes have theirs.
    const queue = [...owedWrites(this.#db.spool)].values();
    const worker = async (): Promise<void> => {
      for (const pending of queue) {
        if (this.#mustStop) return;
        await this.#attempt(`publish ${pending.path}`, () => this.#publish(pending));
      }
    };
    await Promise.all(Array.from({ length: PUBLISH_AT_ONCE }, worker));
  }

  get #mustStop(): boolean {
    return this.#stopped.signal.aborted || this.#db.health.isAway;
  }

  #publish(pending: Pending): Promise<void> {
    const db = this.#db;
    const { path } = pending;
    return db.locks.run(path, async () => {
      if (db.spool.pending.get(path) !== pending || (await this.#isOvertaken(pending))) return;
      const mtimeMs = db.owedTimes.get(path) ?? pending.mtimeMs;
      // After a restart its bytes are hashed once: what changed on this disk is not sent.
      const sealed = await openSealed(db, pending);
      try {
        await db.health.watch(putObject(db, path, bodyOfFile(sealed.fd, pending), metadataOf(path, pending, mtimeMs), this.#request));
      } finally {
        sealed.close();
      }
      if (db.spool.pending.get(path) !== pending) return;
      learn(db, path, pending, mtimeMs);
      await db.spool.markPublished(pending, { keepFile: true });
      db.verifiedSeals.delete(pending.sequence);
      await db.cache.adopt(cacheKeyOf(path, pending.md5), pending.file, pending.sizeBytes);
    });
  }

  /**
   * Whether another node closed a file of this name later than we did: then its bytes are the ones that count, and ours were overwritten.
   * Content-named files are the same wherever they come from.
   */
  async #isOvertaken(pending: Pending): Promise<boolean> {
    const db = this.#db;
    const { path } = pending;
    if (db.settings.nodes === 'one' || kindOfPath(path) !== 'other') return false;
    const askedAtMs = Date.now();
    const info = await db.health.watch(db.store.head(db.container, objectNameOf(path), this.#request));
    const changed = info !== undefined && info.md5 !== db.catalog.other(path)?.md5 && info.md5 !== pending.md5;
    if (!changed || info.lastModifiedMs <= pending.sealedAtMs || db.spool.pending.get(path) !== pending) return false;
    db.log.info('publisher.overtaken', {
      database: displayName(db.name),
      path: displayName(path),
      meaning: 'another node closed this file later: the last close wins',
    });
    db.owedTimes.delete(path);
    await db.spool.markPublished(pending, { keepFile: false });
    learnInfo(db, path, info, askedAtMs);
    db.changed(path);
    return true;
  }

  async #deleteAll(): Promise<void> {
    const db = this.#db;
    // Another node that says "one" has it: what we think is garbage may be what it lives on.
    if (db.binding.refusal !== undefined) return;
    const owed = [...owedDeletes(db.spool)].filter(({ path }) => this.#retries.isDue(`delete ${path}`));
    while (owed.length > 0 && !this.#mustStop) {
      const batch = owed.splice(0, DELETES_AT_ONCE);
      if (batch.length >= FEWEST_FOR_BULK && db.settings.nodes === 'one') await this.#attempt('deletes', () => this.#deleteMany(batch));
      else await this.#deleteEach(batch);
    }
  }

  async #deleteEach(batch: readonly Tombstone[]): Promise<void> {
    const db = this.#db;
    const queue = [...batch];
    const check = db.settings.nodes === 'many';
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !this.#mustStop; next = queue.shift()) {
        const { path } = next;
        await this.#attempt(`delete ${path}`, () =>
          db.health.watch(db.locks.run(path, () => deleteOwed(db, path, { check, signal: this.#stopped.signal }))),
        );
      }
    };
    await Promise.all(Array.from({ length: DELETE_EACH_AT_ONCE }, worker));
  }

  /** LOCKS: all names of the batch, in ascending order. */
  async #deleteMany(batch: readonly Tombstone[]): Promise<void> {
    const db = this.#db;
    const sorted = [...batch].sort((a, b) => (a.path < b.path ? -1 : 1));
    const lockFrom = (index: number): Promise<void> => {
      const next = sorted[index];
      return next === undefined ? underAllLocks() : db.locks.run(next.path, () => lockFrom(index + 1));
    };
    const underAllLocks = async (): Promise<void> => {
      const isCurrent = (t: Tombstone): boolean => db.spool.tombstones.get(t.path)?.sequence === t.sequence;
      const before = sorted.filter(isCurrent);
      await db.health.watch(
        db.trash.keep(
          before.map((t) => t.path),
          this.#request,
        ),
      );
      const current = before.filter(isCurrent);
      const startedMs = Date.now();
      const { failed } = await db.health.watch(
        db.change(() =>
          db.store.deleteMany(
            db.container,
            current.map((t) => objectNameOf(t.path)),
            this.#request,
          ),
        ),
      );
      await db.health.watch(assertContainer(db, startedMs));
      for (const t of current) if (!failed.has(objectNameOf(t.path))) await settleDeleted(db, t.path, t.sequence);
      // Each of these is tried again by itself.
      for (const t of current) {
        const reason = failed.get(objectNameOf(t.path));
        if (reason !== undefined) this.#retries.failed(`delete ${t.path}`, `DELETE ${displayName(t.path)}: ${reason}`, false);
      }
    };
    await lockFrom(0);
  }

  /** mtimes set after close() on files Swift has; lost in a crash, which changes no content. */
  async #updateTimes(): Promise<void> {
    const db = this.#db;
    for (const [path, mtimeMs] of [...db.owedTimes]) {
      if (db.spool.pending.has(path) || db.live.has(path)) continue;
      if (this.#mustStop) return;
      await this.#attempt(`times ${path}`, async () => {
        await db.locks.run(path, async () => {
          if (db.owedTimes.get(path) !== mtimeMs) return;
          const times = { mtime: String(Math.round(mtimeMs)) };
          await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), times, this.#request));
          const known = db.catalog.other(path);
          if (known === undefined || db.owedTimes.get(path) !== mtimeMs) return;
          db.learnOther(path, { ...known, mtimeMs });
          db.owedTimes.delete(path);
        });
      });
    }
  }

  /** Blobs whose markers say that Odoo goes on using them (markers.ts). Lost in a crash. */
  async #touch(): Promise<void> {
    const db = this.#db;
    for (const path of [...db.touched]) {
      if (this.#mustStop) return;
      await this.#attempt(`touch ${path}`, async () => {
        await db.locks.run(path, async () => {
          if (!db.touched.delete(path) || db.catalog.sizeOf(path) === undefined) return;
          try {
            await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), {}, this.#request));
          } catch (error) {
            db.touched.add(path);
            throw error;
          }
        });
      });
    }
  }

  /**
   * Runs a piece of work that is due.
   * @param work `KIND` or `KIND PATH`: what it is tried again as
   * @returns whether it was done; false also when it is not due yet
   */
  async #attempt(work: string, run: () => Promise<void>): Promise<boolean> {
    if (!this.#retries.isDue(work)) return false;
    try {
      await this.#orStopped(run());
      this.#retries.succeeded(work);
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
    const before = this.#retries.problem;
    const isOutage = kind === 'unavailable' && !(error instanceof StoreAnswered);
    this.#retries.failed(work, message, isOutage);
    const event = work.split(' ', 1)[0] ?? work;
    if (isOutage) this.#db.log.debug(`publisher.${event}`, { reason: message });
    else if (before === undefined)
      this.#db.log.warn(`publisher.${event}-refused`, { database: displayName(this.#db.name), reason: message });
  }
}
