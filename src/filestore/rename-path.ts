/**
 * Renames within a database. A name that becomes a content name is published by the rename, nothing before it; what the spool has is renamed there and
 * is durable when this answers, its PUT follows: a rename holds two directory locks in the kernel, so it waits for Swift's PUT only for a moment, and
 * only where other nodes are to find the file.
 *
 *   marker → marker            rename on this disk
 *   xx/SHA ⇄ xx/SHA.__gc       a record (on this machine only)
 *   pending → any              a record in the journal
 *   object → content name      into the spool, if its bytes hash to the name, then as pending
 *   object → any other         server-side COPY, then a tombstone; as pending where Swift does not say that it has copied, and with several nodes
 *                              where it takes another file's place
 *   empty directory            a record; a directory with something in it is EXDEV, so that mv and shutil copy it
 */
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf } from '../base/errors.js';
import type { FileDigest } from '../base/file-digest.js';
import { contentSha1, displayName, objectNameOf } from '../base/names.js';
import { Patience } from '../base/patience.js';
import { untilAborted } from '../base/until-aborted.js';
import type { HeldFile } from '../cache/cache.js';
import type { StagingFile } from '../spool/spool.js';
import { headOf } from './ask-swift.js';
import type { KnownObject } from './catalog.js';
import type { Database } from './database.js';
import { forgetBuried, unlink } from './delete-path.js';
import type { Requester } from './filestore.js';
import { list } from './list-path.js';
import { lookup } from './lookup-path.js';
import { closedHere } from './object-metadata.js';
import { blobOfAlias, kindOfPath } from './path-kind.js';
import { endAlias, seal } from './publish.js';
import { fillWhole } from './read-path.js';

/** With several nodes, what gets a content name is readable on the others when this is answered, if Swift takes it so soon. */
const RENAME_WAIT_MS = 500;
/** After one that was waited for in vain the next are not: each would hold its two directories for as long. */
const RENAME_PAUSE_MS = 10_000;
/** Larger ones take longer, and would take the connections of those who wait for little. */
const RENAME_WAIT_BYTES = 1 << 20;
/** A COPY that ended so may have been done. */
const NO_ANSWER = new Set(['unavailable', 'interrupted']);

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

/** A time that was set and is not in Swift yet goes along; that of a content name is a function of the name. */
function moveTimes(db: Database, from: string, to: string): void {
  const mtimeMs = db.owedTimes.get(from);
  db.owedTimes.delete(from);
  if (mtimeMs === undefined || contentSha1(to) !== undefined) db.owedTimes.delete(to);
  else db.owedTimes.set(to, mtimeMs);
}

/** The new name is the file's from this turn of the loop on. Who has the replaced file open keeps its bytes; the name is no longer theirs. */
function moveLive(db: Database, from: string, to: string): void {
  db.live.get(to)?.unlink();
  db.live.get(from)?.rename(to);
}

async function renameDirectory(db: Database, from: string, to: string, targetExists: boolean, requester: Requester): Promise<void> {
  if ((await list(db, from, requester)).length > 0) throw crossDevice(from, to);
  if (targetExists && (await list(db, to, requester)).length > 0) throw new FilestoreError('not-empty', `${displayName(to)} is not empty`);
  if ((await db.origin?.stat(from)) !== undefined) throw crossDevice(from, to);
  db.spool.renameDirectory(from, to);
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

/**
 * What only Swift has gets a content name only when its bytes hash to it, and by the spool: a COPY would take whatever stands there by then.
 * @throws corrupt, stale when it was replaced meanwhile, cross-device where its bytes cannot be told
 */
async function takeForContentName(db: Database, from: string, to: string, requester: Requester): Promise<void> {
  const [known, sha1] = [db.catalog.other(from), contentSha1(to)];
  if (sha1 === undefined || contentSha1(from) === sha1) return;
  if (known?.md5 === undefined) throw crossDevice(from, to);
  const file = await fillWhole(db, from, `md5-${known.md5}`, requester.signal);
  await sealCopy(db, from, known, file, (digest) => {
    if (digest.sha1 !== sha1)
      throw new FilestoreError('corrupt', `${displayName(from)} does not hash to ${displayName(to)}: it keeps its name`);
  });
}

/**
 * With several nodes, what takes another file's place goes by the spool too: a COPY that was not answered may have been done, and the target would have
 * lost its bytes to a rename that failed. (With one, the cache's copy makes good for that: {@link copyOrSeal}.) Swift is asked for the source anew.
 */
async function takeToReplace(db: Database, from: string, to: string, requester: Requester): Promise<void> {
  if (db.settings.nodes === 'one' || db.spool.pending.has(from) || contentSha1(to) !== undefined || kindOfPath(to) !== 'other') return;
  if (db.catalog.other(from) === undefined) return;
  await headOf(db, from, requester.signal);
  const known = db.catalog.other(from);
  if (known?.md5 === undefined) return;
  const file = await fillWhole(db, from, `md5-${known.md5}`, requester.signal);
  await sealCopy(db, from, known, file, (digest) => {
    if (digest.md5 !== known.md5) throw new FilestoreError('corrupt', `${displayName(from)}: its copy has other bytes`);
  });
}

/**
 * What Swift has becomes pending under its own name.
 * @param known what is known of it
 * @param file a copy of the cache's; closed here
 * @throws what `assertRight` does; stale when it was replaced meanwhile
 */
async function sealCopy(
  db: Database,
  path: string,
  known: KnownObject,
  file: HeldFile,
  assertRight: (digest: FileDigest) => void,
): Promise<void> {
  let staging: StagingFile;
  try {
    staging = await db.spool.createStagingFrom(`/proc/self/fd/${file.fd}`);
  } catch (error) {
    // Where the copy cannot be read, the next try gets another one.
    file.reject();
    throw error;
  } finally {
    file.close();
  }
  try {
    const digest = await staging.digest();
    assertRight(digest);
    const isWanted = (): boolean => db.catalog.other(path)?.md5 === known.md5;
    await seal(db, { path, staging, digest, mtimeMs: db.owedTimes.get(path) ?? known.mtimeMs, isWanted });
  } finally {
    await staging.discard();
  }
}

/**
 * As {@link copyThenBury}. A COPY that was not answered may have been done, and the target would lose its bytes to a rename that failed: where this
 * machine has a copy the rename goes on by the spool instead. Not with several nodes: another one may have closed the source meanwhile.
 */
async function copyOrSeal(db: Database, from: string, to: string, requester: Requester): Promise<boolean> {
  try {
    return await copyThenBury(db, from, to, requester);
  } catch (error) {
    if (NO_ANSWER.has(kindOf(error))) doubt(db, to);
    if (db.settings.nodes === 'many' || !NO_ANSWER.has(kindOf(error)) || requester.signal.aborted) throw error;
    if (db.spool.pending.has(from)) return false;
    const known = db.catalog.other(from);
    const file = known?.md5 === undefined ? undefined : await db.cache.open(`md5-${known.md5}`);
    if (known === undefined || file === undefined) throw error;
    await sealCopy(db, from, known, file, (digest) => {
      if (digest.md5 !== known.md5) throw error;
    });
    return false;
  }
}

/** @returns false when the copy was not worth it: its source is pending by now */
async function copyThenBury(db: Database, from: string, to: string, requester: Requester): Promise<boolean> {
  const [known, sizeBytes] = [db.catalog.other(from), db.catalog.sizeOf(from)];
  // Only an origin has it, or it would be a temporary name in Swift, or the target is owed under its own bytes: mv copies through the mount.
  const isOwed = contentSha1(to) !== undefined && db.spool.pending.has(to);
  if (sizeBytes === undefined || kindOfPath(to) === 'temporary' || isOwed) throw crossDevice(from, to);
  let isGivenUp = false;
  // The rename was answered with an error meanwhile: whatever was done to the target since is newer. Or something was closed under the old name
  // and answered from the spool: that is newer than what was copied.
  const isOvertaken = (): boolean => {
    if (!isGivenUp && !db.spool.pending.has(from)) return false;
    doubt(db, to);
    return true;
  };
  const copy = async (): Promise<boolean> => {
    if (isGivenUp) return false;
    const addedMetadata = contentSha1(to) === undefined ? closedHere(db) : {};
    const options = { priority: 'write' as const, timeoutMs: db.settings.writeTimeoutMs, addedMetadata };
    await db.binding.assertOurAccount(options);
    if (isGivenUp) return false;
    const copied = await db.change(() => db.store.copy(db.container, objectNameOf(from), db.container, objectNameOf(to), options), to);
    if (!copied) throw new FilestoreError('not-found', `${displayName(from)} is not there`);
    if (isOvertaken()) return false;
    // Still under the locks: a DELETE that is owed of the target waits for them, and must find its reason gone.
    db.spool.exhume(to);
    endAlias(db, to);
    // The spool would put over the copy what it owes of the target; the lock holds it back until then.
    const replaced = db.spool.pending.get(to);
    if (replaced !== undefined) await db.release(replaced, { keepFile: false });
    if (replaced !== undefined || db.spool.mayRise(to)) await db.spool.sync();
    // From here to the burial of the old name nothing is waited for: nobody closes a file under it in between.
    if (isOvertaken()) return false;
    moveLive(db, from, to);
    if (contentSha1(to) !== undefined) db.learnBlob(to, sizeBytes);
    else db.learnOther(to, { sizeBytes, mtimeMs: known?.mtimeMs ?? Date.now(), md5: known?.md5, checkedAtMs: known?.checkedAtMs ?? 0 });
    moveTimes(db, from, to);
    return true;
  };
  try {
    if (!(await db.health.answerOrAway(() => db.locks.runBoth(from, to, copy), requester.signal))) return false;
  } catch (error) {
    isGivenUp = true;
    throw error;
  }
  await unlink(db, from, requester);
  return true;
}

/** Swift is asked what it has there before we are believed. */
function doubt(db: Database, path: string): void {
  const known = db.catalog.other(path);
  if (known !== undefined) db.learnOther(path, { ...known, checkedAtMs: 0 });
  db.absence.end(path);
}

function crossDevice(from: string, to: string): FilestoreError {
  return new FilestoreError('cross-device', `${displayName(from)} to ${displayName(to)} is not one step here; the caller copies`);
}
