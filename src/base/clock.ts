/** Time, injected so that tests need not wait for it. */
import { setTimeout as delay } from 'node:timers/promises';

const STARTED_MS = Date.now() - performance.now();

/**
 * Milliseconds since the epoch by the machine's clock as it stood when this process began, and evenly on from there: for all that lasts, and all
 * that is believed for a time. The clock itself may be set back an hour, and a "no" that ends a second from now would then live so long.
 */
export function steadyNowMs(): number {
  return Math.floor(STARTED_MS + performance.now());
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
