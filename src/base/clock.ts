/** Time, injected so that tests need not wait for it. */
import { setTimeout as delay } from 'node:timers/promises';

/** What `performance.now` stands still for is a suspended machine; smaller leaps are those of two clocks read one after the other. */
const LEAP_MS = 1_000;

/** The most by which the machine's clock has been ahead of `performance.now`. */
let aheadMs = Date.now() - performance.now();

/**
 * Milliseconds since the epoch by the machine's clock as it stood when this process began, and evenly on from there: for all that lasts, and all
 * that is believed for a time. The clock itself may be set back an hour, and a "no" that ends a second from now would then live so long. A leap
 * forward is followed, since the machine may have been suspended, and what was believed has ended meanwhile.
 */
export function steadyNowMs(): number {
  const evenMs = performance.now();
  const nowAheadMs = Date.now() - evenMs;
  if (nowAheadMs > aheadMs + LEAP_MS) aheadMs = nowAheadMs;
  return Math.floor(aheadMs + evenMs);
}

export interface Clock {
  /** Milliseconds since the epoch, evenly. */
  nowMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it fires first. Never keeps the process alive. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: steadyNowMs,
  sleep: (ms, signal) => delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }),
};
