/**
 * With `nodes: many` another node may drop a database: its container is gone, or marked as being dropped (drop-watch.ts). Then the database ends
 * here too: its directories, names and markers go, and nothing of it rises again, neither when somebody makes it anew nor from an origin.
 *
 *    marked, or gone ──(nothing written here waits or is under way)──► ended: as if it had been dropped here
 *                     └─(something does)──► in use: a file that is being written makes the container again, or takes the mark away; what
 *                                           waits in the spool for a container that is gone stays there, loudly (`ContainerLost`)
 *
 * A container that is gone is a drop only where it was ours in this life and a second look agrees, or where its mark was seen. One that we did not
 * see before, and one whose account is another than it was, says nothing about a drop: it is lost, or it is the wrong region.
 */
import { displayName } from '../base/names.js';
import type { Database } from './database.js';
import type { DropLook } from './drop-watch.js';
import { owedWrites } from './owed.js';

/**
 * To be called before the container is asked for.
 * @param end what is to be done with the record when the database ends; whether the drop was seen to be marked
 */
export function beginLook(db: Database, end: (isMarked: boolean) => void): DropLook {
  const hasChanged = db.ownChanges.watch();
  return {
    // What was changed in the container meanwhile is newer than the answer.
    isInUse: () => isInUse(db) || hasChanged(),
    end: (isMarked) => {
      // First the record: after a crash between the two the names are there without a database, and each of them is asked for again.
      end(isMarked);
      forgetAll(db);
      db.log.info('database.dropped-elsewhere', { database: displayName(db.name), container: db.container, isMarked });
    },
  };
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
