/**
 * Odoo's markers (`checklist/`) are this machine's own, but with several nodes one of them matters to the others: Odoo that stores content which is
 * there already writes nothing and only puts the name on the checklist. A node whose garbage collector has taken that blob out of use, and waits for the
 * grace to pass, would never hear of it. So with `nodes: many` a marker that is made or emptied for a known blob sets the object's time in Swift to
 * now (one HEAD and one POST, in the background), which is what the waiting delete looks at (revival.ts). And what we believe of the blob is
 * asked again, because another node may have deleted it within `delete_bound`, and Odoo is about to look whether it has to write. Odoo up to 19 makes
 * no marker where one is: that it looks for it has to be enough.
 */
import type { Database } from './database.js';
import { kindOfPath } from './path-kind.js';

const PREFIX = 'checklist/';

/** Somebody opens a marker for writing, and is to be answered after this: the kernel would still say of the blob that it is there. */
export function noteMarker(db: Database, path: string): Promise<void> | undefined {
  const blob = knownBlobOf(db, path);
  if (blob === undefined) return undefined;
  db.touched.add(blob);
  const untilForgotten = db.doubt(blob);
  db.wake();
  return untilForgotten?.();
}

/** Somebody looks for a marker, and it is there. He is to be answered after this. */
export function noteMarkerSeen(db: Database, path: string): Promise<void> | undefined {
  const blob = knownBlobOf(db, path);
  return blob === undefined ? undefined : db.doubt(blob)?.();
}

/** @returns the blob of a marker, where it matters. One that is not known to be in Swift is about to be written, which says the same. */
function knownBlobOf(db: Database, path: string): string | undefined {
  if (db.settings.nodes === 'one' || !path.startsWith(PREFIX)) return undefined;
  const blob = path.slice(PREFIX.length);
  return kindOfPath(blob) === 'blob' && db.catalog.sizeOf(blob) !== undefined ? blob : undefined;
}
