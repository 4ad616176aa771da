/**
 * What may be asked of Swift about names, and what its answers teach. Every answer is held against what happened here while it travelled: a
 * delete or a write of ours is newer than an answer that was on its way.
 */
import { forEachAtOnce } from '../base/at-once.js';
import { steadyNowMs } from '../base/clock.js';
import { displayName, joinPath, objectNameOf, pathOfObject } from '../base/names.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { ListedObject, ListOptions, ObjectInfo, RequestOptions, SizedInfo } from '../store/object-store.js';
import { isShardName, shardOfBlobPath } from './catalog.js';
import type { Database } from './database.js';
import { learnPage } from './learn-page.js';
import { isFileInSwift, kindOfPath } from './path-kind.js';
import { believe } from './revival.js';
import type { ShardTable } from './shard-table.js';

/** Names in a page of a listing: Swift gives no more. */
const PAGE = 10_000;
/** How long Swift's listing may lack what was stored (object-updater and container-updater run every few minutes). */
const LISTING_LAG_MS = 900_000;

/** Questions that one listing may lead to: more are asked by the next one. */
export const MOST_ASKED = 200;
export const ASKED_AT_ONCE = 8;

/**
 * To take what is not told for a size of 0 would be to call a document empty.
 * @throws StoreAnswered for an answer without the size
 */
export function sized(path: string, info: ObjectInfo): SizedInfo;
export function sized(path: string, info: ObjectInfo | undefined): SizedInfo | undefined;
export function sized(path: string, info: ObjectInfo | undefined): SizedInfo | undefined {
  if (info === undefined) return undefined;
  const { sizeBytes } = info;
  if (sizeBytes !== undefined) return { ...info, sizeBytes };
  throw new StoreAnswered(`${displayName(path)}: the answer has no Content-Length; something between us and Swift takes it away`);
}

/**
 * One HEAD however many ask; teaches the catalog.
 * @param tries 'few' for who does without the answer: a disk of Swift's that fails is not waited for
 * @throws FilestoreError unavailable as soon as Swift is away, invalid-name, …
 */
export function headOf(
  db: Database,
  path: string,
  signal?: AbortSignal,
  tries: RequestOptions['tries'] = 'many',
): Promise<SizedInfo | undefined> {
  const name = objectNameOf(path);
  return db.health.answerOrAway(
    () =>
      db.heads.run(path, async () => {
        await db.binding.assertOurAccount({ tries });
        const startedMs = steadyNowMs();
        const info = sized(path, await db.store.head(db.container, name, { tries }));
        if (db.ownChanges.wasDeletedSince(path, startedMs)) return undefined;
        if (info !== undefined) {
          if (!believe(db, path, info)) return undefined;
          learnInfo(db, path, info, startedMs);
        } else if (db.catalog.sizeOf(path) !== undefined) {
          await assertContainer(db, startedMs);
          callAbsent(db, path, startedMs);
        }
        return info;
      }),
    signal,
    lookupPatienceMs(db),
  );
}

/**
 * Swift said "not there" of a name that is known: it says so as well when the container is missing, or when we ask in the wrong account.
 * @param askedAtMs when the question set out
 * @throws StoreAnswered when the container is missing; unavailable, …
 */
export async function assertContainer(db: Database, askedAtMs: number): Promise<void> {
  if (db.dropped) return;
  try {
    await db.binding.assertThere(askedAtMs);
  } catch (error) {
    db.wake();
    throw error;
  }
}

/**
 * A known name that Swift does not have any more is forgotten, unless it was stored here while the question travelled.
 * @param askedAtMs when the question set out
 * @throws FilestoreError corrupt when the last that came of it was damaged: then Swift has set it aside, and "deleted" would be a lie
 */
export function callAbsent(db: Database, path: string, askedAtMs: number): void {
  const reason = db.damaged.get(path);
  if (reason !== undefined)
    throw new FilestoreError('corrupt', `${displayName(path)}: Swift has it no more after it sent it damaged (${reason})`);
  if (db.ownChanges.wasStoredSince(path, askedAtMs)) return;
  db.unlearn(path);
  db.changed(path);
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

/** Silence of all of Swift ends a LOOKUP after twice `lookup_wait`; a single slow answer is waited for longer, since it is no outage. */
export function lookupPatienceMs({ settings }: { readonly settings: Pick<Database['settings'], 'lookupWaitMs'> }): number {
  return 10 * settings.lookupWaitMs;
}

/** @param askedAtMs when the question set out: the answer is no younger than that */
export function learnInfo(db: Database, path: string, info: SizedInfo, askedAtMs: number): void {
  if (kindOfPath(path) === 'blob') db.learnBlob(path, info.sizeBytes, askedAtMs);
  else
    db.learnOther(path, {
      sizeBytes: info.sizeBytes,
      mtimeMs: mtimeOf(info),
      md5: info.md5 ?? info.metadata['md5'],
      checkedAtMs: askedAtMs,
    });
}

function mtimeOf(info: ObjectInfo): number {
  const own = Number(info.metadata['mtime']);
  return Number.isFinite(own) && own > 0 ? own : info.lastModifiedMs;
}

/**
 * Whether only we put things into this container and it holds just what we know (absence.ts): then an unknown name is absent.
 * @returns false when it cannot be told
 */
export async function holdsOnlyOurs(db: Database): Promise<boolean> {
  if (!db.binding.madeHere || db.settings.nodes !== 'one') return false;
  if (db.absence.holdsOnlyOurs) return true;
  await db.listings.run('count', async () => {
    const hasChanged = db.ownChanges.watch();
    const info = await db.store.headContainer(db.container);
    if (info === undefined || hasChanged()) return;
    for (const tombstone of db.spool.tombstones.values()) if (tombstone.owedToSwift) return;
    if (info.objectCount === db.catalog.count) db.absence.countAgreed();
  });
  return db.absence.holdsOnlyOurs;
}

/** Whether Swift has any object below a directory: a listing of one row. Few tries: a LOOKUP that waits holds up all of its directory. */
export function hasObjectBelow(db: Database, directory: string, signal?: AbortSignal): Promise<boolean> {
  return db.health.answerOrAway(
    async () => {
      if (await holdsOnlyOurs(db)) return db.catalog.hasBelow(directory);
      const startedMs = steadyNowMs();
      for await (const page of pagesOf(db, { prefix: `${objectNameOf(directory)}/`, limit: 20, tries: 'few' })) {
        await learnFrom(db, page, startedMs);
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
    for await (const page of pagesOf(db, { prefix: objectNameOf(path), limit: 1 })) return learnFrom(db, page, startedMs);
  };
  try {
    await db.health.answerOrAway(ask, signal, 2 * db.settings.lookupWaitMs);
  } catch (error) {
    if (!isDontKnow(error)) throw error;
    db.log.debug('lookup.not-listed', { path: displayName(path), reason: messageOf(error) });
  }
}

/** Lists what is below a directory ('' = all), page by page, into the catalog; what it does not show is forgotten, not declared absent. */
export function refreshBelow(db: Database, directory: string, options: RequestOptions): Promise<void> {
  return db.listings.run(`below ${directory}`, async () => {
    const startedMs = steadyNowMs();
    const prefix = directory === '' ? {} : { prefix: `${objectNameOf(directory)}/` };
    let shown = 0;
    const names = directory === '' || db.settings.nodes === 'one' ? undefined : new Set<string>();
    for await (const page of pagesOf(db, { ...prefix, limit: PAGE, ...options })) {
      shown += page.length;
      await learnFrom(db, page, startedMs);
      for (const object of page) names?.add(pathOfObject(object.name));
    }
    const unshownAtMs = names === undefined ? Infinity : await askForUnshown(db, directory, names);
    if (shown === 0 && directory === '') await assertEmpty(db, options);
    // What we put ourselves may be missing from a listing until Swift's updaters have run.
    const sweepBeforeMs = startedMs - LISTING_LAG_MS;
    if (directory === '') {
      // What an earlier life left and the listing did not show: it lags, or a power cut took the news of a delete.
      if (sweepBeforeMs <= db.catalog.loadedAtMs) await askForEach(db, firstOf(db.catalog.unchecked(), MOST_ASKED));
      db.catalog.sweep(sweepBeforeMs);
      db.catalog.completeAtMs = startedMs;
      for (const shard of db.catalog.shards()) shard.listedAtMs = Math.min(startedMs, unshownIn(db, shard, startedMs));
      db.names.compact(db.catalog);
    } else {
      db.catalog.sweepShard(directory, sweepBeforeMs);
      db.catalog.shard(directory).listedAtMs = Math.min(startedMs, unshownAtMs);
    }
  });
}

/**
 * Lists what lies directly in the container, which takes one page however many blobs there are: another node may have made a directory. What its
 * objects are is asked for, since a directory of Swift's listings may hold nothing that is a file of the database.
 */
export function refreshTop(db: Database, options: RequestOptions): Promise<void> {
  return db.listings.run('top', async () => {
    const startedMs = steadyNowMs();
    const [files, directories] = [new Set<string>(), new Array<string>()];
    for await (const page of pagesOf(db, { level: true, limit: PAGE, ...options })) {
      await learnFrom(db, page, startedMs);
      for (const { name } of page) {
        if (name.endsWith('/')) directories.push(pathOfObject(name.slice(0, -1)));
        else files.add(pathOfObject(name));
      }
    }
    const unshownAtMs = await askForUnshown(db, '', files);
    const unknown = directories.filter((path) => isFileInSwift(path) && !db.catalog.hasBelow(path));
    await forEachAtOnce(unknown, ASKED_AT_ONCE, async (path) => void (await hasObjectBelow(db, path)));
    db.catalog.topListedAtMs = Math.min(startedMs, unshownAtMs);
  });
}

/**
 * Names of a directory that a listing did not show although we know them: the listing lags, or another node has deleted them. Past half of
 * `delete_bound` each is asked for, so that what is gone ends here too, and not only once somebody asks for it by name.
 * @returns when the others were checked, the oldest first: the listing is good until that one is to be asked for; Infinity when there are none
 */
async function askForUnshown(db: Database, directory: string, shown: ReadonlySet<string>): Promise<number> {
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
  await askForEach(db, unshown.filter((path) => !isTrusted(path)).slice(0, MOST_ASKED));
  return unshown.reduce((oldest, path) => (db.catalog.sizeOf(path) === undefined ? oldest : Math.min(oldest, checkedAtMs(path))), Infinity);
}

/** The same of a shard after a listing of everything, for which nothing was asked. With one node nobody else deletes. */
function unshownIn({ settings }: Database, shard: ShardTable, startedMs: number): number {
  const oldestMs = settings.nodes === 'one' ? Infinity : shard.oldestCheckedAtS * 1000;
  // What was shown was checked in the second of the start.
  return oldestMs < Math.floor(startedMs / 1000) * 1000 ? oldestMs : Infinity;
}

function firstOf<T>(items: Iterable<T>, most: number): T[] {
  const first: T[] = [];
  for (const item of items) {
    if (first.length >= most) break;
    first.push(item);
  }
  return first;
}

/** Of names that may be gone: what Swift says teaches the catalog. */
export function askForEach(db: Database, paths: readonly string[]): Promise<void> {
  return forEachAtOnce(paths, ASKED_AT_ONCE, async (path) => {
    try {
      await headOf(db, path);
    } catch (error) {
      // What is wrong with one file says nothing of the listing.
      if (kindOf(error) !== 'corrupt') throw error;
      db.log.debug('listing.unshown', { path: displayName(path), reason: messageOf(error) });
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
function learnFrom(db: Database, page: readonly ListedObject[], startedMs: number): Promise<void> {
  return askForEach(db, learnPage(db, page, startedMs).slice(0, MOST_ASKED));
}

/** Whether an error means that we could not find out, rather than that the question was wrong. */
export function isDontKnow(error: unknown): boolean {
  const kind = kindOf(error);
  return kind !== 'interrupted' && kind !== 'invalid-name' && kind !== 'name-too-long';
}
