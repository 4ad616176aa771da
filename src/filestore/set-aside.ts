/** Bytes that were written under a content name they do not hash to: kept for a human, and told. */
import { displayName } from '../base/names.js';
import type { StagingFile } from '../spool/spool.js';
import type { Database } from './database.js';

/** @throws what the disk says */
export async function setAside(db: Database, staging: StagingFile, path: string): Promise<void> {
  const file = await db.spool.setAside(staging, path, await staging.digest());
  db.log.warn('write.torn', {
    database: displayName(db.name),
    path: displayName(path),
    kept: file,
    meaning: 'its bytes do not hash to its name, so it was not stored (a writer was cut off?); look at the file and remove it',
  });
}
