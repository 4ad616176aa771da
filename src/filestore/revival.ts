/**
 * Names that were deleted here and written by somebody else since: another node, `undelete`, an admin at the shell. Swift has no compare-and-swap
 * (If-Match and If-Unmodified-Since are ignored on DELETE and PUT), so the only evidence is the time at which Swift stored the object, held
 * against the time of our delete by Swift's clock (`ObjectStore.clockAheadMs`). With `nodes: one` nobody else writes, and the times of what is still
 * owed are not compared.
 *
 *    buried, owed ──(many) stored after the delete──► alive, nothing is owed
 *    buried, told ──Swift has it─────────────────────► alive (only an origin's file was hidden)
 */
import { displayName } from '../base/names.js';
import type { Tombstone } from '../spool/spool.js';
import type { ListedObject, ObjectInfo } from '../store/object-store.js';
import { isToCome, storeNowMs } from '../store/store-now.js';
import type { Database } from './database.js';
import { wasClosedHere } from './object-metadata.js';
import { kindOfPath } from './path-kind.js';

type Asked = Pick<ObjectInfo, 'lastModifiedMs' | 'metadata'>;
type Listed = Pick<ListedObject, 'lastModifiedMs'>;

/** Whether Swift is asked for a buried name all the same. */
export function mayLiveElsewhere(db: Database, path: string): boolean {
  const tombstone = db.spool.tombstones.get(path);
  return tombstone !== undefined && (!tombstone.owedToSwift || db.settings.nodes === 'many');
}

/**
 * Ends the tombstone of a name that Swift shows, when the object is newer than the delete.
 * @param object as it was asked for, or as a listing showed it, which may lag behind our own delete
 * @returns whether the name may be believed to be there
 */
export function believe(db: Database, path: string, object: Asked | Listed): boolean {
  const tombstone = db.spool.tombstones.get(path);
  if (tombstone === undefined) return true;
  if (!isNewer(db, tombstone, object) || mustBeAsked(db, path, object)) return false;
  db.spool.exhume(path);
  db.log.info('delete.overtaken', {
    database: displayName(db.name),
    path: displayName(path),
    meaning: 'somebody else stored it after it was deleted here: it stays',
  });
  return true;
}

/** Whether a listing shows what may as well be our own: only the object says who closed it when. */
export function mustBeAsked(db: Database, path: string, object: Asked | Listed): boolean {
  const tombstone = db.spool.tombstones.get(path);
  return tombstone?.owedToSwift === true && !('metadata' in object) && kindOfPath(path) === 'other' && isNewer(db, tombstone, object);
}

/** A file that is not content-named says itself who closed it when; its own time is that of a POST of ours too, or of a PUT that came after the delete. */
function isNewer(db: Database, tombstone: Tombstone, object: Asked | Listed): boolean {
  const { lastModifiedMs } = object;
  if (!tombstone.owedToSwift && 'metadata' in object) return true;
  if (tombstone.owedToSwift && db.settings.nodes === 'one') return false;
  if (tombstone.owedToSwift && 'metadata' in object && wasClosedHere(db, object, tombstone.deletedAtMs)) return false;
  return lastModifiedMs > tombstone.deletedAtMs && !isToCome(lastModifiedMs, storeNowMs(db.store));
}
