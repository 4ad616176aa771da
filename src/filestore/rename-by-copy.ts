/**
 * Renames of what Swift has, carried out by Swift: a COPY under the locks of both names, then the delete of the old one. What is closed, deleted or
 * given up while the COPY travels is newer than what it brings.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import { contentSha1, displayName, objectNameOf } from '../base/names.js';
import type { Database } from './database.js';
import { unlink } from './delete-path.js';
import type { Requester } from './filestore.js';
import { closedHere } from './object-metadata.js';
import { kindOfPath } from './path-kind.js';
import { endAlias } from './publish.js';
import { takeFromCache } from './rename-by-spool.js';
import { crossDevice, moveLive, moveTimes } from './rename-steps.js';

/** A COPY that ended so may have been done. */
const NO_ANSWER = new Set(['unavailable', 'interrupted']);

/**
 * As {@link copyThenBury}. A COPY that was not answered may have been done, and the target would lose its bytes to a rename that failed: where this
 * machine has a copy the rename goes on by the spool instead. Not with several nodes: another one may have closed the source meanwhile.
 * @returns whether the rename is done; else its source is pending now
 */
export async function copyOrSeal(db: Database, from: string, to: string, requester: Requester): Promise<boolean> {
  try {
    return await copyThenBury(db, from, to, requester);
  } catch (error) {
    const isUnanswered = NO_ANSWER.has(kindOf(error));
    if (isUnanswered) doubt(db, to);
    if (db.settings.nodes === 'many' || !isUnanswered || requester.signal.aborted) throw error;
    if (!db.spool.pending.has(from) && !(await takeFromCache(db, from, error))) throw error;
    return false;
  }
}

/** @returns false when the copy was not worth it: its source is pending by now */
async function copyThenBury(db: Database, from: string, to: string, requester: Requester): Promise<boolean> {
  // Only an origin has it, or it would be a temporary name in Swift, or the target is owed under its own bytes: mv copies through the mount.
  const isOwed = contentSha1(to) !== undefined && db.spool.pending.has(to);
  if (db.catalog.sizeOf(from) === undefined || kindOfPath(to) === 'temporary' || isOwed) throw crossDevice(from, to);
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
    // Only now: a time, or bytes, may have been on their way to Swift while the locks were waited for.
    const [known, sizeBytes] = [db.catalog.other(from), db.catalog.sizeOf(from)];
    if (sizeBytes === undefined) throw new FilestoreError('not-found', `${displayName(from)} is not there`);
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
