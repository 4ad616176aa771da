/**
 * What is pending goes to Swift, oldest first.
 *
 * What may interleave: each PUT re-checks, under the blob's lock, that its record is still the current one.
 */
import { forEachAtOnce } from '../base/at-once.js';
import { steadyNowMs } from '../base/clock.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Pending } from '../spool/spool.js';
import type { RequestOptions } from '../store/object-store.js';
import { isToCome, storeNowMs } from '../store/store-now.js';
import { learnInfo, sized } from './ask-swift.js';
import type { Attempts } from './attempts.js';
import type { Database } from './database.js';
import { isClosedHere, metadataOf } from './object-metadata.js';
import { owedWrites } from './owed.js';
import { kindOfPath } from './path-kind.js';
import { bodyOfFile, cacheKeyOf, learn, putObject } from './publish.js';
import { openSealed } from './sealed-file.js';

/** What the store leaves to background work of its 16 connections; where it leaves less, the rest waits there behind readers and writers. */
const PUBLISHED_AT_ONCE = 12;
/** What came meanwhile, and deletes, do not wait for what has not moved for so long: one PUT that is not answered, a file of gigabytes. */
const LONG_MS = 2_000;
/** Together with those that take long. */
const RUNNING_MOST = 16;

/** One that Swift refuses does not stop the others; an outage stops all. */
export class PendingPublisher {
  readonly #db: Database;
  readonly #attempts: Attempts;
  /** By path. */
  readonly #running = new Map<string, Promise<void>>();
  /** Rounds that go on behind their turn. */
  readonly #rounds = new Set<Promise<void>>();

  constructor(db: Database, attempts: Attempts) {
    this.#db = db;
    this.#attempts = attempts;
  }

  /** What is pending now, oldest first. Resolves when each has been tried, or when none has come to its end for a while. Never rejects. */
  async turn(): Promise<void> {
    // As it stands now: what comes meanwhile is for the next turn, so that deletes have theirs.
    const owed = [...owedWrites(this.#db.spool)];
    const atOnce = Math.min(PUBLISHED_AT_ONCE, Math.max(0, RUNNING_MOST - this.#running.size));
    let endedMs = steadyNowMs();
    const round = forEachAtOnce(this.#attempts.begun(owed), atOnce, async (pending) => {
      if (!this.#running.has(pending.path)) await this.#run(pending.path, this.#attempts.request);
      endedMs = steadyNowMs();
    });
    let watch: NodeJS.Timeout | undefined;
    const isLong = new Promise<void>((resolve) => {
      watch = setInterval(() => {
        if (steadyNowMs() - endedMs >= LONG_MS) resolve();
      }, LONG_MS / 4).unref();
    });
    this.#rounds.add(round);
    void round.then(() => this.#rounds.delete(round));
    await Promise.race([round, isLong]);
    clearInterval(watch);
    // When it is to be tried again is known then.
    if (this.#rounds.has(round)) void round.then(() => this.#db.wake());
  }

  /** Somebody waits for this one. Never rejects. */
  async now(path: string): Promise<void> {
    await this.#running.get(path);
    if (this.#db.spool.pending.has(path) && !this.#attempts.mustStop && !this.#running.has(path))
      await this.#run(path, { ...this.#attempts.request, priority: 'write' });
  }

  /** After the stop of its attempts. */
  async ended(): Promise<void> {
    await Promise.all([...this.#rounds, ...this.#running.values()]);
  }

  async #run(path: string, request: PublishRequest): Promise<void> {
    const pending = this.#db.spool.pending.get(path);
    if (pending === undefined) return;
    const running = this.#attempts.run(`publish ${path}`, () => publish(this.#db, request, pending)).then(() => undefined);
    this.#running.set(path, running);
    await running;
    this.#running.delete(path);
  }
}

type PublishRequest = RequestOptions & { readonly signal: AbortSignal };

function publish(db: Database, request: PublishRequest, pending: Pending): Promise<void> {
  const { path } = pending;
  return db.locks.run(path, async () => {
    if (db.spool.pending.get(path) !== pending || (await isOvertaken(db, request, pending)) || db.spool.pending.get(path) !== pending)
      return;
    const mtimeMs = db.owedTimes.get(path) ?? pending.mtimeMs;
    const given = new AbortController();
    const options = { ...request, signal: AbortSignal.any([request.signal, given.signal]) };
    // After a restart its bytes are hashed once: what changed on this disk is not sent.
    const sealed = await openSealed(db, pending);
    db.publishing.set(path, given);
    try {
      if (db.spool.pending.get(path) !== pending) return;
      await db.health.watch(putObject(db, path, bodyOfFile(sealed.fd, pending), metadataOf(db, path, pending, mtimeMs), options));
    } finally {
      db.publishing.delete(path);
      sealed.close();
    }
    if (db.spool.pending.get(path) !== pending) return;
    learn(db, path, pending, mtimeMs);
    const isOnDisk = db.spool.lateBytes(pending) === undefined;
    await db.release(pending, { keepFile: true });
    if (isOnDisk) await db.cache.adopt(cacheKeyOf(path, pending.md5), pending.file, pending.sizeBytes);
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
  // A PUT of ours that ended after this close, e.g. one that was tried again: what is pending is the last that this machine closed.
  if (info !== undefined && isClosedHere(db, info)) return false;
  const changed = info !== undefined && info.md5 !== db.catalog.other(path)?.md5 && info.md5 !== pending.md5;
  if (!changed || info.lastModifiedMs <= pending.sealedAtMs || isToCome(info.lastModifiedMs, storeNowMs(db.store))) return false;
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
