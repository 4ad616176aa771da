/**
 * Renames of what Swift has, by way of the spool: where a COPY could put other bytes under the new name than were meant, or nobody would know whether
 * it had, the bytes become pending under the old name first, and are renamed as such.
 */
import { FilestoreError } from '../base/errors.js';
import type { FileDigest } from '../base/file-digest.js';
import { contentSha1, displayName } from '../base/names.js';
import type { HeldFile } from '../cache/cache.js';
import type { StagingFile } from '../spool/spool.js';
import { headOf } from './ask-swift.js';
import type { KnownObject } from './catalog.js';
import type { Database } from './database.js';
import type { Requester } from './filestore.js';
import { fillWhole } from './fill-whole.js';
import { kindOfPath } from './path-kind.js';
import { seal } from './publish.js';
import { crossDevice } from './rename-steps.js';

interface KnownBytes extends KnownObject {
  readonly md5: string;
}

/**
 * What only Swift has gets a content name only when its bytes hash to it, and by the spool: a COPY would take whatever stands there by then.
 * @throws corrupt, stale when it was replaced meanwhile, cross-device where its bytes cannot be told
 */
export async function takeForContentName(db: Database, from: string, to: string, requester: Requester): Promise<void> {
  const sha1 = contentSha1(to);
  if (sha1 === undefined || contentSha1(from) === sha1) return;
  const known = knownBytes(db, from);
  if (known === undefined) throw crossDevice(from, to);
  await takeFromSwift(db, from, known, requester, (digest) => {
    if (digest.sha1 !== sha1)
      throw new FilestoreError('corrupt', `${displayName(from)} does not hash to ${displayName(to)}: it keeps its name`);
  });
}

/**
 * With several nodes, what takes another file's place goes by the spool too: a COPY that was not answered may have been done, and the target would have
 * lost its bytes to a rename that failed. (With one, the cache's copy makes good for that: {@link takeFromCache}.) Swift is asked for the source anew.
 */
export async function takeToReplace(db: Database, from: string, to: string, requester: Requester): Promise<void> {
  if (db.settings.nodes === 'one' || db.spool.pending.has(from) || contentSha1(to) !== undefined || kindOfPath(to) !== 'other') return;
  if (db.catalog.other(from) === undefined) return;
  await headOf(db, from, requester.signal);
  const known = knownBytes(db, from);
  if (known === undefined) return;
  await takeFromSwift(db, from, known, requester, (digest) => {
    if (digest.md5 !== known.md5) throw new FilestoreError('corrupt', `${displayName(from)}: its copy has other bytes`);
  });
}

/**
 * After a COPY that was not answered: the cache's copy takes its place.
 * @param unanswered how the COPY ended; thrown as well where the copy has other bytes
 * @returns false when there is none
 */
export async function takeFromCache(db: Database, path: string, unanswered: unknown): Promise<boolean> {
  const known = knownBytes(db, path);
  const file = known === undefined ? undefined : await db.cache.open(`md5-${known.md5}`);
  if (known === undefined || file === undefined) return false;
  await sealCopy(db, path, known, file, (digest) => {
    if (digest.md5 !== known.md5) throw unanswered;
  });
  return true;
}

/** What Swift has under a name that is no content name, where it has told the MD5. */
function knownBytes(db: Database, path: string): KnownBytes | undefined {
  const known = db.catalog.other(path);
  return known?.md5 === undefined ? undefined : { ...known, md5: known.md5 };
}

async function takeFromSwift(
  db: Database,
  path: string,
  known: KnownBytes,
  requester: Requester,
  assertRight: (digest: FileDigest) => void,
): Promise<void> {
  await sealCopy(db, path, known, await fillWhole(db, path, `md5-${known.md5}`, requester.signal), assertRight);
}

/**
 * What Swift has becomes pending under its own name.
 * @param known what is known of it
 * @param file a copy of the cache's; closed here
 * @throws what `assertRight` does; stale when it was replaced meanwhile
 */
async function sealCopy(
  db: Database,
  path: string,
  known: KnownBytes,
  file: HeldFile,
  assertRight: (digest: FileDigest) => void,
): Promise<void> {
  let staging: StagingFile;
  try {
    staging = await db.spool.createStagingFrom(`/proc/self/fd/${file.fd}`);
  } catch (error) {
    // Where the copy cannot be read, the next try gets another one.
    file.reject();
    throw error;
  } finally {
    file.close();
  }
  try {
    const digest = await staging.digest();
    assertRight(digest);
    const isWanted = (): boolean => db.catalog.other(path)?.md5 === known.md5;
    await seal(db, { path, staging, digest, mtimeMs: db.owedTimes.get(path) ?? known.mtimeMs, isWanted });
  } finally {
    await staging.discard();
  }
}
