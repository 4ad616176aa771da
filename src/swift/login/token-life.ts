/**
 * When a token ends, by our own clock. The service says it by its clock, and the two may be hours apart: with ours ahead by more than a
 * token's life every token would look expired, and each request would log in again. So its life is what counts, from the moment it is here.
 */
import { header, type Headers } from '../requests/wire.js';

interface TokenTimes {
  /** As the service writes them; either may be missing or nonsense. */
  readonly expires: string | undefined;
  readonly issued: string | undefined;
}

/** @returns milliseconds since the epoch; undefined where the service does not say, or says what cannot be: the 401 will tell */
export function endByOurClock({ expires, issued }: TokenTimes, headers: Headers, nowMs: number): number | undefined {
  const expiresMs = timeOf(expires);
  if (expiresMs === undefined) return undefined;
  const beganMs = timeOf(issued) ?? timeOf(header(headers, 'date'));
  const endMs = beganMs === undefined ? expiresMs : nowMs + expiresMs - beganMs;
  return endMs > nowMs ? endMs : undefined;
}

/** Keystone v2 writes some of its times without their zone, which is UTC. */
export function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(/T[\d:.]+$/.test(text ?? '') ? `${text}Z` : (text ?? ''));
  return Number.isNaN(ms) ? undefined : ms;
}
