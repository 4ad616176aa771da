/**
 * What is asked of Swift's listings, and what they teach. A row says less than the object itself and may lag behind it (learn-page.ts): where it does not
 * tell, the object is asked for (ask-swift.ts).
 *
 * INVARIANT: one object that cannot be asked for (a disk of Swift's that fails) costs no listing. Its name stays as it was known here, the listing counts as
 * neither complete nor fresh, and who has to have seen all of it is told.
 */
import { forEachAtOnce } from '../base/at-once.js';
import { steadyNowMs } from '../base/clock.js';
import { asError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import { displayName, joinPath, objectNameOf, pathOfObject } from '../base/names.js';
import type { ListedObject, ListOptions, RequestOptions } from '../store/object-store.js';
import { headOf, holdsOnlyOurs, isDontKnow, lookupPatienceMs } from './ask-swift.js';
import { isShardName, shardOfBlobPath } from './catalog.js';
import { ContainerLost } from './container-lost.js';
import type { Database } from './database.js';
import { learnPage } from './learn-page.js';
import { isFileInSwift } from './path-kind.js';
import type { ShardTable } from './shard-table.js';

/** Names in a page of a listing: Swift gives no more. */
const PAGE = 10_000;
/** How long Swift's listing may lack what was stored (object-updater and container-updater run every few minutes). */
const LISTING_LAG_MS = 900_000;

/** Questions that one listing may lead to: more are asked by the next one. */
export const MOST_ASKED = 200;
export const ASKED_AT_ONCE = 8;

interface ListingOptions extends RequestOptions {
  /** A listing that is under way may be older than the question: it is not taken for an answer. */
  readonly anew?: boolean;
}

/** Pages of the container's listing; none while it was never made. @throws StoreAnswered when it is missing, or not in this account */
async function* pagesOf(db: Database, options: ListOptions): AsyncGenerator<readonly ListedObject[]> {
  await db.binding.assertOurAccount(options);
  try {
    yield* db.store.list(db.container, options);
  } catch (error) {
    if (kindOf(error) !== 'not-found') throw error;
    if (db.dropped || !db.binding.isExpected) return;
    db.wake();
    throw db.binding.missing();
  }
}

/**
 * Whether Swift has any object below a directory: a listing of one row. Few tries: a LOOKUP that waits holds up all of its directory.
 * @throws why an object could not be asked for that is all there may be; unavailable, …
 */
export async function hasObjectBelow(db: Database, directory: string, signal?: AbortSignal): Promise<boolean> {
  const unanswered: Error[] = [];
  const isThere = await findBelow(db, directory, unanswered, signal);
  if (!isThere && unanswered[0] !== undefined) throw unanswered[0];
  return isThere;
}

function findBelow(db: Database, directory: string, unanswered: Error[], signal?: AbortSignal): Promise<boolean> {
  return db.health.answerOrAway(
    async () => {
      if (await holdsOnlyOurs(db)) return db.catalog.hasBelow(directory);
      const startedMs = steadyNowMs();
      for await (const page of pagesOf(db, { prefix: `${objectNameOf(directory)}/`, limit: 20, tries: 'few' })) {
        await learnFrom(db, page, startedMs, unanswered);
        if (page.map((object) => pathOfObject(object.name)).some((path) => isFileInSwift(path) && !db.isBuried(path))) return true;
      }
      return false;
    },
    signal,
    lookupPatienceMs(db),
  );
}

/**
 * The second door to a name whose HEAD was not answered although Swift answers others (one slow disk): its row in a listing comes from other
 * servers. What it shows is learnt; that it shows nothing is no proof. Throws only when the question was given up.
 */
export async function askListing(db: Database, path: string, signal: AbortSignal): Promise<void> {
  const startedMs = steadyNowMs();
  const ask = async (): Promise<void> => {
    for await (const page of pagesOf(db, { prefix: objectNameOf(path), limit: 1 })) return learnFrom(db, page, startedMs, []);
  };
  try {
    await db.health.answerOrAway(ask, signal, 2 * db.settings.lookupWaitMs);
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    db.log.debug('lookup.not-listed', { path: displayName(path), reason: messageOf(error) });
  }
}

/**
 * Lists what is below a directory ('' = all), page by page, into the catalog; what it has not shown for long is forgotten, not declared absent.
 * @returns why an object of it could not be asked for; undefined when nothing was left open
 */
export function refreshBelow(db: Database, directory: string, options: ListingOptions): Promise<Error | undefined> {
  const key = `below ${directory}`;
  if (options.anew === true) db.listings.forget(key);
  return db.listings.run(key, async () => {
    const startedMs = steadyNowMs();
    const prefix = directory === '' ? {} : { prefix: `${objectNameOf(directory)}/` };
    let shown = 0;
    const unanswered: Error[] = [];
    const names = directory === '' || db.settings.nodes === 'one' ? undefined : new Set<string>();
    for await (const page of pagesOf(db, { ...prefix, limit: PAGE, ...options })) {
      shown += page.length;
      await learnFrom(db, page, startedMs, unanswered);
      for (const object of page) names?.add(pathOfObject(object.name));
    }
    const unshownAtMs = names === undefined ? Infinity : await askForUnshown(db, directory, names, unanswered);
    if (shown === 0 && directory === '') await assertEmpty(db, options);
    // What we put ourselves may be missing from a listing until Swift's updaters have run.
    const sweepBeforeMs = startedMs - LISTING_LAG_MS;
    if (directory === '') {
      // What an earlier life left and the listing did not show: it lags, or a power cut took the news of a delete.
      if (sweepBeforeMs <= db.catalog.loadedAtMs) await askForEach(db, firstOf(db.catalog.unchecked(), MOST_ASKED), unanswered);
      if (unanswered[0] !== undefined) return unanswered[0];
      if (await areGone(db, [...db.catalog.checkedBefore(sweepBeforeMs)])) db.catalog.sweep(sweepBeforeMs);
      db.catalog.completeAtMs = startedMs;
      for (const shard of db.catalog.shards()) shard.listedAtMs = Math.min(startedMs, unshownIn(db, shard, startedMs));
      db.names.compact(db.catalog);
    } else if (unanswered.length === 0) {
      // With one node nobody else deletes.
      if (names !== undefined) db.catalog.sweepShard(directory, sweepBeforeMs);
      db.catalog.shard(directory).listedAtMs = Math.min(startedMs, unshownAtMs);
    }
    return unanswered[0];
  });
}

/**
 * Lists what lies directly in the container, which takes one page however many blobs there are: another node may have made a directory. What its
 * objects are is asked for, since a directory of Swift's listings may hold nothing that is a file of the database.
 * @returns as {@link refreshBelow}
 */
export function refreshTop(db: Database, options: ListingOptions): Promise<Error | undefined> {
  if (options.anew === true) db.listings.forget('top');
  return db.listings.run('top', async () => {
    const startedMs = steadyNowMs();
    const [files, directories, unanswered] = [new Set<string>(), new Array<string>(), new Array<Error>()];
    for await (const page of pagesOf(db, { level: true, limit: PAGE, ...options })) {
      await learnFrom(db, page, startedMs, unanswered);
      for (const { name } of page) {
        if (name.endsWith('/')) directories.push(pathOfObject(name.slice(0, -1)));
        else files.add(pathOfObject(name));
      }
    }
    const unshownAtMs = await askForUnshown(db, '', files, unanswered);
    const unknown = directories.filter((path) => isFileInSwift(path) && !db.catalog.hasBelow(path));
    await forEachAtOnce(unknown, ASKED_AT_ONCE, async (path) => void (await findBelow(db, path, unanswered)));
    if (unanswered.length === 0) db.catalog.topListedAtMs = Math.min(startedMs, unshownAtMs);
    return unanswered[0];
  });
}

/** For who has to have seen all of it. @throws what listing it throws; why an object of it could not be asked for */
export async function wholly(listing: Promise<Error | undefined>): Promise<void> {
  const unanswered = await listing;
  if (unanswered !== undefined) throw unanswered;
}

/**
 * Names of a directory that a listing did not show although we know them: the listing lags, or another node has deleted them. Past half of
 * `delete_bound` each is asked for, so that what is gone ends here too, and not only once somebody asks for it by name.
 * @returns when the others were checked, the oldest first: the listing is good until that one is to be asked for; Infinity when there are none
 */
async function askForUnshown(db: Database, directory: string, shown: ReadonlySet<string>, unanswered: Error[]): Promise<number> {
  // Of those past half of it already, so that a listing is good for the other half.
  const sinceMs = steadyNowMs() - db.trustMs / 2;
  const shard = isShardName(directory) ? directory : undefined;
  const unshown: string[] = [];
  db.catalog.forEachIn(directory, (name, kind) => {
    const path = joinPath(directory, name);
    if (kind === 'file' && !shown.has(path)) unshown.push(path);
  });
  const checkedAtMs = (path: string): number => {
    if (shard === undefined || shardOfBlobPath(path) !== shard) return db.catalog.other(path)?.checkedAtMs ?? 0;
    db.catalog.blobSize(shard, path, 0);
    return db.catalog.foundCheckedAtMs;
  };
  const isTrusted = (path: string): boolean => checkedAtMs(path) > sinceMs;
  const asked = unshown.filter((path) => !isTrusted(path)).slice(0, MOST_ASKED);
  await askForEach(db, asked, unanswered);
  return unshown.reduce((oldest, path) => (db.catalog.sizeOf(path) === undefined ? oldest : Math.min(oldest, checkedAtMs(path))), Infinity);
}

/** The same of a shard after a listing of everything, for which nothing was asked. With one node nobody else deletes. */
function unshownIn({ settings }: Database, shard: ShardTable, startedMs: number): number {
  const oldestMs = settings.nodes === 'one' ? Infinity : shard.oldestCheckedAtS * 1000;
  // What was shown was checked in the second of the start.
  return oldestMs < Math.floor(startedMs / 1000) * 1000 ? oldestMs : Infinity;
}

/**
 * What no listing has shown for long is gone, or the listings lag. Some of the names, spread over all of them, are asked for, and are forgotten where they are
 * gone.
 * @returns whether all of those were
 */
async function areGone(db: Database, paths: readonly string[]): Promise<boolean> {
  const stride = Math.max(1, paths.length / MOST_ASKED);
  const asked = Array.from({ length: Math.min(paths.length, MOST_ASKED) }, (_, index) => paths[Math.floor(index * stride)] ?? '');
  const unanswered: Error[] = [];
  await askForEach(db, asked, unanswered);
  return unanswered.length === 0 && asked.every((path) => db.catalog.sizeOf(path) === undefined || db.damaged.has(path));
}

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const first: T[] = [];
  for (const item of items) {
    if (first.length >= most) break;
    first.push(item);
  }
  return first;
}

/**
 * Of names that may be gone: what Swift says teaches the catalog.
 * @param unanswered gets why one of them could not be asked for. @throws what says nothing of one name alone: Swift is away, or the container lost
 */
export function askForEach(db: Database, paths: readonly string[], unanswered: Error[]): Promise<void> {
  return forEachAtOnce(paths, ASKED_AT_ONCE, async (path) => {
    try {
      await headOf(db, path, undefined, 'few');
    } catch (error) {
      if (db.health.isAway || error instanceof ContainerLost || !isDontKnow(error)) throw error;
      // What was damaged, and Swift has set aside, is known for that.
      if (kindOf(error) !== 'corrupt') unanswered.push(asError(error));
      db.log.debug('listing.not-told', { path: displayName(path), reason: messageOf(error) });
    }
  });
}

/** A listing of nothing is held against the container's own count before it is believed: a degraded container may answer either. */
async function assertEmpty(db: Database, options: RequestOptions): Promise<void> {
  if (db.catalog.count === 0) return;
  const info = await db.store.headContainer(db.container, options);
  if (info?.objectCount !== 0) throw new StoreAnswered(`container ${db.container}: its listing is empty, its count is not`);
}

/** Learns a page, and asks for the objects whose rows do not tell. */
function learnFrom(db: Database, page: readonly ListedObject[], startedMs: number, unanswered: Error[]): Promise<void> {
  return askForEach(db, learnPage(db, page, startedMs).slice(0, MOST_ASKED), unanswered);
}
