/**
 * All names of a directory: what Swift has (from the catalog while its listing is fresh, else one listing), plus what is pending or open here,
 * plus what an origin has, less what was deleted, less blobs hidden behind an alias or not finished yet.
 * A listing of Swift is a hint that may lag; our own changes are laid over it, so that what was made or removed here is exact at once.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import { displayName, joinPath, splitPath } from '../base/names.js';
import { refreshBelow } from './ask-swift.js';
import { isShardName } from './catalog.js';
import type { Database } from './database.js';
import type { ListedName } from './filestore.js';
import { kindOfPath } from './path-kind.js';

/** How long a listing of the whole container is good enough to name the shards. New names are found by lookup in any case. */
const ROOT_LISTING_MS = 600_000;

export async function list(db: Database, directory: string, signal: AbortSignal): Promise<readonly ListedName[]> {
  if (kindOfPath(directory) === 'marker') return db.local.list(directory);
  await freshen(db, directory, signal);
  const names = new Map<string, ListedName>();
  const listedAtMs = Math.max(db.catalog.completeAtMs, db.catalog.shard(directory).listedAtMs);
  await addFromOrigin(db, directory, names);
  db.catalog.forEachIn(directory, (name, kind, sizeBytes) => {
    names.set(name, { name, kind, stat: sizeBytes === undefined ? undefined : db.blobStat(sizeBytes, listedAtMs) });
  });
  for (const name of [...names.keys()]) if (isHidden(db, joinPath(directory, name))) names.delete(name);
  addLocal(db, directory, names);
  // By name: who walks in the order of the listing and who sorts first walk alike, and can be fetched ahead of (walk-ahead.ts).
  return [...names.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isHidden(db: Database, path: string): boolean {
  return db.aliased.has(path) || (db.isBuried(path) && !db.spool.pending.has(path));
}

async function freshen(db: Database, directory: string, signal: AbortSignal): Promise<void> {
  if (kindOfPath(directory) === 'temporary' || directory === 'upload') return;
  const now = Date.now();
  const complete = db.catalog.completeAtMs;
  if (
    directory === ''
      ? now - complete < Math.max(ROOT_LISTING_MS, db.trustMs)
      : now - Math.max(complete, db.catalog.shard(directory).listedAtMs) < db.trustMs
  )
    return;
  try {
    await db.health.answerOrAway(() => refreshBelow(db, directory, { priority: 'read' }), signal);
  } catch (error) {
    // What the durable list knows is the best there is, whatever Swift refused; without any list an empty directory would be a lie.
    if (kindOf(error) === 'interrupted') throw error;
    const known = db.catalog.count > 0 || db.catalog.completeAtMs > 0 || !db.binding.isBound;
    if (!known)
      throw new FilestoreError('unavailable', `${displayName(directory)}: cannot be listed while Swift is away`, { cause: error });
  }
}

async function addFromOrigin(db: Database, directory: string, names: Map<string, ListedName>): Promise<void> {
  if (directory !== '' && db.isBuried(directory)) return;
  for (const entry of (await db.origin?.list(directory)) ?? []) {
    if (directory === '' && entry.name === 'checklist') continue;
    names.set(entry.name, { name: entry.name, kind: entry.kind, stat: undefined });
  }
}

function addLocal(db: Database, directory: string, names: Map<string, ListedName>): void {
  for (const path of db.spool.directories.keys()) addChild(directory, path, 'directory', names);
  for (const [path, pending] of db.spool.pending) {
    if (db.aliased.has(path)) continue;
    addChild(directory, path, 'file', names, kindOfPath(path) === 'blob' ? pending.sizeBytes : undefined, db);
  }
  for (const path of db.live.keys()) addChild(directory, path, 'file', names);
  for (const alias of db.spool.aliases.keys()) addChild(directory, alias, 'file', names);
  if (directory === '' && db.local.stat('checklist') !== undefined)
    names.set('checklist', { name: 'checklist', kind: 'directory', stat: undefined });
}

function addChild(
  directory: string,
  path: string,
  kind: 'file' | 'directory',
  names: Map<string, ListedName>,
  blobSizeBytes?: number,
  db?: Database,
): void {
  const at = splitPath(path);
  if (at.directory === directory) {
    names.set(at.name, { name: at.name, kind, stat: blobSizeBytes === undefined ? undefined : db?.blobStat(blobSizeBytes) });
    return;
  }
  const prefix = directory === '' ? '' : `${directory}/`;
  if (!path.startsWith(prefix) || isShardName(directory)) return;
  const below = path.slice(prefix.length);
  const name = below.slice(0, below.indexOf('/'));
  if (!names.has(name)) names.set(name, { name, kind: 'directory', stat: undefined });
}
