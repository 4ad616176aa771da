/**
 * From a name to bytes: spool, cache, then Swift, then origin (fill-whole.ts). A blob is opened when all of it is here and hashes to its name; above
 * `stream_above` it is opened at once and followed while it downloads.
 * An OPEN of what is in the cache is answered in the same turn of the loop.
 */
import { buffer } from 'node:stream/consumers';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { displayName, objectNameOf } from '../base/names.js';
import { Patience } from '../base/patience.js';
import type { CachedFile, CacheKey, HeldFile } from '../cache/cache.js';
import type { Pending } from '../spool/spool.js';
import { assertContainer, headOf } from './ask-swift.js';
import type { Database } from './database.js';
import type { OpenFile, Requester, Stat } from './filestore.js';
import { sourcesOf } from './fill-sources.js';
import { fillToRead, fillWhole } from './fill-whole.js';
import { knownBlob, lookup } from './lookup-path.js';
import { FreshBlob, HeldBlob, RangedFile, StreamedFile } from './open-blob.js';
import { blobOfPath } from './path-kind.js';
import { cacheKeyOf } from './publish.js';
import { openSealed } from './sealed-file.js';

/** Openings of a file that other nodes go on replacing. */
const STALE_TRIES = 5;

/** @param path a blob or an alias of one. @throws not-found, unavailable, corrupt */
export function openBlob(db: Database, path: string, requester: Requester): Answer<OpenFile> {
  const blob = blobOfPath(path);
  const known = knownBlob(db, blob);
  const pending = db.spool.pending.get(blob);
  if (known !== undefined && pending === undefined) {
    const key = cacheKeyOf(blob, '');
    const held = db.cache.openHeld(key);
    if (held !== undefined) {
      if (db.walk.isWalking) db.walk.opened(blob, false);
      return heldBlob(db, blob, held, known);
    }
  }
  return openVerified(db, path, requester);
}

/** A copy in the cache, and a verified one in its place when it is changed while it is open. @throws stale */
function heldBlob(db: Database, blob: string, held: HeldFile, stat: Stat): HeldBlob {
  assertToldSize(db, blob, held, stat);
  return new HeldBlob(held, stat, (signal) => openCached(db, blob, signal));
}

/**
 * The kernel reads no further than the size that it was told, which is that of a damaged copy when Swift or an origin has one under the name.
 * @throws stale: it looks the name up again, is told the true size, and opens once more
 */
function assertToldSize(db: Database, blob: string, held: HeldFile, stat: Stat): void {
  if (held.sizeBytes === stat.sizeBytes) return;
  held.close();
  throw otherSize(db, blob, held.sizeBytes, stat);
}

function otherSize(db: Database, blob: string, sizeBytes: number, stat: Stat): FilestoreError {
  db.noteTrueSize(blob, sizeBytes);
  return new FilestoreError('stale', `${displayName(blob)} has ${sizeBytes} bytes, not ${stat.sizeBytes}: a damaged copy has so many`);
}

/** A verified copy, filled when there is none. @throws not-found, unavailable, corrupt */
async function openCached(db: Database, blob: string, signal: AbortSignal): Promise<HeldFile> {
  const key = cacheKeyOf(blob, '');
  return (await db.cache.open(key)) ?? (await fillWhole(db, blob, key, signal));
}

/** A blob that Swift does not have from us yet. Where its sealed copy is damaged, the same bytes may lie elsewhere. @throws corrupt */
async function openPending(db: Database, blob: string, pending: Pending, stat: Stat, signal: AbortSignal): Promise<OpenFile> {
  const held = await openSealedOrElsewhere(db, blob, pending, signal);
  assertToldSize(db, blob, held, stat);
  return new HeldBlob(held, stat, (again) => openHere(db, blob, again));
}

/** What was sealed a moment ago may be the cache's by now. @throws not-found, unavailable, corrupt */
function openHere(db: Database, blob: string, signal: AbortSignal): Promise<HeldFile> {
  const pending = db.spool.pending.get(blob);
  return pending === undefined ? openCached(db, blob, signal) : openSealedOrElsewhere(db, blob, pending, signal);
}

async function openSealedOrElsewhere(db: Database, blob: string, pending: Pending, signal: AbortSignal): Promise<HeldFile> {
  try {
    return await openSealed(db, pending);
  } catch (error) {
    if (kindOf(error) !== 'corrupt') throw error;
    const elsewhere = await openCached(db, blob, signal).catch(() => undefined);
    if (elsewhere === undefined) throw error;
    return elsewhere;
  }
}

/** A verified copy for who changes it, fetched whole when there is none on this machine. @throws not-found, unavailable, corrupt */
export async function openCopy(db: Database, blob: string, requester: Requester): Promise<HeldFile> {
  if ((await lookup(db, blob, requester)) === undefined) throw new FilestoreError('not-found', `${displayName(blob)} is not there`);
  return openHere(db, blob, requester.signal);
}

/** The same as {@link openBlob}, with a copy that was looked at just now. */
export async function openVerified(db: Database, path: string, requester: Requester): Promise<OpenFile> {
  const blob = blobOfPath(path);
  const stat = await lookup(db, path, requester);
  if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  const pending = db.spool.pending.get(blob);
  if (pending !== undefined) return openPending(db, blob, pending, stat, requester.signal);
  const key = cacheKeyOf(blob, '');
  const cached = await db.cache.open(key);
  if (cached !== undefined) return heldBlob(db, blob, cached, stat);
  if (stat.sizeBytes > db.settings.streamAboveBytes) {
    const fill = db.cache.fill(key, sourcesOf(db, blob), new AbortController().signal);
    const onFailure = (error: unknown): void => {
      if (kindOf(error) === 'corrupt') db.noteDamaged(blob, messageOf(error));
    };
    const whole = (held: HeldFile): HeldBlob => heldBlob(db, blob, held, stat);
    return new StreamedFile(fill, stat, { timeoutMs: db.settings.readTimeoutMs, isDoubted: db.damaged.has(blob), onFailure, whole });
  }
  db.walk.opened(blob, true);
  const filled = await fillToRead(db, blob, key, requester.signal);
  if (filled instanceof Uint8Array) {
    if (filled.length !== stat.sizeBytes) throw otherSize(db, blob, filled.length, stat);
    return new FreshBlob(filled, stat);
  }
  return heldBlob(db, blob, filled, stat);
}

interface OpenedOther {
  readonly opened: { readonly file: CachedFile } | { readonly ranged: RangedFile };
  readonly stat: Stat;
  /** Of its bytes, where that is known. */
  readonly md5: string | undefined;
}

/** The bytes of a file that is not content-named, as it is now. @throws not-found, unavailable, corrupt */
export async function openOther(db: Database, path: string, requester: Requester): Promise<OpenedOther> {
  for (let tries = 1; ; tries++) {
    const other = await openOtherOnce(db, path, requester);
    if (isStillNamed(db, path, other)) return other;
    if ('file' in other.opened) other.opened.file.close();
    // Removed, renamed or replaced here while its bytes came: the name is not theirs any more.
    if (tries >= STALE_TRIES) throw new FilestoreError('unavailable', `${displayName(path)} is replaced again and again`);
  }
}

function isStillNamed(db: Database, path: string, { md5 }: OpenedOther): boolean {
  const pending = db.spool.pending.get(path);
  if (pending !== undefined) return pending.md5 === md5;
  return !db.isBuried(path) && db.catalog.other(path)?.md5 === md5;
}

async function openOtherOnce(db: Database, path: string, requester: Requester): Promise<OpenedOther> {
  const stat = await lookup(db, path, requester);
  if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  if (stat.kind === 'directory') throw new FilestoreError('is-directory', `${displayName(path)} is a directory`);
  const pending = db.spool.pending.get(path);
  if (pending !== undefined) return { opened: { file: await openSealed(db, pending) }, stat, md5: pending.md5 };
  for (let tries = 1; ; tries++) {
    if ((tries > 1 || db.catalog.other(path)?.checkedAtMs === 0) && !db.health.isAway) await headOf(db, path, requester.signal);
    try {
      return await openOtherAsKnown(db, path, stat, requester);
    } catch (error) {
      // Another node replaced it since we asked: its new bytes are what is read.
      if (kindOf(error) !== 'stale' || tries >= STALE_TRIES) throw error;
    }
  }
}

async function openOtherAsKnown(db: Database, path: string, stat: Stat, requester: Requester): Promise<OpenedOther> {
  const known = db.catalog.other(path);
  if (known === undefined) return { opened: { file: await openFromOrigin(db, path, requester) }, stat, md5: undefined };
  const { md5 } = known;
  if (md5 === undefined) return { opened: { ranged: ranged(db, path, stat) }, stat, md5 };
  const key: CacheKey = `md5-${md5}`;
  const cached = await db.cache.open(key);
  return { opened: { file: cached ?? (await fillWhole(db, path, key, requester.signal)) }, stat, md5 };
}

async function openFromOrigin(db: Database, path: string, requester: Requester): Promise<CachedFile> {
  // Its hash is its own: read once to know it, then through the cache like everything else.
  const source = db.origin?.source(path);
  const opened = await source?.open(0, requester.signal);
  if (opened === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  const staging = db.spool.createStaging();
  const discard = (): Promise<void> => staging.discard().catch(() => undefined);
  let at = 0;
  try {
    for await (const chunk of opened.body) at += staging.write(at, chunk as Uint8Array);
    return { fd: staging.file().fd, sizeBytes: at, close: () => void discard() };
  } catch (error) {
    await discard();
    throw error;
  }
}

function ranged(db: Database, path: string, stat: Stat): RangedFile {
  return new RangedFile(stat, async (start, end, signal) => {
    const startedMs = steadyNowMs();
    const patience = new Patience(signal, db.settings.readTimeoutMs);
    try {
      const options = { range: { start, end }, signal: patience.signal };
      await db.binding.assertOurAccount(options);
      const read = await db.health.watch(db.store.get(db.container, objectNameOf(path), options));
      if (read === undefined) await db.health.watch(assertContainer(db, startedMs));
      if (read === undefined) throw new FilestoreError('stale', `${displayName(path)} was deleted while it was read`);
      return await buffer(read.body);
    } finally {
      patience.end();
    }
  });
}
