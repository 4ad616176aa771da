/** What a rename does whichever way the bytes go: what hangs on the name goes along. */
import { FilestoreError } from '../base/errors.js';
import { contentSha1, displayName } from '../base/names.js';
import type { Database } from './database.js';

/** A time that was set and is not in Swift yet goes along; that of a content name is a function of the name. */
export function moveTimes(db: Database, from: string, to: string): void {
  const mtimeMs = db.owedTimes.get(from);
  db.owedTimes.delete(from);
  if (mtimeMs === undefined || contentSha1(to) !== undefined) db.owedTimes.delete(to);
  else db.owedTimes.set(to, mtimeMs);
}

/** The new name is the file's from this turn of the loop on. Who has the replaced file open keeps its bytes; the name is no longer theirs. */
export function moveLive(db: Database, from: string, to: string): void {
  db.live.get(to)?.unlink();
  db.live.get(from)?.rename(to);
}

export function crossDevice(from: string, to: string): FilestoreError {
  return new FilestoreError('cross-device', `${displayName(from)} to ${displayName(to)} is not one step here; the caller copies`);
}
