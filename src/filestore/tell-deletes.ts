/**
 * Swift is told of the deletes that it is owed: with one node in bulk, with several each by itself, since it is looked at again first
 * (delete-path.ts).
 *
 * What may interleave: each DELETE re-checks, under the blob's lock, that its tombstone is still the current one.
 */
import { forEachAtOnce } from '../base/at-once.js';
import { steadyNowMs } from '../base/clock.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Tombstone } from '../spool/spool.js';
import { assertContainer } from './ask-swift.js';
import type { Attempts } from './attempts.js';
import type { Database } from './database.js';
import { deleteOwed, lateDueMs, settleDeleted } from './delete-path.js';
import { owedDeletes } from './owed.js';

/** Names a bulk delete takes: their locks are held while it runs (about 3 ms a name). */
const DELETES_IN_BULK = 100;
const FEWEST_FOR_BULK = 8;
const DELETED_AT_ONCE = 4;

/** Never rejects. */
export async function tellDeletes(db: Database, attempts: Attempts): Promise<void> {
  // Another node that says "one" has it: what we think is garbage may be what it lives on.
  if (db.binding.refusal !== undefined) return;
  const nowMs = steadyNowMs();
  const owed = [...owedDeletes(db.spool)].filter((t) => lateDueMs(db, t) <= nowMs && attempts.retries.isDue(`delete ${t.path}`));
  while (owed.length > 0 && !attempts.mustStop) {
    // A PUT of the name that is under way comes first, and the turn does not wait for it.
    const batch = owed.splice(0, DELETES_IN_BULK).filter(({ path }) => !db.publishing.has(path));
    if (batch.length >= FEWEST_FOR_BULK && db.settings.nodes === 'one')
      await attempts.run('deletes', () => deleteMany(db, attempts, batch));
    else await deleteEach(db, attempts, batch);
  }
}

function deleteEach(db: Database, attempts: Attempts, batch: readonly Tombstone[]): Promise<void> {
  const { signal } = attempts;
  const check = db.settings.nodes === 'many';
  return forEachAtOnce(attempts.begun(batch), DELETED_AT_ONCE, async ({ path }) => {
    if (db.publishing.has(path)) return;
    await attempts.run(`delete ${path}`, () => db.locks.run(path, () => deleteOwed(db, path, { check, signal })));
  });
}

/** LOCKS: all names of the batch, in ascending order. */
async function deleteMany(db: Database, attempts: Attempts, batch: readonly Tombstone[]): Promise<void> {
  const sorted = [...batch].sort((a, b) => (a.path < b.path ? -1 : 1));
  const lockFrom = (index: number): Promise<void> => {
    const next = sorted[index];
    return next === undefined ? deleteLocked(db, attempts, sorted) : db.locks.run(next.path, () => lockFrom(index + 1));
  };
  await lockFrom(0);
}

async function deleteLocked(db: Database, { request, retries }: Attempts, sorted: readonly Tombstone[]): Promise<void> {
  const { health, store, container } = db;
  const isCurrent = (t: Tombstone): boolean => db.spool.tombstones.get(t.path)?.sequence === t.sequence;
  const before = sorted.filter(isCurrent);
  const paths = before.map(({ path }) => path);
  const keeping = db.trash.keepMany(paths, request);
  // Where nobody is asked, that it is done is no sign of Swift.
  const refused = await (db.trash.isOff ? keeping : health.watch(keeping));
  const current = before.filter((t) => isCurrent(t) && !refused.has(t.path));
  const names = current.map(({ path }) => objectNameOf(path));
  const startedMs = steadyNowMs();
  const deleting = db.change(() => store.deleteMany(container, names, request));
  const { failed } = await (names.length === 0 ? deleting : health.watch(deleting));
  if (names.length > 0) await health.watch(assertContainer(db, startedMs));
  for (const t of current) if (!failed.has(objectNameOf(t.path))) await settleDeleted(db, t.path, t.sequence);
  // Each of these is tried again by itself.
  for (const { path } of before) {
    const reason = refused.get(path)?.message ?? failed.get(objectNameOf(path));
    if (reason !== undefined) retries.failed(`delete ${path}`, `DELETE ${displayName(path)}: ${reason}`, 'refusal');
  }
}
