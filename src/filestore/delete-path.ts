/**
 * Deletes. A tombstone is written before the answer, the DELETE follows in the background (publisher.ts): Odoo's garbage collector holds a table lock
 * while it unlinks. With `nodes: many` the DELETE goes first, because another node may write the same blob anew at any moment (ruling 10).
 */
import { FilestoreError, messageOf } from '../base/errors.js';
import { displayName, joinPath, objectNameOf } from '../base/names.js';
import { isDontKnow } from './ask-swift.js';
import type { Database } from './database.js';
import type { Requester } from './filestore.js';
import { list } from './list-path.js';
import { lookup } from './lookup-path.js';
import { blobOfAlias, kindOfPath } from './path-kind.js';
import { cacheKeyOf } from './publish.js';

export async function unlink(db: Database, path: string, requester: Requester): Promise<void> {
  const kind = kindOfPath(path);
  if (kind === 'marker') {
    db.local.unlink(path);
    return;
  }
  if (kind === 'alias' && db.spool.aliases.has(path)) {
    const target = db.spool.aliases.get(path) ?? '';
    db.spool.removeAlias(path);
    if (target === '' || !db.aliased.delete(target)) return;
    await bury(db, blobOfAlias(path));
    return;
  }
  const known = db.live.has(path) || db.spool.pending.has(path) || db.catalog.sizeOf(path) !== undefined;
  if (!known && (await lookup(db, path, requester)) === undefined)
    throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  await bury(db, path);
}

/** The name is gone from this moment on, whoever still has it. */
export async function bury(db: Database, path: string): Promise<void> {
  const md5 = db.catalog.other(path)?.md5 ?? db.spool.pending.get(path)?.md5 ?? '';
  const temporary = kindOfPath(path) === 'temporary' || kindOfPath(path) === 'alias';
  const tombstone = db.spool.bury(path, { owedToSwift: !temporary });
  db.unlearn(path);
  db.owedTimes.delete(path);
  db.live.get(path)?.unlink();
  db.cache.forget(cacheKeyOf(path, md5));
  if (temporary) db.spool.markDeleted(tombstone, { keep: false });
  else if (db.settings.nodes === 'many' && !db.health.isAway) await deleteNow(db, path);
  db.wake();
}

async function deleteNow(db: Database, path: string): Promise<void> {
  try {
    await db.health.answerOrAway(() => db.locks.run(path, () => deleteOwed(db, path)));
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    db.log.debug('delete.deferred', { path: displayName(path), reason: messageOf(error) });
  }
}

/** Tells Swift, under the blob's lock, unless the name has been written anew. */
export async function deleteOwed(db: Database, path: string): Promise<void> {
  const tombstone = db.spool.tombstones.get(path);
  if (tombstone?.owedToSwift !== true) return;
  await db.change(() =>
    db.store.delete(db.container, objectNameOf(path), { priority: db.settings.nodes === 'many' ? 'write' : 'background' }),
  );
  await settleDeleted(db, path, tombstone.sequence);
}

/** Swift has deleted it: the tombstone ends, or stays for as long as an origin has the name. */
export async function settleDeleted(db: Database, path: string, sequence: number): Promise<void> {
  db.noteDeleted(path);
  const inOrigin = (await db.origin?.stat(path)) !== undefined;
  const tombstone = db.spool.tombstones.get(path);
  if (tombstone?.sequence !== sequence) return;
  db.spool.markDeleted(tombstone, { keep: inOrigin });
  if (!inOrigin) db.absence.said(path);
}

export async function rmdir(db: Database, path: string, requester: Requester): Promise<void> {
  if (kindOfPath(path) === 'marker') {
    db.local.rmdir(path);
    return;
  }
  const stat = await lookup(db, path, requester);
  if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  if (stat.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(path)} is a file`);
  const names = await list(db, path, requester.signal);
  // A listing of Swift may show a name that is gone already: ask for each before "not empty" is said, unless it is plainly ours.
  for (const { name } of names) {
    if ((await lookup(db, joinPath(path, name), requester)) !== undefined)
      throw new FilestoreError('not-empty', `${displayName(path)} is not empty`);
  }
  db.spool.removeDirectory(path);
  db.absence.said(path);
  if ((await db.origin?.stat(path)) !== undefined) db.spool.markDeleted(db.spool.bury(path, { owedToSwift: false }), { keep: true });
}

export async function mkdir(db: Database, path: string, requester: Requester): Promise<void> {
  if (kindOfPath(path) === 'marker') {
    db.local.mkdir(path);
    return;
  }
  const exists = db.spool.directories.has(path) || (await lookup(db, path, requester)) !== undefined;
  if (exists) throw new FilestoreError('exists', `${displayName(path)} exists`);
  if (db.isBuried(path)) db.spool.exhume(path);
  db.absence.end(path);
  db.recordDirectory(path);
}
