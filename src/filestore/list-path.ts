/**
 * All names of a directory: what Swift has (from the catalog while its listing is fresh, else one listing), plus what is pending or open here,
 * plus what an origin has, less what was deleted, less blobs hidden behind an alias or not finished yet.
 * A listing of Swift is a hint that may lag; our own changes are laid over it, so that what was made or removed here is exact at once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { displayName, joinPath } from '../base/names.js';
import { lookupPatienceMs } from './ask-swift.js';
import { isShardName } from './catalog.js';
import type { Database } from './database.js';
import type { ListedName, Requester, Stat, TakeNames } from './filestore.js';
import { refreshBelow, refreshTop } from './list-swift.js';
import { kindOfPath } from './path-kind.js';

/** How long a listing of the whole container is good enough for the database's own directory, where nobody else makes any in it. */
const ROOT_LISTING_MS = 600_000;
const ASK_AGAIN_MS = 500;
/** For so long a Swift that could not list is not waited for. */
const UNLISTED_MS = 10_000;

export async function list(db: Database, directory: string, requester: Requester): Promise<readonly ListedName[]> {
  return (await prepareList(db, directory, requester))();
}

/** Answered in the same turn of the loop where nobody has to be asked; the names are then only put together when they are taken. */
export function prepareList(db: Database, directory: string, requester: Requester): Answer<TakeNames> {
  if (kindOfPath(directory) === 'marker') return taken(db.local.list(directory));
  const isKnown = isFresh(db, directory);
  if (!isKnown || db.walkOfDirectories.isWalking) listAhead(db, directory);
  if (db.origin === undefined && isKnown) return () => laidOver(db, directory, new Map());
  return askAndList(db, directory, isKnown, requester.signal);
}

async function askAndList(db: Database, directory: string, isKnown: boolean, signal: AbortSignal): Promise<TakeNames> {
  if (!isKnown) {
    await freshen(db, directory, signal);
    db.walkOfDirectories.listed();
  }
  const names = new Map<string, ListedName>();
  await addFromOrigin(db, directory, names);
  // At once: whoever waits for this gets it some turns later, when the directory may have another name.
  return taken(laidOver(db, directory, names));
}

function taken(names: readonly ListedName[]): TakeNames {
  return () => names;
}

/** @param names what an origin has */
function laidOver(db: Database, directory: string, names: Map<string, ListedName>): readonly ListedName[] {
  // Of each name by itself: the listing may not have shown one that we know, since another node has deleted it.
  const trustedMs = db.trustMs - steadyNowMs();
  const inSwift: ListedName[] = [];
  db.catalog.forEachIn(directory, (name, kind, sizeBytes, checkedAtMs) => {
    const validMs = Math.max(0, checkedAtMs + trustedMs);
    inSwift.push({ name, kind, stat: sizeBytes === undefined ? undefined : db.blobStatFor(sizeBytes, validMs) });
  });
  if (names.size === 0 && isPlainShard(db, directory)) return inSwift.sort(byName);
  for (const listed of inSwift) names.set(listed.name, listed);
  if (db.aliased.size > 0 || db.spool.tombstones.size > 0)
    for (const name of [...names.keys()]) if (isHidden(db, joinPath(directory, name))) names.delete(name);
  addLocal(db, directory, names);
  return [...names.values()].sort(byName);
}

/** Who walks in the order of the listing and who sorts first walk alike, and can be fetched ahead of (walk-ahead.ts). */
function byName(a: ListedName, b: ListedName): number {
  return a.name < b.name ? -1 : 1;
}

/** A shard of which this machine alone knows nothing: most are, in most walks. */
function isPlainShard({ spool, aliased, live }: Database, directory: string): boolean {
  if (!isShardName(directory)) return false;
  return aliased.size + spool.tombstones.size + spool.pending.size + live.size + spool.aliases.size + spool.deeperDirectories.size === 0;
}

function isHidden(db: Database, path: string): boolean {
  return db.aliased.has(path) || (db.isBuried(path) && !db.spool.pending.has(path));
}

/** Whether what is known of Swift's names is young enough. */
function isFresh(db: Database, directory: string): boolean {
  if (kindOfPath(directory) === 'temporary' || directory === 'upload') return true;
  const { completeAtMs, topListedAtMs } = db.catalog;
  // A listing of everything is noted at each shard that was known then.
  const listedAtMs = directory === '' ? Math.max(completeAtMs, topListedAtMs) : db.catalog.shard(directory).listedAtMs || completeAtMs;
  const isTrusted = steadyNowMs() - listedAtMs < db.trustMs;
  return isTrusted && (directory !== '' || isNamed(db));
}

/** Whether the listing of the whole container is young enough for its files and shards to be shown from it. */
function isNamed(db: Database): boolean {
  return steadyNowMs() - db.catalog.completeAtMs < Math.max(ROOT_LISTING_MS, db.trustMs);
}

/** Its failures are nobody's: who then lists the directory joins the question, which therefore goes among the reads, or asks anew. */
function listAhead(db: Database, directory: string): void {
  const next = db.walkOfDirectories.lists(directory, db.trustMs, (shard) => db.catalog.hasBelow(shard));
  if (db.health.isAway || steadyNowMs() < db.unlistedUntilMs) return;
  for (const shard of next) {
    if (isFresh(db, shard)) continue;
    refreshBelow(db, shard, { priority: 'read', tries: 'few' }).catch((error: unknown) => {
      db.log.debug('walk.not-listed', { directory: shard, reason: messageOf(error) });
    });
  }
}

async function freshen(db: Database, directory: string, signal: AbortSignal): Promise<void> {
  try {
    await refreshPatiently(db, directory, signal);
  } catch (error) {
    // What the durable list knows is the best there is, whatever Swift refused; without any list an empty directory would be a lie.
    if (kindOf(error) === 'interrupted') throw error;
    const known = db.catalog.count > 0 || db.catalog.completeAtMs > 0 || !db.binding.isBound;
    if (!known)
      throw new FilestoreError('unavailable', `${displayName(directory)}: cannot be listed while Swift is away`, { cause: error });
  }
}

/**
 * A Swift that answers and cannot list for a moment is asked again, for its list may have what another node has stored; one that cannot for long (its
 * container servers are away) does not hold up each directory of a walk anew.
 */
async function refreshPatiently(db: Database, directory: string, signal: AbortSignal): Promise<void> {
  const options = { priority: 'read', tries: 'few' } as const;
  const patientUntilMs = steadyNowMs() + (steadyNowMs() < db.unlistedUntilMs ? 0 : lookupPatienceMs(db));
  for (;;) {
    try {
      await db.health.answerOrAway(
        () => (directory === '' && isNamed(db) ? refreshTop(db, options) : refreshBelow(db, directory, options)),
        signal,
      );
      db.unlistedUntilMs = 0;
      return;
    } catch (error) {
      if (!(error instanceof StoreAnswered) || steadyNowMs() >= patientUntilMs) {
        if (error instanceof StoreAnswered) db.unlistedUntilMs = steadyNowMs() + UNLISTED_MS;
        throw error;
      }
      await pause(ASK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function addFromOrigin(db: Database, directory: string, names: Map<string, ListedName>): Promise<void> {
  if (directory !== '' && db.isBuried(directory)) return;
  for (const entry of (await db.origin?.list(directory)) ?? []) {
    if (!isShown(joinPath(directory, entry.name), entry.kind)) continue;
    names.set(entry.name, { name: entry.name, kind: entry.kind, stat: undefined });
  }
}

/**
 * Markers, temporary names and aliases are this machine's own, and a content name is no directory's: a lookup finds none of them in an origin, and what
 * is listed and not found stops who removes a tree.
 */
function isShown(path: string, entryKind: ListedName['kind']): boolean {
  const kind = kindOfPath(path);
  return kind === 'other' || (kind === 'blob' && entryKind === 'file');
}

function addLocal(db: Database, directory: string, names: Map<string, ListedName>): void {
  const prefix = directory === '' ? '' : `${directory}/`;
  const hidesDeeper = isShardName(directory);
  const add = (path: string, kind: ListedName['kind'], stat?: () => Stat): void => {
    if (!path.startsWith(prefix)) return;
    const slash = path.indexOf('/', prefix.length);
    const name = path.slice(prefix.length, slash < 0 ? undefined : slash);
    if (slash < 0) names.set(name, { name, kind, stat: stat?.() });
    // The directory on the way to what lies deeper; in a shard only those that are noted.
    else if (!hidesDeeper && !names.has(name)) names.set(name, { name, kind: 'directory', stat: undefined });
  };
  // A directory that is noted is there for as long as a lookup of its name would say.
  const noted = directory === '' ? db.spool.directories.keys() : db.spool.deeperDirectories;
  for (const path of noted) if (path.startsWith(prefix)) add(path, 'directory', () => db.directoryStat(path));
  for (const [path, pending] of db.spool.pending) {
    if (db.aliased.has(path)) continue;
    add(path, 'file', kindOfPath(path) === 'blob' ? () => db.blobStat(pending.sizeBytes) : undefined);
  }
  for (const path of db.live.keys()) add(path, 'file');
  for (const alias of db.spool.aliases.keys()) add(alias, 'file');
  if (directory === '' && db.local.stat('checklist') !== undefined)
    names.set('checklist', { name: 'checklist', kind: 'directory', stat: undefined });
}
