/** The time by the clock of the store, which all machines share that use it. */
import { steadyNowMs } from '../base/clock.js';
import type { ObjectStore } from './object-store.js';

/** A Date has no parts of a second, and its answer took its way. */
const SLACK_MS = 2_000;

/** Whether an object's time is later than now: stored by a server whose clock was ahead, so not evidence of what came after what. */
export function isToCome(storedMs: number, nowMs: number): boolean {
  return storedMs > nowMs + SLACK_MS;
}

/** In ms since the epoch: what may be held against the time at which the store says that an object was stored. */
export function storeNowMs(store: Pick<ObjectStore, 'clockAheadMs'>): number {
  return steadyNowMs() + store.clockAheadMs;
}
