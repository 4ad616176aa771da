/**
 * The background of one database: publishes what is pending, oldest first, tells Swift of deletes, renews the registration, and keeps the list of
 * names fresh. One loop, woken by work, by Swift's return and by the clock; readers and writers go before it (priority `background`).
 *
 * What may interleave: each PUT and DELETE re-checks, under the blob's lock, that its record is still the current one.
 */
import { closeSync, openSync } from 'node:fs';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Pending, Tombstone } from '../spool/spool.js';
import { learnInfo, refreshBelow } from './ask-swift.js';
import type { Database } from './database.js';
import { deleteOwed, isDue, settleDeleted } from './delete-path.js';
import { RENEW_MS } from './node-registry.js';
import { kindOfPath } from './path-kind.js';
import { bodyOfFile, cacheKeyOf, learn, metadataOf, putObject } from './publish.js';

const PUBLISH_AT_ONCE = 4;
/** Names a bulk delete takes: their locks are held while it runs (about 3 ms a name). */
const DELETES_AT_ONCE = 100;
const FEWEST_FOR_BULK = 8;
const DELETE_EACH_AT_ONCE = 4;
const DRAIN_LOOK_MS = 25;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;
/** How old a complete list of names may grow. */
const REFRESH_MS = 600_000;

export class Publisher {
  readonly #db: Database;
  readonly #stopped = new AbortController();
  readonly #loop: Promise<void>;
  #wake: () => void = () => undefined;
  /** There is work that came while a turn was running. */
  #woken = false;
  #retryMs = 0;
  #renewAtMs = Date.now() + RENEW_MS;
  #refreshAtMs = 0;

  constructor(db: Database) {
    this.#db = db;
    db.wake = () => {
      this.#woken = true;
      this.#wake();
    };
    db.health.onReturn(() => {
      this.#retryMs = 0;
      this.#refreshAtMs = Math.min(this.#refreshAtMs, Date.now() + 1_000);
      this.#wake();
    });
    this.#loop = this.#run();
  }

  /** What is owed to Swift now: temporaries wait for their rename, some deletes for their grace. */
  static owed(db: Database): { readonly writes: Pending[]; readonly deletes: Tombstone[] } {
    return {
      writes: [...db.spool.pending.values()].filter((p) => kindOfPath(p.path) !== 'temporary'),
      deletes: [...db.spool.tombstones.values()].filter(isDue),
    };
  }

  /** Resolves when nothing is owed, or when the time is up. @returns whether nothing is owed */
  async drain(timeoutMs: number): Promise<boolean> {
    const until = Date.now() + timeoutMs;
    while (!this.#owesNothing() && Date.now() < until) {
      this.#wake();
      // A timer, not a promise: while Swift is away a turn ends at once, and the loop must get to its other work.
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    }
    return this.#owesNothing();
  }

  #owesNothing(): boolean {
    const { writes, deletes } = Publisher.owed(this.#db);
    return writes.length + deletes.length + this.#db.owedTimes.size + this.#db.touched.size === 0;
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
      const failed = await this.#turn();
      this.#retryMs = failed ? Math.min(LONGEST_RETRY_MS, Math.max(FIRST_RETRY_MS, this.#retryMs * 2)) : 0;
      if (!signal.aborted && (failed || !this.#woken)) await this.#sleep();
    }
  }

  #sleep(): Promise<void> {
    return new Promise<void>((resolve) => {
      const waitMs =
        this.#retryMs > 0
          ? this.#retryMs * (0.5 + Math.random())
          : Math.max(50, Math.min(this.#renewAtMs, this.#refreshAtMs, this.#nextDueMs()) - Date.now());
      const timer = setTimeout(resolve, Math.min(waitMs, RENEW_MS)).unref();
      this.#wake = () => {
        // While failing, new work does not shorten the wait: it would hammer a Swift that refuses.
        if (this.#retryMs > 0 && !this.#stopped.signal.aborted) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Does what there is to do. @returns whether something failed and is to be tried again. Never rejects. */
  /** When the first of the deletes that wait may be told, in ms since the epoch. */
  #nextDueMs(): number {
    let next = Infinity;
    for (const { owedToSwift, dueAtMs } of this.#db.spool.tombstones.values())
      if (owedToSwift && dueAtMs !== undefined) next = Math.min(next, dueAtMs);
    return next;
  }

  async #turn(): Promise<boolean> {
    const db = this.#db;
    if (db.health.isAway) return false;
    let failed = await this.#attempt('bind', () => db.health.watch(db.binding.ensure(this.#stopped.signal)));
    if (failed) return true;
    if (await this.#publishAll()) failed = true;
    if (await this.#deleteAll()) failed = true;
    if (await this.#updateTimes()) failed = true;
    if (await this.#touch()) failed = true;
    if (!failed) db.problem = undefined;
    if (Date.now() >= this.#renewAtMs) {
      this.#renewAtMs = Date.now() + RENEW_MS;
      await this.#attempt('renew', () => db.health.watch(db.binding.renew()));
    }
    if (Date.now() >= this.#refreshAtMs) {
      this.#refreshAtMs = Date.now() + REFRESH_MS;
      if (await this.#attempt('refresh', () => db.health.watch(refreshBelow(db, '', 'background')))) this.#refreshAtMs = Date.now() + 5_000;
    }
    return failed;
  }

  async #publishAll(): Promise<boolean> {
    const queue = Publisher.owed(this.#db).writes.sort((a, b) => a.sequence - b.sequence);
    let failed = false;
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !failed && !this.#stopped.signal.aborted; next = queue.shift()) {
        const pending = next;
        if (await this.#attempt('publish', () => this.#publish(pending))) failed = true;
      }
    };
    await Promise.all(Array.from({ length: PUBLISH_AT_ONCE }, worker));
    return failed;
  }

  #publish(pending: Pending): Promise<void> {
    const db = this.#db;
    const { path } = pending;
    return db.locks.run(path, async () => {
      if (db.spool.pending.get(path) !== pending || (await this.#isOvertaken(pending))) return;
      const mtimeMs = db.owedTimes.get(path) ?? pending.mtimeMs;
      const fd = openSync(pending.file, 'r');
      try {
        const options = { priority: 'background' as const, signal: this.#stopped.signal };
        await db.health.watch(putObject(db, path, bodyOfFile(fd, pending), metadataOf(path, pending, mtimeMs), options));
      } finally {
        closeSync(fd);
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
    const info = await db.health.watch(db.store.head(db.container, objectNameOf(path), { priority: 'background' }));
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

  async #deleteAll(): Promise<boolean> {
    const db = this.#db;
    // Another node that says "one" has it: what we think is garbage may be what it lives on.
    if (db.binding.refusal !== undefined) return false;
    const owed = Publisher.owed(db).deletes.sort((a, b) => a.sequence - b.sequence);
    while (owed.length > 0 && !this.#stopped.signal.aborted) {
      const batch = owed.splice(0, DELETES_AT_ONCE);
      const inBulk = batch.length >= FEWEST_FOR_BULK && db.settings.nodes === 'one';
      if (await this.#attempt('delete', () => (inBulk ? this.#deleteMany(batch) : this.#deleteEach(batch)))) return true;
    }
    return false;
  }

  async #deleteEach(batch: readonly Tombstone[]): Promise<void> {
    const db = this.#db;
    const queue = [...batch];
    const check = db.settings.nodes === 'many';
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !this.#stopped.signal.aborted; next = queue.shift()) {
        const { path } = next;
        await db.health.watch(db.locks.run(path, () => deleteOwed(db, path, { check, signal: this.#stopped.signal })));
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
          { priority: 'background', signal: this.#stopped.signal },
        ),
      );
      const current = before.filter(isCurrent);
      const { failed } = await db.health.watch(
        db.change(() =>
          db.store.deleteMany(
            db.container,
            current.map((t) => objectNameOf(t.path)),
            { priority: 'background' },
          ),
        ),
      );
      for (const t of current) if (!failed.has(objectNameOf(t.path))) await settleDeleted(db, t.path, t.sequence);
      const first = [...failed][0];
      if (first !== undefined)
        throw new FilestoreError('unavailable', `${failed.size} deletes failed, the first: ${first[0]}: ${first[1]}`);
    };
    await lockFrom(0);
  }

  /** mtimes set after close() on files Swift has; lost in a crash, which changes no content. */
  async #updateTimes(): Promise<boolean> {
    const db = this.#db;
    for (const [path, mtimeMs] of [...db.owedTimes]) {
      if (db.spool.pending.has(path) || db.live.has(path)) continue;
      const failed = await this.#attempt('times', async () => {
        await db.locks.run(path, async () => {
          if (db.owedTimes.get(path) !== mtimeMs) return;
          const times = { mtime: String(Math.round(mtimeMs)) };
          await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), times, { priority: 'background' }));
          const known = db.catalog.other(path);
          if (known === undefined || db.owedTimes.get(path) !== mtimeMs) return;
          db.learnOther(path, { ...known, mtimeMs });
          db.owedTimes.delete(path);
        });
      });
      if (failed) return true;
    }
    return false;
  }

  /** Blobs whose markers say that Odoo goes on using them (markers.ts). Lost in a crash. */
  async #touch(): Promise<boolean> {
    const db = this.#db;
    for (const path of [...db.touched]) {
      const failed = await this.#attempt('touch', async () => {
        await db.locks.run(path, async () => {
          if (!db.touched.delete(path) || db.catalog.sizeOf(path) === undefined) return;
          try {
            await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), {}, { priority: 'background' }));
          } catch (error) {
            db.touched.add(path);
            throw error;
          }
        });
      });
      if (failed) return true;
    }
    return false;
  }

  /** @returns whether it failed */
  async #attempt(what: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return false;
    } catch (error) {
      const kind = kindOf(error);
      if (this.#stopped.signal.aborted || kind === 'interrupted') return true;
      if (kind === 'unavailable') this.#db.log.debug(`publisher.${what}`, { reason: messageOf(error) });
      else {
        const message = messageOf(error);
        if (this.#db.problem !== message)
          this.#db.log.warn(`publisher.${what}-refused`, { database: displayName(this.#db.name), reason: message });
        this.#db.problem = message;
      }
      return true;
    }
  }
}
