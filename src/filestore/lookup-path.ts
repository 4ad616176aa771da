/**
 * Whether a name is there, and how big: residences in the order spool, what we know of Swift, Swift itself, origin.
 *
 * INVARIANT: `undefined` is answered when all of them said no; or, so that a create can follow, when Swift cannot be asked, and the content name is
 * in no residence and on no list. Everything else that is not a yes is thrown as `unavailable`.
 * The frequent answers (a known blob, something pending, a marker where no blob is doubted because of it) are given in the same turn of the loop.
 */
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, messageOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { headOf, holdsOnlyOurs, isDontKnow, lookupPatienceMs } from './ask-swift.js';
import { isShardName, shardOfBlobPath } from './catalog.js';
import type { Database } from './database.js';
import type { Requester, Stat } from './filestore.js';
import { askListing, hasObjectBelow } from './list-swift.js';
import { noteMarkerSeen } from './markers.js';
import { blobOfAlias, isOdooDirectory, kindOfPath } from './path-kind.js';
import { mayLiveElsewhere } from './revival.js';

/** How long a file that anybody may replace is believed to be as it was. */
const OTHER_TRUST_MS = 60_000;
/** How long the kernel may believe it. */
const OTHER_VALID_MS = 1_000;

export function lookup(db: Database, path: string, requester: Requester): Answer<Stat | undefined> {
  if (path === '') return db.directoryStat('');
  switch (kindOfPath(path)) {
    case 'blob':
      return db.aliased.has(path) ? undefined : lookupBlob(db, path, requester);
    case 'marker':
      return lookupMarker(db, path);
    case 'alias':
      return db.spool.aliases.has(path) ? lookupAlias(db, path, requester) : lookupLocal(db, path);
    case 'temporary':
      return lookupLocal(db, path);
    case 'other':
      if (db.firstMakers.isPromised(path)) return lookupPromised(db, path, requester);
      return (
        lookupLocal(db, path) ??
        (isOdooDirectory(path) && db.catalog.other(path) === undefined
          ? lookupDirectory(db, path, requester)
          : lookupOther(db, path, requester))
      );
  }
}

function lookupMarker(db: Database, path: string): Answer<Stat | undefined> {
  const stat = db.local.stat(path);
  const untilForgotten = stat?.kind === 'file' ? noteMarkerSeen(db, path) : undefined;
  // It may be removed meanwhile.
  return untilForgotten === undefined ? stat : untilForgotten.then(() => db.local.stat(path));
}

/** When its blob is gone (another node deleted it), nothing waits behind the alias any more, and it must not hide a blob written anew. */
function lookupAlias(db: Database, alias: string, requester: Requester): Answer<Stat | undefined> {
  const blob = blobOfAlias(alias);
  const before = db.spool.aliases.get(alias);
  let isKnown = true;
  const answer = lookupBlob(db, blob, requester, () => {
    isKnown = false;
  });
  return andThen(answer, (stat) => {
    if (stat === undefined && isKnown && db.spool.aliases.get(alias) === before) {
      db.spool.removeAlias(alias);
      db.aliased.delete(blob);
    }
    return stat;
  });
}

/** What this machine alone decides: files being written, sealed, directories made. */
function lookupLocal(db: Database, path: string): Stat | undefined {
  const live = db.live.get(path);
  if (live !== undefined) return live.stat();
  const pending = db.spool.pending.get(path);
  if (pending !== undefined) return db.fileStat(pending.sizeBytes, db.owedTimes.get(path) ?? pending.mtimeMs, OTHER_VALID_MS);
  return db.spool.directories.has(path) ? db.directoryStat(path) : undefined;
}

/** @returns the stat of a blob that needs no question, undefined when nothing is known */
export function knownBlob(db: Database, path: string): Stat | undefined {
  const shard = shardOfBlobPath(path);
  if (shard !== undefined) {
    const sizeBytes = db.catalog.blobSize(shard, path, steadyNowMs() - db.trustMs);
    if (sizeBytes >= 0) return db.blobStat(sizeBytes, db.catalog.foundCheckedAtMs);
  } else {
    const known = db.catalog.other(path);
    if (known !== undefined && known.checkedAtMs > steadyNowMs() - db.trustMs) return db.blobStat(known.sizeBytes, known.checkedAtMs);
  }
  const pending = db.spool.pending.get(path);
  return pending === undefined ? undefined : db.blobStat(pending.sizeBytes);
}

/** @param onDoubt called when Swift could not be asked: an `undefined` then says no more than that the name is on no list */
function lookupBlob(db: Database, path: string, requester: Requester, onDoubt?: () => void): Answer<Stat | undefined> {
  const known = knownBlob(db, path);
  if (known !== undefined) return known;
  if (db.isBuried(path) && !mayLiveElsewhere(db, path)) return undefined;
  if (!db.writers.isWriting(path) && db.absence.isKnown(path)) return undefined;
  return findBlob(db, path, requester, onDoubt);
}

async function findBlob(db: Database, path: string, requester: Requester, onDoubt?: () => void): Promise<Stat | undefined> {
  if (db.writers.isWriting(path)) {
    // Somebody else's unfinished file (its writer sees it by its handle): wait a little for the seal.
    await db.writers.untilOneEnds(path, db.settings.lookupWaitMs, requester.signal);
    const finished = knownBlob(db, path);
    if (finished !== undefined) return finished;
  }
  if (db.catalog.completeAtMs > 0) {
    // Swift's whole list lacks it: the origin is the likelier place, and its "yes" saves a question. One that fails is asked again when Swift says no.
    const there = await db.origin?.stat(path).catch(orUnknown);
    if (there?.kind === 'file' && !db.isBuried(path)) return db.blobStat(db.trueSize(path, there.sizeBytes));
  }
  try {
    const info = (await isPlainlyAbsent(db, path, requester)) ? undefined : await headOf(db, path, requester.signal, 'few');
    if (info !== undefined) return knownBlob(db, path) ?? { ...db.blobStat(db.trueSize(path, info.sizeBytes)), validMs: 0 };
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    onDoubt?.();
    return blobWithoutSwift(db, path, error, requester);
  }
  const meanwhile = knownBlob(db, path);
  if (meanwhile !== undefined) return meanwhile;
  if (db.isBuried(path)) return undefined;
  const inOrigin = await db.origin?.stat(path);
  if (inOrigin?.kind === 'file' && !db.isBuried(path)) return db.blobStat(db.trueSize(path, inOrigin.sizeBytes));
  db.absence.said(path);
  return undefined;
}

/** Whether a name can only be absent: it is not on the list of a container that holds just what is on the list. */
async function isPlainlyAbsent(db: Database, path: string, requester: Requester): Promise<boolean> {
  if (db.catalog.sizeOf(path) !== undefined) return false;
  return (
    (await db.health.answerOrAway(() => holdsOnlyOurs(db), requester.signal, lookupPatienceMs(db))) && db.catalog.sizeOf(path) === undefined
  );
}

/** The kernel asks LOOKUP before CREATE: a name that is on no list is absent at once, so that its first write can follow. */
async function blobWithoutSwift(db: Database, path: string, error: unknown, requester: Requester): Promise<Stat | undefined> {
  if (!db.health.isAway) await askListing(db, path, requester.signal);
  const meanwhile = knownBlob(db, path);
  if (meanwhile !== undefined) return meanwhile;
  if (db.isBuried(path)) return undefined;
  const inOrigin = await db.origin?.stat(path);
  if (inOrigin?.kind === 'file') return { ...db.blobStat(db.trueSize(path, inOrigin.sizeBytes)), validMs: 0 };
  // On the list: it is there as far as anybody knows. Its read waits for Swift, and fails with EIO when that takes too long.
  const listed = db.catalog.sizeOf(path);
  if (listed !== undefined) return { ...db.blobStat(listed), validMs: 0 };
  db.log.debug('lookup.unlisted', { path: displayName(path), reason: messageOf(error) });
  return undefined;
}

async function lookupPromised(db: Database, path: string, requester: Requester): Promise<Stat | undefined> {
  return (await db.firstMakers.isLookOfMaker(path, requester.pid)) ? undefined : db.directoryStat(path);
}

async function lookupDirectory(db: Database, path: string, requester: Requester): Promise<Stat | undefined> {
  const stat = await findDirectory(db, path, requester);
  if (stat !== undefined) return stat;
  if (await db.firstMakers.isBeingMade(path, requester.pid)) db.noteDirectory(path);
  return lookupLocal(db, path);
}

/** A directory that Odoo makes: `xx`, `xxx`, `upload`. A file of such a name is found once a listing has shown it. */
async function findDirectory(db: Database, path: string, requester: Requester): Promise<Stat | undefined> {
  if (db.hasLocalBelow(path)) return foundDirectory(db, path);
  if (db.absence.isKnown(path)) return undefined;
  const first = await directoryInOrigin(db, path).catch(orUnknown);
  if (first !== undefined) return first;
  try {
    if (await hasObjectBelow(db, path, requester.signal)) return foundDirectory(db, path);
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    const inOrigin = await directoryInOrigin(db, path);
    if (inOrigin !== undefined) return inOrigin;
    // Swift answers and cannot list (its container servers are away): an ENOENT here would be one of every blob in it that another node has stored, and
    // those can be asked for, each by its name. It stays: who was told that it is there makes none, and his write would fail once Swift lists again.
    if (!db.health.isAway && db.settings.nodes === 'many' && isShardName(path)) return foundDirectory(db, path);
    // None of its names is on the list, so each of them is ENOENT too; the mkdir of a first write must be able to follow.
    return undefined;
  }
  const meanwhile = lookupLocal(db, path) ?? (await directoryInOrigin(db, path));
  if (meanwhile !== undefined) return meanwhile;
  db.absence.said(path);
  return undefined;
}

/** Noted, else it would end with the last file in it, and who removes a tree would not find it for its rmdir. */
function foundDirectory(db: Database, path: string): Stat {
  db.noteDirectory(path);
  return db.directoryStat(path);
}

/** @throws unavailable when the origin fails */
async function directoryInOrigin(db: Database, path: string): Promise<Stat | undefined> {
  if (db.isBuried(path) || (await db.origin?.stat(path))?.kind !== 'directory') return undefined;
  return foundDirectory(db, path);
}

/** For who goes on to ask elsewhere. */
function orUnknown(error: unknown): undefined {
  if (!isDontKnow(error)) throw error;
  return undefined;
}

async function lookupOther(db: Database, path: string, requester: Requester): Promise<Stat | undefined> {
  const trusted = trustedOther(db, path);
  if (trusted !== undefined) return trusted;
  // Noted when its files are removed here (delete-path.ts): one that only shows in a listing may be gone, or a file by now.
  if (db.hasLocalBelow(path)) return db.directoryStat(path);
  if ((db.isBuried(path) && !mayLiveElsewhere(db, path)) || db.absence.isKnown(path)) return undefined;
  try {
    const answer = await askForOther(db, path, requester);
    if (answer !== undefined) return answer;
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    const meanwhile = lookupLocal(db, path);
    if (meanwhile !== undefined) return meanwhile;
    if (db.isBuried(path)) return undefined;
    const inOrigin = await statInOrigin(db, path);
    if (inOrigin !== undefined) return inOrigin;
    const known = db.catalog.other(path);
    if (known !== undefined) return db.fileStat(known.sizeBytes, db.owedTimes.get(path) ?? known.mtimeMs, 0);
    throw new FilestoreError('unavailable', `${displayName(path)}: not known here, and Swift cannot be asked (${messageOf(error)})`, {
      cause: error,
    });
  }
  const meanwhile = lookupLocal(db, path) ?? trustedOther(db, path);
  if (meanwhile !== undefined) return meanwhile;
  if (db.isBuried(path)) return undefined;
  const inOrigin = await statInOrigin(db, path);
  if (inOrigin === undefined) db.absence.said(path);
  return inOrigin;
}

/** A file in Swift that is not content-named, as long as what we know of it is young enough. */
function trustedOther(db: Database, path: string): Stat | undefined {
  const known = db.catalog.other(path);
  if (known === undefined) return undefined;
  const trustedMs = known.checkedAtMs + Math.min(db.trustMs, OTHER_TRUST_MS) - steadyNowMs();
  if (trustedMs <= 0) return undefined;
  return db.fileStat(known.sizeBytes, db.owedTimes.get(path) ?? known.mtimeMs, Math.min(OTHER_VALID_MS, trustedMs));
}

async function askForOther(db: Database, path: string, requester: Requester): Promise<Stat | undefined> {
  if (await isPlainlyAbsent(db, path, requester)) return undefined;
  const info = await headOf(db, path, requester.signal);
  const learnt = db.catalog.other(path);
  if (info !== undefined && learnt !== undefined)
    return db.fileStat(info.sizeBytes, db.owedTimes.get(path) ?? learnt.mtimeMs, OTHER_VALID_MS);
  if (!(await hasObjectBelow(db, path, requester.signal))) return undefined;
  return foundDirectory(db, path);
}

async function statInOrigin(db: Database, path: string): Promise<Stat | undefined> {
  const found = await db.origin?.stat(path);
  if (found === undefined || db.isBuried(path)) return undefined;
  if (found.kind === 'file') return db.fileStat(found.sizeBytes, found.mtimeMs, OTHER_VALID_MS);
  return foundDirectory(db, path);
}
