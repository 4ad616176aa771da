/** The last look before a database is removed: what another node has stored and this one has not seen. */
import { forEachAtOnce } from '../base/at-once.js';
import { joinPath } from '../base/names.js';
import type { Database } from './database.js';
import { ASKED_AT_ONCE, askForEach, MOST_ASKED, refreshBelow, refreshTop, wholly } from './list-swift.js';

/**
 * For who is about to remove the database, when all that was seen of it is gone: what another node has stored since the directories were listed is
 * learnt. Each name is asked for, since a listing may lag behind our own deletes.
 * @throws what the store throws; why one of the names could not be asked for: nobody knows then whether all was seen
 */
export async function lookForUnseen(db: Database): Promise<void> {
  const options = { priority: 'read', anew: true } as const;
  await wholly(refreshTop(db, options));
  const [unseen, directories] = [new Array<string>(), new Array<string>()];
  db.catalog.forEachIn('', (name, kind) => void (kind === 'file' ? unseen : directories).push(name));
  // To its end: what is left of our own deletes in a listing that lags may stand before what is there.
  await forEachAtOnce(directories, ASKED_AT_ONCE, (name) => wholly(refreshBelow(db, name, options)));
  for (const name of directories) db.catalog.forEachIn(name, (below) => unseen.push(joinPath(name, below)));
  // One that is really there is enough to know.
  for (let at = 0; at < unseen.length; at += MOST_ASKED) {
    const asked = unseen.slice(at, at + MOST_ASKED);
    const unanswered: Error[] = [];
    for (const path of asked) db.heads.forget(path);
    await askForEach(db, asked, unanswered);
    if (unanswered[0] !== undefined) throw unanswered[0];
    if (asked.some((path) => db.catalog.sizeOf(path) !== undefined)) return;
  }
}
