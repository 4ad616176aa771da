/**
 * Odoo's markers (`checklist/`) are this machine's own, but with several nodes one of them matters to the others: Odoo that stores content which is
 * there already writes nothing and only puts the name on the checklist. A node whose garbage collector has taken that blob out of use, and waits for the
 * grace to pass, would never hear of it. So with `nodes: many` a marker that is made or emptied for a known blob sets the object's time in Swift to
 * now (one HEAD and one POST, in the background), which is what the waiting delete looks at (revival.ts). And what we believe of the blob is
 * asked again, because another node may have deleted it within `delete_bound`, and Odoo is about to look whether it has to write.
 */
import type { Database } from './database.js';
import { kindOfPath } from './path-kind.js';

const PREFIX = 'checklist/';

/** Somebody opens a marker for writing. */
export function noteMarker(db: Database, path: string): void {
  if (db.settings.nodes === 'one' || !path.startsWith(PREFIX)) return;
  const blob = path.slice(PREFIX.length);
  // A blob that is not known to be in Swift is about to be written, which says the same.
  if (kindOfPath(blob) !== 'blob' || db.catalog.sizeOf(blob) === undefined) return;
  db.touched.add(blob);
  db.doubt(blob);
  db.wake();
}
