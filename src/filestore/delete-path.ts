/**
 * Deletes. A tombstone is written before the answer, the DELETE follows in the background (tell-deletes.ts): Odoo's garbage collector holds a table lock
 * while it unlinks.
 *
 * With `nodes: many` another node may write the same blob anew at any moment, and a DELETE that comes late would destroy it. So the DELETE is
 * sent before the answer; what could not be sent within a second, and what has to wait out `gc_grace`, is checked again before it is sent (revival.ts). What remains
 * is the time between that HEAD and its DELETE, some milliseconds: Swift itself puts requests in the order in which they reach it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf, StoreNotAsked } from '../base/errors.js';
import { contentSha1, displayName, joinPath, objectNameOf, splitPath } from '../base/names.js';
import type { Tombstone } from '../spool/spool.js';
import type { RequestOptions } from '../store/object-store.js';
import { assertContainer, isDontKnow, learnInfo, sized } from './ask-swift.js';
import type { Database } from './database.js';
import type { Requester } from './filestore.js';
import { list } from './list-path.js';
import { lookup } from './lookup-path.js';
import { isDue } from './owed.js';
import { blobOfAlias, kindOfPath } from './path-kind.js';
import { cacheKeyOf } from './publish.js';
import { believe } from './revival.js';

/**
 * With several nodes, a delete that had to wait is told no sooner than this after it was made, and after the return of Swift: that is when the other nodes
 * send what they owe, and a PUT of the same name must not come between the look and the DELETE.
 */
const SETTLE_MS = 3_000;
/** So long after the look the DELETE may be sent, and repeated; then it is looked at again. */
const LOOK_VALID_MS = 1_000;
/** With several nodes, a DELETE that could not be sent this soon after the unlink is looked at again first. */
const AT_ONCE_MS = 1_000;
/** For so long an unlink that waits out `gc_grace` lets a PUT of its blob end. */
const STORED_MS = 500;

export async function unlink(db: Database, path: string, requester: Requester): Promise<void> {
  const kind = kindOfPath(path);
  if (kind === 'marker') {
    db.local.unlink(path);
    return;
  }
  if (kind === 'alias' && db.spool.aliases.has(path)) {
    await untilStored(db, blobOfAlias(path));
    const target = db.spool.aliases.get(path);
    if (target === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
    db.spool.removeAlias(path);
    if (target === '' || !db.aliased.delete(target)) return;
    // Odoo's collector looks at markers only, and those of the other nodes are not here.
    await bury(db, blobOfAlias(path), db.settings.nodes === 'many' ? db.settings.gcGraceMs : 0);
    return;
  }
  const known = db.live.has(path) || db.spool.pending.has(path) || db.catalog.sizeOf(path) !== undefined;
  if (!known && (await lookup(db, path, requester)) === undefined)
    throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  // It stays when this was its last file, for the rmdir of who removes a tree.
  db.noteDirectory(splitPath(path).directory);
  await bury(db, path);
}

/**
 * A blob whose PUT is under way is deleted after it. Cut off, Swift may store it all the same, and when the grace is over nothing tells that from what
 * another node has put there since the delete. One that hangs is cut off.
 */
async function untilStored(db: Database, path: string): Promise<void> {
  const sending = db.settings.nodes === 'many' && !db.health.isAway ? db.publishing.get(path) : undefined;
  if (sending !== undefined) await Promise.race([sending.ended, delay(STORED_MS, undefined, { ref: false })]);
}

/** The name is gone from this moment on, whoever still has it. @param graceMs how long Swift is not told */
async function bury(db: Database, path: string, graceMs = 0): Promise<void> {
  const md5 = db.catalog.other(path)?.md5 ?? db.spool.pending.get(path)?.md5 ?? '';
  const temporary = kindOfPath(path) === 'temporary' || kindOfPath(path) === 'alias';
  const due = graceMs > 0 ? { dueAtMs: Date.now() + graceMs } : {};
  const tombstone = db.spool.bury(path, { owedToSwift: !temporary, ...due });
  await forgetBuried(db, tombstone, md5);
}

/** What a tombstone that was just written leads to. @param md5 of the bytes that are gone, where they are not known to be in Swift */
export async function forgetBuried(db: Database, tombstone: Tombstone, md5 = db.catalog.other(tombstone.path)?.md5 ?? ''): Promise<void> {
  const { path } = tombstone;
  // Stored after its delete, it would look like another node's. With one node it is not, and the delete waits for it.
  const sending = db.settings.nodes === 'many' ? db.publishing.get(path) : undefined;
  if (sending !== undefined) {
    sending.abort();
    db.cutShort.add(path);
  }
  db.unlearn(path);
  db.owedTimes.delete(path);
  db.touched.delete(path);
  db.damaged.delete(path);
  db.live.get(path)?.unlink();
  // The cache is one for all databases: a copy of this one, or what it was renamed to, is read from it while Swift is away.
  if (contentSha1(path) === undefined || !db.isElsewhere(path)) db.cache.forget(cacheKeyOf(path, md5));
  if (!tombstone.owedToSwift) db.spool.markDeleted(tombstone, { keep: false });
  else if (db.settings.nodes === 'many' && !db.health.isAway && db.binding.isBound && isDue(tombstone)) await deleteNow(db, path);
  db.wake();
}

/** The whole database is dropped: nobody can want one of its files again, so no delete waits any more. */
export function endGrace(db: Database): void {
  for (const tombstone of [...db.spool.tombstones.values()]) {
    if (tombstone.owedToSwift && !isDue(tombstone)) db.spool.bury(tombstone.path, { owedToSwift: true });
  }
}

/** When Swift may be told of a delete that was not told at once, on the clock of `steadyNowMs`; Infinity when it is not owed. */
export function lateDueMs({ settings, health, store }: Database, { owedToSwift, dueAtMs, deletedAtMs }: Tombstone): number {
  if (!owedToSwift) return Infinity;
  const dueMs = (dueAtMs ?? 0) - Date.now() + steadyNowMs();
  return settings.nodes === 'one' ? dueMs : Math.max(dueMs, deletedAtMs - store.clockAheadMs + SETTLE_MS, health.backAtMs + SETTLE_MS);
}

async function deleteNow(db: Database, path: string): Promise<void> {
  const late = AbortSignal.timeout(AT_ONCE_MS);
  const answered = new AbortController();
  const signal = AbortSignal.any([late, answered.signal]);
  try {
    await db.health.answerOrAway(() => db.locks.run(path, () => deleteOwed(db, path, { check: false, signal })), late);
  } catch (error) {
    // What goes on would be sent, unseen, after unlink has answered.
    answered.abort();
    if (!late.aborted && !isDontKnow(error)) throw error;
    db.log.debug('delete.deferred', { path: displayName(path), reason: messageOf(error) });
  }
}

interface DeleteOptions {
  /** Look first whether somebody else has stored it since. */
  readonly check: boolean;
  readonly signal?: AbortSignal;
}

/** Tells Swift, under the blob's lock, unless the name has been written anew. */
export async function deleteOwed(db: Database, path: string, { check, signal }: DeleteOptions): Promise<void> {
  const tombstone = db.spool.tombstones.get(path);
  if (tombstone === undefined || !isDue(tombstone)) return;
  const priority = db.settings.nodes === 'many' ? ('write' as const) : ('background' as const);
  const options = { priority, tries: 'few' as const, ...(signal && { signal }) };
  // Before the look: a copy may take Swift minutes, and what another node stores meanwhile must be seen.
  if (!db.trash.isOff) await db.health.watch(db.trash.keep(path, options));
  const found = check ? await lookAgain(db, path, options) : 'old';
  if (found === 'newer' || db.spool.tombstones.get(path)?.sequence !== tombstone.sequence) return;
  // Swift may still carry out a PUT whose answer nobody waited for.
  if (found === 'old' || db.cutShort.has(path)) {
    const startedMs = steadyNowMs();
    const send = (more?: { signal: AbortSignal }): Promise<boolean> =>
      db.health.watch(db.change(() => db.store.delete(db.container, objectNameOf(path), { ...options, ...more })));
    const wasThere = await (check ? soonAfterLook(send, signal) : send());
    if (!wasThere) await db.health.watch(assertContainer(db, startedMs));
  }
  await settleDeleted(db, path, tombstone.sequence);
}

/**
 * Later, or repeated later, it would be a DELETE without a look. One that Swift has got and is slow with is carried out all the same: the next look shows it.
 * @throws StoreNotAsked when it has to be looked at again
 */
async function soonAfterLook(
  send: (options: { signal: AbortSignal }) => Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const over = AbortSignal.timeout(LOOK_VALID_MS);
  try {
    return await send({ signal: signal === undefined ? over : AbortSignal.any([signal, over]) });
  } catch (error) {
    if (!over.aborted || signal?.aborted === true || kindOf(error) !== 'interrupted') throw error;
    throw new StoreNotAsked(`no answer to a DELETE within ${LOOK_VALID_MS} ms after the look`);
  }
}

async function lookAgain(db: Database, path: string, options: RequestOptions): Promise<'gone' | 'newer' | 'old'> {
  const askedAtMs = steadyNowMs();
  const info = await db.health.watch(db.store.head(db.container, objectNameOf(path), options));
  if (info === undefined) {
    await db.health.watch(assertContainer(db, askedAtMs));
    return 'gone';
  }
  if (!believe(db, path, info)) return 'old';
  learnInfo(db, path, sized(path, info), askedAtMs);
  return 'newer';
}

/** Swift has deleted it: the tombstone ends, or stays for as long as an origin has the name. */
export async function settleDeleted(db: Database, path: string, sequence: number): Promise<void> {
  db.ownChanges.noteDeleted(path);
  db.cutShort.delete(path);
  const inOrigin = await mayBeInOrigin(db, path);
  const tombstone = db.spool.tombstones.get(path);
  if (tombstone?.sequence !== sequence) return;
  // A list of names that a power cut took back may have it still.
  db.unlearn(path);
  db.spool.markDeleted(tombstone, { keep: inOrigin });
  if (!inOrigin) db.absence.said(path);
}

/** One that fails now would bring the name back later. */
async function mayBeInOrigin(db: Database, path: string): Promise<boolean> {
  // Not to wait for it at each of many.
  if (db.origin?.trouble !== undefined) return true;
  try {
    return (await db.origin?.stat(path)) !== undefined;
  } catch (error) {
    db.log.debug('delete.origin-failed', { path: displayName(path), reason: messageOf(error) });
    return true;
  }
}

export async function rmdir(db: Database, path: string, requester: Requester): Promise<void> {
  if (kindOfPath(path) === 'marker') {
    db.local.rmdir(path);
    return;
  }
  const stat = await lookup(db, path, requester);
  if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  if (stat.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(path)} is a file`);
  const names = await list(db, path, requester);
  // A listing of Swift may show a name that is gone already: ask for each before "not empty" is said, unless it is plainly ours.
  for (const { name } of names) {
    if ((await lookup(db, joinPath(path, name), requester)) !== undefined)
      throw new FilestoreError('not-empty', `${displayName(path)} is not empty`);
  }
  db.spool.removeDirectory(path);
  db.firstMakers.settled(path);
  db.absence.said(path);
  if ((await mayBeInOrigin(db, path)) && !db.isBuried(path))
    db.spool.markDeleted(db.spool.bury(path, { owedToSwift: false }), { keep: true });
}

export async function mkdir(db: Database, path: string, requester: Requester): Promise<void> {
  if (kindOfPath(path) === 'marker') {
    db.local.mkdir(path);
    return;
  }
  const isPromised = db.firstMakers.isMaker(path, requester.pid);
  const exists = !isPromised && (db.spool.directories.has(path) || (await lookup(db, path, requester)) !== undefined);
  if (exists) throw new FilestoreError('exists', `${displayName(path)} exists`);
  // One that is owed is a file's, which Swift has until it is told: it would rise again when the directory goes.
  if (db.spool.tombstones.get(path)?.owedToSwift === false) db.spool.exhume(path);
  db.absence.end(path);
  db.recordDirectory(path);
  db.firstMakers.settled(path);
}
