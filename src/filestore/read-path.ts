/**
 * From a name to bytes: spool, cache, then Swift, then origin. A blob is opened when all of it is here and hashes to its name; above
 * `stream_above` it is opened at once and followed while it downloads.
 * An OPEN of what is in the cache is answered in the same turn of the loop.
 */
import { buffer } from 'node:stream/consumers';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered, type ErrorKind } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { displayName, objectNameOf } from '../base/names.js';
import { Patience } from '../base/patience.js';
import type { Priority, Raise } from '../base/priority-limiter.js';
import { untilAborted } from '../base/until-aborted.js';
import type { CachedFile, CacheKey, Fill, FillSource, HeldFile } from '../cache/cache.js';
import type { Pending } from '../spool/spool.js';
import type { ObjectRead } from '../store/object-store.js';
import { assertContainer, callAbsent, headOf } from './ask-swift.js';
import type { Database } from './database.js';
import type { OpenFile, Requester, Stat } from './filestore.js';
import { knownBlob, lookup } from './lookup-path.js';
import { FreshBlob, HeldBlob, RangedFile, StreamedFile } from './open-blob.js';
import { blobOfPath } from './path-kind.js';
import { cacheKeyOf } from './publish.js';
import { openSealed } from './sealed-file.js';

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
  assertSize(db, blob, held, stat);
  return new HeldBlob(held, stat, (signal) => openCached(db, blob, signal));
}

/**
 * The kernel reads no further than the size that it was told, which is that of a damaged copy when Swift or an origin has one under the name.
 * @throws stale: it looks the name up again, is told the true size, and opens once more
 */
function assertSize(db: Database, blob: string, held: HeldFile, stat: Stat): void {
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
  assertSize(db, blob, held, stat);
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

/** A larger object may take Swift long, and must not take every connection: see `PriorityLimiter`. */
const BULK_FROM_BYTES = 1 << 20;

/**
 * Where a path's bytes may come from, in order.
 * @param md5 of the bytes that are wanted, where the name does not say it: another object under the name is `stale`
 */
export function sourcesOf(db: Database, path: string, md5?: string): readonly FillSource[] {
  const expectedBytes = db.catalog.sizeOf(path);
  const swift: FillSource = {
    description: `swift ${db.container}/${displayName(path)}`,
    expectedBytes,
    open: async (start, signal, wanted) => {
      const range = start === 0 ? {} : { range: { start, end: Number.MAX_SAFE_INTEGER } };
      const urgency = urgencyOf(expectedBytes, wanted);
      const options = { ...urgency, signal, timeoutMs: db.settings.readTimeoutMs };
      const get = (): Promise<ObjectRead | undefined> =>
        db.health.watch(db.store.get(db.container, objectNameOf(path), { ...range, ...options })).catch((error: unknown) => {
          // The cache would take it for a full disk of this machine, and ask no other source.
          if (kindOf(error) === 'no-space') throw new FilestoreError('busy', messageOf(error), { cause: error });
          throw error;
        });
      await db.binding.assertOurAccount(options);
      const startedMs = steadyNowMs();
      let read = await get();
      if (read === undefined && db.catalog.sizeOf(path) !== undefined) {
        // A "no" to a name that is on the list is asked for twice: one replica that lags must not make a document vanish.
        read = await get();
        if (read === undefined) {
          await db.health.watch(assertContainer(db, startedMs));
          callAbsent(db, path, startedMs);
        }
      }
      if (read !== undefined && md5 !== undefined && read.info.md5 !== undefined && read.info.md5 !== md5) {
        read.body.on('error', () => undefined).destroy();
        throw new FilestoreError('stale', `${displayName(path)} was replaced meanwhile`);
      }
      if (read === undefined) return undefined;
      const totalBytes = read.info.sizeBytes ?? expectedBytes;
      if (totalBytes !== undefined) return { body: read.body, totalBytes };
      read.body.on('error', () => undefined).destroy();
      throw new StoreAnswered(`${displayName(path)}: came without its length, which nobody else knows`);
    },
  };
  if (db.origin === undefined || db.isBuried(path)) return [swift];
  // A complete list that lacks the name makes the origin the likelier place; the hash decides in either order.
  const likelyInOrigin = db.catalog.completeAtMs > 0 && db.catalog.sizeOf(path) === undefined;
  return likelyInOrigin ? [db.origin.source(path), swift] : [swift, db.origin.source(path)];
}

function urgencyOf(expectedBytes: number | undefined, wanted: AbortSignal | undefined): { priority: Priority; raise?: Raise } {
  const priority = expectedBytes !== undefined && expectedBytes >= BULK_FROM_BYTES ? 'bulk' : 'read';
  return wanted === undefined ? { priority } : { priority: 'background', raise: { on: wanted, to: priority } };
}

/** Another reader's download may end in these without our own sources having been asked. */
const WORTH_A_SECOND_TRY = new Set(['corrupt', 'not-found', 'interrupted']);

/** @throws not-found, corrupt, unavailable after `read_timeout` */
export function fillWhole(db: Database, path: string, key: CacheKey, signal: AbortSignal): Promise<HeldFile> {
  return fillPatiently(db, path, key, signal, { take: (fill) => fill.whole, close: (file) => file.close() });
}

/** The same for who only reads: few bytes are there before their file is. */
function fillToRead(db: Database, path: string, key: CacheKey, signal: AbortSignal): Promise<HeldFile | Uint8Array> {
  return fillPatiently(db, path, key, signal, {
    take: async (fill) => (await fill.verifiedBytes) ?? fill.whole,
    close: (filled) => (filled instanceof Uint8Array ? undefined : filled.close()),
  });
}

/** What is taken of a fill, and how it is given back when it comes too late. */
interface Taking<T> {
  readonly take: (fill: Fill) => Promise<T>;
  readonly close: (taken: T) => void;
}

async function fillPatiently<T>(db: Database, path: string, key: CacheKey, caller: AbortSignal, taking: Taking<T>): Promise<T> {
  let running: Fill | undefined;
  // Who is begun anew and comes as far as before makes no progress: bodies that always break off would be asked for without end.
  let furthestBytes = 0;
  const patience = new Patience(
    caller,
    db.settings.readTimeoutMs,
    () => (furthestBytes = Math.max(furthestBytes, running?.receivedBytes ?? 0)),
  );
  let isSecondTry = false;
  let damaged: unknown;
  try {
    for (;;) {
      const giveUp = new AbortController();
      const fill = db.cache.fill(key, sourcesOf(db, path, key.startsWith('md5-') ? key.slice(4) : undefined), giveUp.signal);
      running = fill;
      try {
        const taken = await takeInTime(fill, patience.signal, taking);
        db.damaged.delete(path);
        return taken;
      } catch (error) {
        if (kindOf(error) === 'corrupt') {
          db.noteDamaged(path, messageOf(error));
          damaged = error;
        }
        if (caller.aborted) throw new FilestoreError('interrupted', `reading ${displayName(path)} was interrupted`);
        if (kindOf(error) === 'unavailable' && !patience.isLate) {
          // "Don't know" is a delay first: Swift may be back within read_timeout.
          await pause(db, patience.signal, error instanceof StoreAnswered ? ANSWERED_PAUSE_MS : RETRY_MS);
          if (!patience.isLate) continue;
        }
        if (WORTH_A_SECOND_TRY.has(kindOf(error)) && !isSecondTry && !patience.isLate) {
          // Bytes may be spoilt on their way; where they are spoilt in their place, a second reading says so. And a download is shared by all
          // databases: that another one's container lacks the blob says nothing of ours.
          isSecondTry = true;
          continue;
        }
        if (patience.isLate)
          throw new FilestoreError(
            'unavailable',
            `${displayName(path)} could not be read within ${db.settings.readTimeoutMs} ms (read_timeout): ${messageOf(error)}`,
            { cause: error },
          );
        // What was damaged a moment ago is not absent: Swift has set it aside.
        throw readError(path, kindOf(error) === 'not-found' ? (damaged ?? error) : error);
      } finally {
        // What moves goes on without its reader, whose next try finds it further on; what is silent is begun anew then.
        if (patience.isLate || (caller.aborted && fill.receivedBytes === 0)) giveUp.abort();
        fill.leave();
      }
    }
  } finally {
    patience.end();
  }
}

/** What a reader may hear as it is; see {@link readError}. */
const READ_KINDS: ReadonlySet<ErrorKind> = new Set(['not-found', 'corrupt', 'unavailable', 'interrupted', 'stale']);

/**
 * A refusal of Swift (rights, quota, a name it does not take) is no statement about the file that a reader could use: for him it is EIO,
 * with the refusal as its reason.
 */
function readError(path: string, error: unknown): unknown {
  if (READ_KINDS.has(kindOf(error))) return error;
  return new FilestoreError('unavailable', `${displayName(path)} could not be read: ${messageOf(error)}`, { cause: error });
}

const RETRY_MS = 200;
/** A rate limit or a missing container: to ask again at once would only be told the same. */
const ANSWERED_PAUSE_MS = 1_000;

async function pause(db: Database, signal: AbortSignal, pauseMs: number): Promise<void> {
  if (db.health.isAway) await db.health.untilBack(signal);
  else
    await new Promise<void>((resolve) => {
      setTimeout(resolve, pauseMs);
    });
}

/** A fill is shared; this reader's patience is its own. */
async function takeInTime<T>(fill: Fill, signal: AbortSignal, { take, close }: Taking<T>): Promise<T> {
  const taken = take(fill);
  try {
    return await untilAborted(taken, signal, () => new FilestoreError('unavailable', 'no answer in time'));
  } catch (error) {
    if (signal.aborted) taken.then(close, () => undefined);
    throw error;
  }
}

/** The bytes of a file that is not content-named, as it is now. @throws not-found, unavailable, corrupt */
export async function openOther(
  db: Database,
  path: string,
  requester: Requester,
): Promise<{ file: CachedFile; stat: Stat } | { ranged: RangedFile; stat: Stat }> {
  const stat = await lookup(db, path, requester);
  if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  if (stat.kind === 'directory') throw new FilestoreError('is-directory', `${displayName(path)} is a directory`);
  const pending = db.spool.pending.get(path);
  if (pending !== undefined) return { file: await openSealed(db, pending), stat };
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

const STALE_TRIES = 5;

async function openOtherAsKnown(
  db: Database,
  path: string,
  stat: Stat,
  requester: Requester,
): Promise<{ file: CachedFile; stat: Stat } | { ranged: RangedFile; stat: Stat }> {
  const known = db.catalog.other(path);
  if (known === undefined) return { file: await openFromOrigin(db, path, requester), stat };
  if (known.md5 === undefined) return { ranged: ranged(db, path, stat), stat };
  const key: CacheKey = `md5-${known.md5}`;
  const cached = await db.cache.open(key);
  return { file: cached ?? (await fillWhole(db, path, key, requester.signal)), stat };
}

async function openFromOrigin(db: Database, path: string, requester: Requester): Promise<CachedFile> {
  // Its hash is its own: read once to know it, then through the cache like everything else.
  const source = db.origin?.source(path);
  const opened = await source?.open(0, requester.signal);
  if (opened === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  const staging = db.spool.createStaging();
  let at = 0;
  for await (const chunk of opened.body) at += staging.write(at, chunk as Uint8Array);
  return { fd: staging.file().fd, sizeBytes: at, close: () => void staging.discard().catch(() => undefined) };
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
