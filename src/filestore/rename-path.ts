/**
 * Renames within a database. A name that becomes a content name is published by the rename, nothing before it; what the spool has is renamed there and
 * is durable when this answers, its PUT follows: a rename holds two directory locks in the kernel, so it waits for Swift's PUT only for a moment, and
 * only where other nodes are to find the file.
 *
 *   marker → marker            rename on this disk
 *   xx/SHA ⇄ xx/SHA.__gc       a record (on this machine only)
 *   pending → any              a record in the journal
 *   object → content name      into the spool, if its bytes hash to the name (rename-by-spool.ts), then as pending
 *   object → any other         server-side COPY, then a tombstone (rename-by-copy.ts); as pending where Swift does not say that it has copied, and
 *                              with several nodes where it takes another file's place
 *   empty directory            a record; a directory with something in it is EXDEV, so that mv and shutil copy it
 */
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError } from '../base/errors.js';
import { contentSha1, displayName, splitPath } from '../base/names.js';
import { Patience } from '../base/patience.js';
import { untilAborted } from '../base/until-aborted.js';
import type { Database } from './database.js';
import { forgetBuried } from './delete-path.js';
import type { Requester } from './filestore.js';
import { list } from './list-path.js';
import { lookup } from './lookup-path.js';
import { blobOfAlias, kindOfPath } from './path-kind.js';
import { endAlias } from './publish.js';
import { copyOrSeal } from './rename-by-copy.js';
import { takeForContentName, takeToReplace } from './rename-by-spool.js';
import { crossDevice, moveLive, moveTimes } from './rename-steps.js';

/** With several nodes, what gets a content name is readable on the others when this is answered, if Swift takes it so soon. */
const RENAME_WAIT_MS = 500;
/** After one that was waited for in vain the next are not: each would hold its two directories for as long. */
const RENAME_PAUSE_MS = 10_000;
/** Larger ones take longer, and would take the connections of those who wait for little. */
const RENAME_WAIT_BYTES = 1 << 20;

export async function rename(db: Database, from: string, to: string, noReplace: boolean, requester: Requester): Promise<void> {
  const [fromKind, toKind] = [kindOfPath(from), kindOfPath(to)];
  if (fromKind === 'marker' || toKind === 'marker') {
    if (fromKind !== toKind) throw crossDevice(from, to);
    db.local.rename(from, to, noReplace);
    return;
  }
  const source = await lookup(db, from, requester);
  if (source === undefined) throw new FilestoreError('not-found', `${displayName(from)} is not there`);
  if (from === to) return;
  const target = await lookup(db, to, requester);
  if (noReplace && target !== undefined) throw new FilestoreError('exists', `${displayName(to)} exists`);
  if (source.kind === 'directory') {
    await renameDirectory(db, from, to, target !== undefined, requester);
    return;
  }
  if (target?.kind === 'directory') throw new FilestoreError('is-directory', `${displayName(to)} is a directory`);
  if (fromKind === 'blob' && toKind === 'alias' && blobOfAlias(to) === from) {
    db.spool.addAlias(to, from);
    db.aliased.add(from);
    return;
  }
  if (fromKind === 'alias' && db.spool.aliases.has(from)) {
    await renameAlias(db, from, to);
    return;
  }
  if (toKind === 'alias')
    throw new FilestoreError('not-permitted', `${displayName(to)}: a name ending in .__gc is made by renaming its blob`);
  db.noteDirectory(splitPath(from).directory);
  await db.live.get(from)?.flush();
  if (!db.spool.pending.has(from)) await takeForContentName(db, from, to, requester);
  if (target !== undefined && source.sizeBytes <= db.settings.streamAboveBytes) await takeToReplace(db, from, to, requester);
  // A close meanwhile belongs to the name that the file has in the end, also when this rename fails.
  const decided = [db.live.get(from), db.live.get(to)].map((live) => live?.holdName());
  try {
    while (!db.spool.pending.has(from)) if (await copyOrSeal(db, from, to, requester)) return;
    await renamePending(db, from, to);
  } finally {
    for (const decide of decided) decide?.();
  }
  if (contentSha1(to) !== undefined) await untilSent(db, to, requester);
}

async function untilSent(db: Database, path: string, requester: Requester): Promise<void> {
  const { settings, health, putFailure } = db;
  if (settings.nodes === 'one' || settings.writeMode === 'back' || health.isAway || putFailure !== undefined) return;
  if ((db.spool.pending.get(path)?.sizeBytes ?? 0) > RENAME_WAIT_BYTES || steadyNowMs() < db.renameWaitsFromMs) return;
  const patience = new Patience(requester.signal, RENAME_WAIT_MS);
  const givenUp = (): FilestoreError => new FilestoreError('interrupted', 'not waited for');
  // It is durable here: how far its PUT has come is no error of the rename.
  await untilAborted(db.publishNow(path), patience.signal, givenUp).catch(() => undefined);
  patience.end();
  if (db.spool.pending.has(path)) db.renameWaitsFromMs = steadyNowMs() + RENAME_PAUSE_MS;
}

async function renameDirectory(db: Database, from: string, to: string, targetExists: boolean, requester: Requester): Promise<void> {
  if ((await list(db, from, requester)).length > 0) throw crossDevice(from, to);
  if (targetExists && (await list(db, to, requester)).length > 0) throw new FilestoreError('not-empty', `${displayName(to)} is not empty`);
  if ((await db.origin?.stat(from)) !== undefined) throw crossDevice(from, to);
  db.spool.renameDirectory(from, to);
  db.firstMakers.settled(from);
  db.firstMakers.settled(to);
  db.absence.end(to);
  db.absence.said(from);
}

async function renameAlias(db: Database, alias: string, to: string): Promise<void> {
  const blob = blobOfAlias(alias);
  if (to !== blob) throw crossDevice(alias, to);
  db.spool.removeAlias(alias);
  db.aliased.delete(blob);
  await db.spool.sync();
}

async function renamePending(db: Database, from: string, to: string): Promise<void> {
  const pending = db.spool.pending.get(from);
  const sha1 = contentSha1(to);
  if (pending !== undefined && sha1 !== undefined && pending.sha1 !== sha1) {
    throw new FilestoreError(
      'corrupt',
      `${displayName(from)} does not hash to ${displayName(to)}: it keeps its name, and nothing is stored under the other`,
    );
  }
  endAlias(db, to);
  // A PUT of the old name may be on its way, or may have been carried out without our hearing of it.
  await db.spool.renamePending(from, to, { bury: kindOfPath(from) !== 'temporary' });
  moveLive(db, from, to);
  const renamed = db.spool.pending.get(to);
  const verified = pending === undefined ? undefined : db.verifiedSeals.get(pending.sequence);
  if (renamed !== undefined && verified !== undefined) db.verifiedSeals.set(renamed.sequence, verified);
  moveTimes(db, from, to);
  const tombstone = db.spool.tombstones.get(from);
  if (tombstone !== undefined) await forgetBuried(db, tombstone);
  db.absence.end(to);
  db.wake();
}
