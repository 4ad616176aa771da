/**
 * What is pending goes to Swift, oldest first.
 *
 * What may interleave: each PUT re-checks, under the blob's lock, that its record is still the current one.
 */
import { steadyNowMs } from '../base/clock.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Pending } from '../spool/spool.js';
import type { RequestOptions } from '../store/object-store.js';
import { isToCome, storeNowMs } from '../store/store-now.js';
import { learnInfo, sized } from './ask-swift.js';
import type { Attempts } from './attempts.js';
import type { Database } from './database.js';
import { closedElsewhereMs, metadataOf } from './object-metadata.js';
import { owedWrites } from './owed.js';
import { kindOfPath } from './path-kind.js';
import { bodyOfFile, cacheKeyOf, learn, putObject } from './publish.js';
import { openSealed } from './sealed-file.js';

/** What the store leaves to background work of its 16 connections; where it leaves less, the rest waits there behind readers and writers. */
const PUBLISHED_AT_ONCE = 12;
/** Of those that have hung before. */
const HUNG_AT_ONCE = 4;

/** What a PUT is called (`Attempts.run`), with its path behind it. */
const PUBLISH = 'publish ';
/** Deletes do not wait for what has not moved for so long: a PUT that is not answered, a file of gigabytes. */
const LONG_MS = 2_000;
const LONG_LOOK_MS = 250;

/**
 * Goes on beside the publisher's turns, so that a PUT that hangs holds up nothing but itself. One that Swift refuses does not stop the others; an
 * outage stops all. Those that hang are the oldest, and come first each time: so once they are known they get a few of the places, or a dozen of them
 * would keep all others from Swift for good. Nothing here rejects.
 */
export class PendingPublisher {
  readonly #db: Database;
  readonly #attempts: Attempts;
  readonly #workers = new Set<Promise<void>>();
  /** When the PUT of a worker began, by path, on the clock of `steadyNowMs`. */
  readonly #sinceMs = new Map<string, number>();
  /** Paths whose last PUT took long, and in vain. */
  readonly #hung = new Set<string>();
  /** What somebody waits for, beside the workers. */
  readonly #urgent = new Set<Promise<void>>();
  /** Paths; the oldest is the last. */
  #left: string[] = [];
  #onEnd: () => void = () => undefined;

  constructor(db: Database, attempts: Attempts) {
    this.#db = db;
    this.#attempts = attempts;
  }

  /** Begins to send what pends and is due, as it stands now. What comes later is for the next call: the database is woken when that is of use. */
  begin(): void {
    const { size } = this.#workers;
    if (size >= PUBLISHED_AT_ONCE || this.#left.length > 0) return;
    const due = this.#due();
    this.#left = due.reverse();
    for (let more = Math.min(PUBLISHED_AT_ONCE - size, due.length); more > 0; more--) {
      const worker = this.#work().finally(() => {
        this.#workers.delete(worker);
        // For what came meanwhile, and for the time at which what failed is tried again.
        this.#db.wake();
      });
      this.#workers.add(worker);
    }
  }

  /** Oldest first, and behind them those that have hung. */
  #due(): string[] {
    const { spool, publishing } = this.#db;
    const { retries } = this.#attempts;
    for (const path of this.#hung) if (!spool.pending.has(path)) this.#hung.delete(path);
    let hung = this.#hungUnderWay;
    const due: string[] = [];
    for (const { path } of owedWrites(spool)) {
      if (!this.#hung.has(path) && !publishing.has(path) && retries.isDue(PUBLISH + path)) due.push(path);
    }
    // Those whose last try is the longest ago: the same few would have the places for ever otherwise.
    for (const path of this.#hung) {
      if (hung >= HUNG_AT_ONCE) break;
      if (publishing.has(path) || !retries.isDue(PUBLISH + path)) continue;
      hung++;
      due.push(path);
    }
    return due;
  }

  get #hungUnderWay(): number {
    let count = 0;
    for (const path of this.#sinceMs.keys()) if (this.#hung.has(path)) count++;
    return count;
  }

  /** Resolves when all that was begun has been tried, or takes long. */
  async tried(): Promise<void> {
    const isShort = (sinceMs: number): boolean => steadyNowMs() - sinceMs < LONG_MS;
    while ([...this.#sinceMs.values()].some(isShort)) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LONG_LOOK_MS);
        this.#onEnd = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Whether a piece of work could begin now. Where it is a PUT that cannot, the database is woken as soon as it can. */
  mayBegin(work: string): boolean {
    if (!work.startsWith(PUBLISH)) return true;
    const path = work.slice(PUBLISH.length);
    if (this.#hung.has(path) && this.#hungUnderWay >= HUNG_AT_ONCE) return false;
    return this.#workers.size < PUBLISHED_AT_ONCE && !this.#db.publishing.has(path);
  }

  /** Somebody waits for this one. */
  now(path: string): Promise<void> {
    const urgent = this.#urgently(path).finally(() => {
      this.#urgent.delete(urgent);
      this.#db.wake();
    });
    this.#urgent.add(urgent);
    return urgent;
  }

  /** After the stop of the attempts. */
  async ended(): Promise<void> {
    await Promise.all([...this.#workers, ...this.#urgent]);
  }

  async #work(): Promise<void> {
    for (let path = this.#left.pop(); path !== undefined; path = this.#left.pop()) {
      if (this.#attempts.mustStop) this.#left = [];
      else if (!this.#db.publishing.has(path)) {
        const [before, sinceMs] = [this.#db.spool.pending.get(path), steadyNowMs()];
        this.#sinceMs.set(path, sinceMs);
        await this.#send(path, 'background');
        this.#sinceMs.delete(path);
        const isInVain = before !== undefined && this.#db.spool.pending.get(path) === before;
        this.#hung.delete(path);
        if (isInVain && steadyNowMs() - sinceMs >= LONG_MS) this.#hung.add(path);
        this.#onEnd();
      }
    }
  }

  async #urgently(path: string): Promise<void> {
    const { publishing } = this.#db;
    // Perhaps of bytes that have been replaced since.
    for (let other = publishing.get(path); other !== undefined; other = publishing.get(path)) await other.ended;
    if (!this.#attempts.mustStop) await this.#send(path, 'write');
  }

  async #send(path: string, priority: 'write' | 'background'): Promise<void> {
    const { publishing, spool } = this.#db;
    const pending = spool.pending.get(path);
    if (pending === undefined) return;
    const given = new AbortController();
    const { request } = this.#attempts;
    const options = { ...request, priority, signal: AbortSignal.any([request.signal, given.signal]) };
    const ended = this.#attempts.run(PUBLISH + path, () => publish(this.#db, options, pending)).then(() => undefined);
    publishing.set(path, { abort: () => given.abort(), ended });
    await ended;
    publishing.delete(path);
    if (spool.tombstones.has(path)) this.#db.wake();
  }
}

function publish(db: Database, request: RequestOptions, pending: Pending): Promise<void> {
  const { path } = pending;
  return db.locks.run(path, async () => {
    if (db.spool.pending.get(path) !== pending || (await isOvertaken(db, request, pending)) || db.spool.pending.get(path) !== pending)
      return;
    const mtimeMs = db.owedTimes.get(path) ?? pending.mtimeMs;
    // After a restart its bytes are hashed once: what changed on this disk is not sent.
    const sealed = await openSealed(db, pending);
    try {
      if (db.spool.pending.get(path) !== pending) return;
      const metadata = metadataOf(db, path, pending, mtimeMs, pending.sealedAtMs);
      await db.health.watch(putObject(db, path, bodyOfFile(sealed.fd, pending), metadata, request));
    } finally {
      sealed.close();
    }
    if (db.spool.pending.get(path) !== pending) return;
    learn(db, path, pending, mtimeMs);
    const isOnDisk = db.spool.lateBytes(pending) === undefined;
    const verified = db.verifiedSeals.get(pending.sequence);
    await db.release(pending, { keepFile: true });
    if (isOnDisk) await db.cache.adopt(cacheKeyOf(path, pending.md5), pending.file, pending.sizeBytes, verified);
  });
}

/**
 * Whether another node closed a file of this name later than we did: then its bytes are the ones that count, and ours were overwritten.
 * Content-named files are the same wherever they come from.
 */
async function isOvertaken(db: Database, request: RequestOptions, pending: Pending): Promise<boolean> {
  const { path } = pending;
  if (db.settings.nodes === 'one' || kindOfPath(path) !== 'other') return false;
  const askedAtMs = steadyNowMs();
  const info = await db.health.watch(db.store.head(db.container, objectNameOf(path), request));
  const closedAtMs = info && closedElsewhereMs(db, info, db.catalog.other(path)?.md5);
  if (info === undefined || closedAtMs === undefined) return false;
  if (closedAtMs <= pending.sealedAtMs || isToCome(closedAtMs, storeNowMs(db.store))) return false;
  if (db.spool.pending.get(path) !== pending) return false;
  db.log.info('publisher.overtaken', {
    database: displayName(db.name),
    path: displayName(path),
    meaning: 'another node closed this file later: the last close wins',
  });
  db.owedTimes.delete(path);
  await db.release(pending, { keepFile: false });
  learnInfo(db, path, sized(path, info), askedAtMs);
  db.changed(path);
  return true;
}
