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

/** One that Swift refuses does not stop the others; an outage stops all. Never rejects. */
export function publishPending(db: Database, attempts: Attempts): Promise<void> {
  // As it stands now: what comes meanwhile is for the next turn, so that deletes have theirs.
  const owed = [...owedWrites(db.spool)];
  return forEachAtOnce(attempts.begun(owed), PUBLISHED_AT_ONCE, async (pending) => {
    await attempts.run(`publish ${pending.path}`, () => publish(db, attempts, pending));
  });
}

/** Somebody waits for this one. Never rejects. */
export async function publishNow(db: Database, attempts: Attempts, path: string): Promise<void> {
  const pending = db.spool.pending.get(path);
  if (pending === undefined || attempts.mustStop) return;
  await attempts.run(`publish ${path}`, () => publish(db, { request: { ...attempts.request, priority: 'write' } }, pending));
}

type Sending = { readonly request: RequestOptions & { readonly signal: AbortSignal } };

function publish(db: Database, { request }: Sending, pending: Pending): Promise<void> {
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
