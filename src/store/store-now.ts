/** The time by the clock of the store, which all machines share that use it. */
import { steadyNowMs } from '../base/clock.js';
import type { ObjectStore } from './object-store.js';

/** In ms since the epoch: what may be held against the time at which the store says that an object was stored. */
export function storeNowMs(store: Pick<ObjectStore, 'clockAheadMs'>): number {
  return steadyNowMs() + store.clockAheadMs;
}
