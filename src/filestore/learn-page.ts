/** What a page of a listing teaches the catalog. */
import { pathOfObject } from '../base/names.js';
import type { ListedObject } from '../store/object-store.js';
import { shardOfBlobPath } from './catalog.js';
import type { Database } from './database.js';
import { isFileInSwift, isOdooDirectory, kindOfPath } from './path-kind.js';
import { believe, mustBeAsked } from './revival.js';

/**
 * Presence is believed unless we have deleted the name meanwhile.
 * @param startedMs when the listing set out
 * @returns paths whose row does not tell; the objects are to be asked for
 */
export function learnPage(db: Database, page: readonly ListedObject[], startedMs: number): readonly string[] {
  const unsure: string[] = [];
  for (const object of page) {
    const path = pathOfObject(object.name);
    if (db.ownChanges.wasDeletedSince(path, startedMs)) continue;
    if (mustBeAsked(db, path, object)) unsure.push(path);
    if (!believe(db, path, object)) continue;
    const shard = shardOfBlobPath(path);
    if (shard !== undefined) {
      if (object.sizeBytes !== undefined) db.learnBlob(path, object.sizeBytes, startedMs);
      continue;
    }
    if (kindOfPath(path) === 'blob' && object.sizeBytes !== undefined) {
      db.learnBlob(path, object.sizeBytes, startedMs);
      continue;
    }
    const known = db.catalog.other(path);
    if (known !== undefined && known.checkedAtMs >= startedMs) continue;
    // An empty object in a shard's place is how `swift upload` keeps an empty directory.
    if (!isFileInSwift(path) || (known === undefined && object.sizeBytes === 0 && isOdooDirectory(path))) continue;
    // A listing does not tell mtime and MD5 of our other files: a HEAD will, at the first stat.
    db.learnOther(path, {
      sizeBytes: object.sizeBytes ?? 0,
      mtimeMs: known?.mtimeMs ?? object.lastModifiedMs,
      md5: known?.md5,
      checkedAtMs: known?.checkedAtMs ?? 0,
      seenAtMs: startedMs,
    });
  }
  return unsure;
}
