/** Where the bytes of a name may come from when this machine has none: Swift, and an origin. */
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import { displayName, objectNameOf } from '../base/names.js';
import type { Priority, Raise } from '../base/priority-limiter.js';
import type { FillSource } from '../cache/cache.js';
import { discardBody } from '../cache/receive-body.js';
import type { ObjectRead } from '../store/object-store.js';
import { assertContainer, callAbsent, isKnownSince } from './ask-swift.js';
import type { Database } from './database.js';

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
      const get = (newest: boolean): Promise<ObjectRead | undefined> =>
        db.health.watch(db.store.get(db.container, objectNameOf(path), { ...range, ...options, newest })).catch((error: unknown) => {
          // The cache would take it for a full disk of this machine, and ask no other source.
          if (kindOf(error) === 'no-space') throw new FilestoreError('busy', messageOf(error), { cause: error });
          throw error;
        });
      await db.binding.assertOurAccount(options);
      const startedMs = steadyNowMs();
      let read = await get(false);
      if (read === undefined && isKnownSince(db, path, startedMs)) {
        read = await get(true);
        if (read === undefined) {
          await db.health.watch(assertContainer(db, startedMs));
          callAbsent(db, path, startedMs);
        }
      }
      if (read !== undefined && md5 !== undefined && read.info.md5 !== undefined && read.info.md5 !== md5) {
        discardBody(read.body);
        throw new FilestoreError('stale', `${displayName(path)} was replaced meanwhile`);
      }
      if (read === undefined) return undefined;
      const totalBytes = read.info.sizeBytes ?? expectedBytes;
      if (totalBytes !== undefined) return { body: read.body, totalBytes };
      discardBody(read.body);
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
