/** Times that Swift is told in the background. They are kept in memory only: a crash loses them, and changes no content. */
import { objectNameOf } from '../base/names.js';
import type { Attempts } from './attempts.js';
import type { Database } from './database.js';

/** mtimes that were set after close() on files Swift has. Never rejects. */
export async function tellTimes(db: Database, attempts: Attempts): Promise<void> {
  for (const [path, mtimeMs] of [...db.owedTimes]) {
    if (db.spool.pending.has(path) || db.live.has(path)) continue;
    if (attempts.mustStop) return;
    await attempts.run(`times ${path}`, () => db.locks.run(path, () => tellTime(db, attempts, path, mtimeMs)));
  }
}

async function tellTime(db: Database, { request }: Attempts, path: string, mtimeMs: number): Promise<void> {
  if (db.owedTimes.get(path) !== mtimeMs) return;
  const times = { mtime: String(Math.round(mtimeMs)) };
  await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), times, request));
  const known = db.catalog.other(path);
  if (known === undefined || db.owedTimes.get(path) !== mtimeMs) return;
  db.learnOther(path, { ...known, mtimeMs });
  db.owedTimes.delete(path);
}

/** Blobs whose markers say that Odoo goes on using them (markers.ts): their time in Swift becomes now. Never rejects. */
export async function tellTouched(db: Database, attempts: Attempts): Promise<void> {
  for (const path of [...db.touched]) {
    if (db.publishing.has(path)) continue;
    if (attempts.mustStop) return;
    await attempts.run(`touch ${path}`, () => db.locks.run(path, () => touch(db, attempts, path)));
  }
}

async function touch(db: Database, { request }: Attempts, path: string): Promise<void> {
  if (!db.touched.delete(path) || db.catalog.sizeOf(path) === undefined) return;
  try {
    await db.health.watch(db.store.updateMetadata(db.container, objectNameOf(path), {}, request));
  } catch (error) {
    db.touched.add(path);
    throw error;
  }
}
