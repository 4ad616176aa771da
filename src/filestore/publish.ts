/**
 * From a frozen staging file to a durable object: the one door by which bytes leave for Swift or the spool at a close().
 *
 *   through:  PUT ──ok──► in Swift          strict:  PUT ──ok──► in Swift        back:  seal ──► pending
 *              └─ away, late, refused ─► seal ► pending       └─ late, refused ─► EIO
 *
 * INVARIANT: when `publish` returns, the object is in Swift or sealed with fsync, and `status` counts which. A refusal by Swift (quota, rights) also
 * seals: up to Odoo 18 an error here is a silently lost document.
 */
import type { Readable } from 'node:stream';
import { afterRequest } from '../base/after-request.js';
import { steadyNowMs } from '../base/clock.js';
import { DiskFailed, FilestoreError, kindOf, messageOf, StoreNotAsked } from '../base/errors.js';
import { bytesOfFile } from '../base/file-bytes.js';
import { untilAborted } from '../base/until-aborted.js';
import type { FileDigest } from '../base/file-digest.js';
import { contentSha1, displayName, objectNameOf } from '../base/names.js';
import type { CacheKey } from '../cache/cache.js';
import { fingerprintOf, type Fingerprint } from '../cache/fingerprint.js';
import { readAllSync, sizeOfSpoolDisk } from '../spool/disk-calls.js';
import type { StagingFile } from '../spool/spool.js';
import type { Metadata, ObjectBody, PutOptions } from '../store/object-store.js';
import type { Database } from './database.js';
import { metadataOf } from './object-metadata.js';
import { owedWrites } from './owed.js';
import { kindOfPath } from './path-kind.js';

interface Publication {
  readonly path: string;
  /** Frozen. */
  readonly staging: StagingFile;
  readonly digest: FileDigest;
  readonly mtimeMs: number;
  /** Whether the path still belongs to these bytes: not once it is unlinked, renamed away or replaced by a rename. */
  readonly isWanted: () => boolean;
}

const SMALL_BYTES = 1 << 20;
/** A look at the disk of the spool is good for so long, and for so many bytes. */
const FLOOR_LOOK_MS = 25;
const FLOOR_LOOK_BYTES = 1 << 20;
/** How often `strict` looks whether the spool still owes older bytes of a name. */
const OWED_LOOK_MS = 50;

/** A local file as the body of a PUT; can be read again for a retry. */
export function bodyOfFile(fd: number, digest: Pick<FileDigest, 'sizeBytes' | 'md5'>): ObjectBody {
  return bodyOf(
    digest,
    (target, position) => readAllSync(fd, target, position),
    () => fd,
  );
}

function bodyOfStaging(staging: StagingFile, digest: FileDigest): ObjectBody {
  return bodyOf(
    digest,
    (target, position) => staging.copyTo(target, position),
    () => staging.file().fd,
  );
}

function bodyOf(
  { sizeBytes, md5 }: Pick<FileDigest, 'sizeBytes' | 'md5'>,
  copyTo: (target: Uint8Array, position: number) => void,
  fd: () => number,
): ObjectBody {
  return {
    sizeBytes,
    md5,
    read: (start, end): Readable | Uint8Array => {
      if (end - start > SMALL_BYTES) return bytesOfFile(fd(), start, end);
      const bytes = Buffer.allocUnsafe(end - start);
      copyTo(bytes, start);
      return bytes;
    },
  };
}

export function cacheKeyOf(path: string, md5: string): CacheKey {
  const sha1 = contentSha1(path);
  return sha1 === undefined ? `md5-${md5}` : `sha1-${sha1}`;
}

/**
 * @throws FilestoreError no-space when the spool is full, unavailable in `strict`, stale when the bytes are not wanted under the path any more
 */
export async function publish(db: Database, publication: Publication): Promise<void> {
  const { writeMode } = db.settings;
  assertTrue(publication);
  const temporary = kindOfPath(publication.path) === 'temporary';
  if (!temporary && writeMode === 'strict') return putNow(db, publication);
  if (!temporary && writeMode === 'through' && !isFailureOwed(db) && mayPutDirectly(db, publication.path)) {
    try {
      await putNow(db, publication);
      return;
    } catch (error) {
      if (kindOf(error) === 'stale') throw error;
      db.log.debug('write.spooled', { database: displayName(db.name), path: displayName(publication.path), reason: messageOf(error) });
      if (!TRANSIENT.has(kindOf(error))) db.problem = messageOf(error);
      else if (isSwifts(error, publication)) db.putFailure ??= { reason: reasonOf(db, error), sinceMs: steadyNowMs() };
    }
  }
  await seal(db, publication);
}

const TRANSIENT = new Set(['unavailable', 'interrupted', 'busy']);

/** Whether PUTs failed a moment ago, and the publisher, which has something to send, finds out when they are taken again. */
function isFailureOwed({ putFailure, spool }: Database): boolean {
  return putFailure !== undefined && owedWrites(spool).next().done !== true;
}

/** Whether a PUT that failed for a time says something of the next one: a large file may take longer than `write_timeout` where all is well. */
function isSwifts(error: unknown, { digest }: Publication): boolean {
  if (error instanceof StoreNotAsked || error instanceof DiskFailed) return false;
  return kindOf(error) !== 'interrupted' || digest.sizeBytes <= SMALL_BYTES;
}

function reasonOf({ settings }: Database, error: unknown): string {
  if (kindOf(error) !== 'interrupted') return messageOf(error);
  return `Swift did not take a small file within ${settings.writeTimeoutMs} ms (write_timeout)`;
}

/** A direct PUT must not overtake what the spool owes of the same name: after a crash the spool would put the older bytes over it. */
function mayPutDirectly(db: Database, path: string): boolean {
  return !db.health.isAway && !db.spool.pending.has(path);
}

/** For `strict`, which has nothing else to do with the bytes: waits until they may go to Swift. @param signal when there is no time left */
async function untilDirect(db: Database, path: string, signal: AbortSignal): Promise<void> {
  while (!mayPutDirectly(db, path) && !signal.aborted) {
    if (db.health.isAway) await db.health.untilBack(signal);
    else await new Promise((resolve) => setTimeout(resolve, OWED_LOOK_MS));
  }
}

/** `strict` goes on when Swift counts as away meanwhile: one that is slow takes the bytes all the same. @throws FilestoreError unavailable when it is late */
async function putPatiently(db: Database, path: string, put: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const attempt = async (): Promise<void> => {
    for (;;) {
      await untilDirect(db, path, signal);
      try {
        return await db.health.watch(put());
      } catch (error) {
        // Also where nobody waits on, e.g. for a login or behind refused connections: there is time left.
        if (kindOf(error) !== 'unavailable' || error instanceof DiskFailed || signal.aborted) throw error;
        await new Promise((resolve) => setTimeout(resolve, OWED_LOOK_MS));
      }
    }
  };
  const late = `Swift did not take it within ${db.settings.writeTimeoutMs} ms (write_timeout) and write_mode is strict`;
  await untilAborted(attempt(), signal, () => new FilestoreError('unavailable', `${late}: ${displayName(path)} was not stored`));
}

async function putNow(db: Database, { path, staging, digest, mtimeMs, isWanted }: Publication): Promise<void> {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), db.settings.writeTimeoutMs);
  let verified: Fingerprint | undefined;
  staging.whenOnDisk((fd) => (verified = fingerprintOf(fd)));
  const endPreparing = afterRequest(() => prepareForCache(staging));
  try {
    const put = (): Promise<void> =>
      db.locks.run(path, async () => {
        assertWanted(path, isWanted);
        if (given.signal.aborted) throw new FilestoreError('interrupted', 'there is no time left for the PUT');
        await putObject(db, path, bodyOfStaging(staging, digest), metadataOf(db, path, digest, mtimeMs), {
          priority: 'write',
          signal: given.signal,
          timeoutMs: db.settings.writeTimeoutMs,
          // The spool takes it then, and the publisher goes on trying.
          ...(db.settings.writeMode === 'through' ? { tries: 'few' as const } : {}),
        });
        // Given up meanwhile: the caller seals, and the spool's PUT settles what this one did.
        if (given.signal.aborted) throw new FilestoreError('interrupted', 'the PUT came too late');
        // Unlinked or replaced meanwhile: the tombstone or the pending file that stands there settles it.
        assertWanted(path, isWanted);
        db.spool.exhume(path);
        // A time that was set before this write.
        db.owedTimes.delete(path);
        learn(db, path, digest, mtimeMs);
        endAlias(db, path);
        // Else a power cut could bring back the order to delete what we now say is stored, or older bytes.
        if (db.spool.mayRise(path)) await db.spool.sync();
      });
    if (db.settings.writeMode === 'strict') await putPatiently(db, path, put, given.signal);
    else await db.health.answerOrAway(put, given.signal);
  } catch (error) {
    // The PUT may go on in the background otherwise, and end after a later write of the same name.
    given.abort();
    throw error;
  } finally {
    clearTimeout(timer);
    endPreparing();
  }
  try {
    const file = staging.handOver();
    if (file !== undefined) await db.cache.adopt(cacheKeyOf(path, digest.md5), file, digest.sizeBytes, verified);
  } catch (error) {
    db.log.debug('cache.not-adopted', { path: displayName(path), reason: messageOf(error) });
  }
}

/** The file of a small one is made while Swift takes its bytes, which needs nothing of the disk. */
function prepareForCache(staging: StagingFile): void {
  try {
    staging.file();
  } catch {
    // Tried again, and told, when Swift has them.
  }
}

/** PUT under the blob's lock, into a container that is ours. */
export async function putObject(db: Database, path: string, body: ObjectBody, metadata: Metadata, options: PutOptions): Promise<void> {
  const put = async (): Promise<void> => {
    const { signal, tries } = options;
    await db.binding.ensure({ ...(signal && { signal }), ...(tries && { tries }) });
    await db.change(
      () => db.store.put(db.container, objectNameOf(path), body, { ...options, metadata, contentType: 'application/octet-stream' }),
      path,
    );
    db.putFailure = undefined;
  };
  try {
    await put();
  } catch (error) {
    if (kindOf(error) !== 'not-found') throw error;
    // The container was removed under us: by a drop that overlapped with this database made anew, and it is made again; else it is lost.
    db.binding.unbind();
    await put();
  }
}

/** Swift has these bytes under this name, with this time: one that was set while they travelled is still owed. */
export function learn(db: Database, path: string, digest: Pick<FileDigest, 'sizeBytes' | 'md5'>, mtimeMs: number): void {
  if (contentSha1(path) === undefined)
    db.learnOther(path, { sizeBytes: digest.sizeBytes, mtimeMs, md5: digest.md5, checkedAtMs: steadyNowMs() });
  else db.learnBlob(path, digest.sizeBytes);
  if (db.owedTimes.get(path) === mtimeMs) db.owedTimes.delete(path);
  db.damaged.delete(path);
}

/** Durable on this machine, owed to Swift. @throws FilestoreError no-space; stale when the bytes are not wanted under the path any more */
export async function seal(db: Database, { path, staging, digest, mtimeMs, isWanted }: Publication): Promise<void> {
  await admit(db, digest.sizeBytes);
  // Before the seal, whose sync covers it: an alias that comes back in a power cut would hide what was sealed.
  endAlias(db, path);
  const pending = await db.spool.seal(staging, path, digest, mtimeMs, isWanted);
  // Renamed away while it was being sealed: this write ends later, so it is what counts.
  if (endAlias(db, path)) await db.spool.sync();
  staging.whenOnDisk((fd) => {
    if (db.spool.pending.get(path) === pending) db.verifiedSeals.set(pending.sequence, fingerprintOf(fd));
  });
  db.lastSealMs = performance.now();
  db.absence.end(path);
  db.owedTimes.delete(path);
  db.wake();
}

/**
 * The name was written anew while its old self waits behind `.__gc`: the alias is then a name only, and its unlink deletes nothing. For a write
 * only: a PUT that ends later, of what was sealed before the rename, is that old self's.
 * @returns whether there was an alias; its end is recorded, not synced
 */
export function endAlias(db: Database, path: string): boolean {
  if (!db.aliased.delete(path)) return false;
  for (const [alias, target] of db.spool.aliases) if (target === path) db.spool.addAlias(alias, '');
  return true;
}

/** The last door: no road that leads here may bring a content name other bytes than its own. */
function assertTrue({ path, digest }: Publication): void {
  const sha1 = contentSha1(path);
  if (sha1 !== undefined && sha1 !== digest.sha1)
    throw new FilestoreError('corrupt', `${displayName(path)}: its bytes hash to ${digest.sha1}`);
}

function assertWanted(path: string, isWanted: () => boolean): void {
  if (!isWanted()) throw new FilestoreError('stale', `${displayName(path)} belongs to another file by now`);
}

/** In a burst the disk is not looked at for each file. @throws FilestoreError no-space */
function assertAboveFloor(db: Database, sizeBytes: number): void {
  const { spoolFloorBytes, spoolDirectory } = db.settings;
  const nowMs = performance.now();
  const { untilMs, leftBytes } = db.floorLook;
  if (nowMs < untilMs && sizeBytes <= leftBytes) {
    db.floorLook = { untilMs, leftBytes: leftBytes - sizeBytes };
    return;
  }
  let freeBytes = 0;
  const isRoom = (): boolean => (freeBytes = sizeOfSpoolDisk(spoolDirectory).freeBytes) >= spoolFloorBytes;
  if (!db.spool.makeRoom(isRoom)) {
    throw new FilestoreError(
      'no-space',
      `the disk of spool_dir has ${freeBytes} bytes left, less than spool_floor, and Swift has not taken the file; make room or bring Swift back`,
    );
  }
  db.floorLook = { untilMs: nowMs + FLOOR_LOOK_MS, leftBytes: Math.min(freeBytes - spoolFloorBytes, FLOOR_LOOK_BYTES) - sizeBytes };
}

/**
 * A write that Swift did not take leaves `spool_floor` free on the disk. Past `max_pending` it waits a little,
 * longer the fuller the spool is; past twice that it is refused.
 */
async function admit(db: Database, sizeBytes: number): Promise<void> {
  const { maxPendingBytes, spoolFloorBytes } = db.settings;
  if (spoolFloorBytes > 0) assertAboveFloor(db, sizeBytes);
  const after = db.spool.pendingBytes + sizeBytes;
  if (after <= maxPendingBytes) return;
  if (after > 2 * maxPendingBytes) {
    throw new FilestoreError(
      'no-space',
      `the spool holds ${db.spool.pendingBytes} bytes that Swift has not taken, more than twice max_pending; bring Swift back or raise max_pending`,
    );
  }
  await new Promise((resolve) => setTimeout(resolve, 50 + (950 * (after - maxPendingBytes)) / maxPendingBytes));
}
