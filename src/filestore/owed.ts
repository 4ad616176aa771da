/** What a database owes to Swift at this moment, taken from the spool's maps as they stand: nothing is copied or sorted for a count. */
import type { Pending, SpoolState, Tombstone } from '../spool/spool.js';
import { kindOfPath } from './path-kind.js';

interface OwedWrites {
  readonly count: number;
  readonly bytes: number;
  /** When the oldest was sealed, in ms since the epoch; undefined when there is none. */
  readonly oldestMs: number | undefined;
}

/** Oldest first: every record puts its object at the end of the map. Temporaries wait for their rename. */
export function* owedWrites({ pending }: SpoolState): Generator<Pending> {
  for (const object of pending.values()) if (kindOfPath(object.path) !== 'temporary') yield object;
}

/** Whether Swift may be told now. */
export function isDue(tombstone: Tombstone): boolean {
  return tombstone.owedToSwift && (tombstone.dueAtMs ?? 0) <= Date.now();
}

/** Some wait for their grace. */
export function* owedDeletes({ tombstones }: SpoolState): Generator<Tombstone> {
  for (const tombstone of tombstones.values()) if (isDue(tombstone)) yield tombstone;
}

/** Looks no further than the first. */
export function owesNothing(spool: SpoolState): boolean {
  return owedWrites(spool).next().done === true && owedDeletes(spool).next().done === true;
}

export function sumOfWrites(spool: SpoolState): OwedWrites {
  let [count, bytes, oldestMs] = [0, 0, Infinity];
  for (const { sizeBytes, sealedAtMs } of owedWrites(spool)) {
    count++;
    bytes += sizeBytes;
    oldestMs = Math.min(oldestMs, sealedAtMs);
  }
  return { count, bytes, oldestMs: count === 0 ? undefined : oldestMs };
}
