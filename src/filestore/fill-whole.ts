/**
 * A whole, verified copy in the cache, for who waits for it. A fill is shared by all who want the bytes, and each has a patience of his own: as long as
 * bytes come he waits, and a "don't know" is a delay first.
 */
import { FilestoreError, kindOf, messageOf, StoreAnswered, type ErrorKind } from '../base/errors.js';
import { displayName } from '../base/names.js';
import { Patience } from '../base/patience.js';
import { untilAborted } from '../base/until-aborted.js';
import type { CacheKey, Fill, HeldFile } from '../cache/cache.js';
import type { Database } from './database.js';
import { sourcesOf } from './fill-sources.js';

/** Before Swift is asked once more. */
const RETRY_MS = 200;
/** A rate limit or a missing container: to ask again at once would only be told the same. */
const ANSWERED_PAUSE_MS = 1_000;

/** Another reader's download may end in these without our own sources having been asked. */
const WORTH_A_SECOND_TRY = new Set(['corrupt', 'not-found', 'interrupted']);
/** What a reader may hear as it is; see {@link readError}. */
const READ_KINDS: ReadonlySet<ErrorKind> = new Set(['not-found', 'corrupt', 'unavailable', 'interrupted', 'stale']);

/** @throws not-found, corrupt, unavailable after `read_timeout` */
export function fillWhole(db: Database, path: string, key: CacheKey, signal: AbortSignal): Promise<HeldFile> {
  return fillPatiently(db, path, key, signal, { take: (fill) => fill.whole, close: (file) => file.close() });
}

/** The same for who only reads: few bytes are there before their file is. */
export function fillToRead(db: Database, path: string, key: CacheKey, signal: AbortSignal): Promise<HeldFile | Uint8Array> {
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

/**
 * A refusal of Swift (rights, quota, a name it does not take) is no statement about the file that a reader could use: for him it is EIO,
 * with the refusal as its reason.
 */
function readError(path: string, error: unknown): unknown {
  if (READ_KINDS.has(kindOf(error))) return error;
  return new FilestoreError('unavailable', `${displayName(path)} could not be read: ${messageOf(error)}`, { cause: error });
}

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
