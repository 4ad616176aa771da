/**
 * With `nodes: many` another node may drop a database: its container is marked as being dropped (drop-watch.ts), and stays until each node that may
 * know the database has seen that, or was silent for a week. Then the database ends here too: its directories, names and markers go, and nothing of
 * it rises again, neither when somebody makes it anew nor from an origin.
 *
 *    marked ──(nothing written here waits or is under way)──► ended: as if it had been dropped here; this node takes itself off the container
 *            └─(something does)──► in use: what is written takes the mark away first, and the database lives on with just that
 *
 * A container that is missing without its mark having been seen is no drop: it is lost, or it is the wrong region.
 */
import { steadyNowMs } from '../base/clock.js';
import { displayName } from '../base/names.js';
import { storeNowMs } from '../store/store-now.js';
import type { Database } from './database.js';
import type { DropLook } from './drop-watch.js';
import { owedWrites } from './owed.js';

/**
 * To be called before the container is asked for.
 * @param end what is to be done with the record when the database ends
 */
export function beginLook(db: Database, end: () => void): DropLook {
  const begunAtMs = steadyNowMs();
  return {
    // What was stored in the container meanwhile is newer than the answer.
    isInUse: () => isInUse(db) || db.ownChanges.hasStoredSince(begunAtMs),
    end: () => {
      // First the record: after a crash between the two the names are there without a database, and each of them is asked for again.
      end();
      forgetAll(db);
      db.log.info('database.dropped-elsewhere', { database: displayName(db.name), container: db.container });
    },
  };
}

/** @returns paths of what was stored from here after this moment by the store's clock, in ms since the epoch, the last ones: a listing may not show them yet */
export function storedSince(db: Database, atMs: number): string[] {
  return db.ownChanges.storedSince(steadyNowMs() - (storeNowMs(db.store) - atMs));
}

/** Whether bytes that were written here wait for Swift, or are still being written. */
function isInUse(db: Database): boolean {
  if (owedWrites(db.spool).next().done !== true || db.writers.size > 0) return true;
  for (const file of db.live.values()) if (file.isDirty) return true;
  return false;
}

function forgetAll(db: Database): void {
  const { spool, catalog } = db;
  const shown = new Set<string>();
  catalog.forEachIn('', (name) => shown.add(name));
  for (const path of spool.directories.keys()) shown.add(path.split('/', 1)[0] ?? path);
  catalog.sweep(Infinity);
  catalog.completeAtMs = 0;
  for (const shard of catalog.shards()) shard.listedAtMs = 0;
  db.names.rewrite(catalog);
  for (const alias of [...spool.aliases.keys()]) spool.removeAlias(alias);
  db.aliased.clear();
  db.owedTimes.clear();
  db.touched.clear();
  // What is pending are temporaries, which never reach Swift.
  for (const path of [...spool.pending.keys()]) spool.markDeleted(spool.bury(path, { owedToSwift: false }), { keep: false });
  for (const tombstone of [...spool.tombstones.values()]) spool.markDeleted(tombstone, { keep: false });
  for (const path of [...spool.directories.keys()].sort().reverse()) spool.removeDirectory(path);
  db.hideOrigin();
  db.local.clear();
  for (const name of [...shown, 'checklist', '']) db.changed(name);
}
