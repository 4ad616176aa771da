/** How long to wait before trying again: decorrelated jitter, so that many callers do not come back together, or what the server asks. */
import { header, type Headers } from './wire.js';

const BASE_MS = 50;
const CAP_MS = 5000;

export class RetryDelay {
  readonly #random: () => number;
  #lastMs = BASE_MS;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** @param askedMs the least the server asked for. @returns milliseconds */
  next(askedMs = 0): number {
    this.#lastMs = Math.min(CAP_MS, BASE_MS + this.#random() * (this.#lastMs * 3 - BASE_MS));
    return Math.max(askedMs, this.#lastMs);
  }
}

/**
 * A date counts from the answer's own Date: the server's clock and ours may be hours apart.
 * @returns what Retry-After asks in milliseconds, of both its forms (RFC 9110, 10.2.3); 0 without the header
 */
export function retryAfterMs(headers: Headers, nowMs: number): number {
  const value = header(headers, 'retry-after');
  if (value === undefined) return 0;
  if (/^\s*\d+(\.\d+)?\s*$/.test(value)) return Math.ceil(Number(value) * 1000);
  const atMs = Date.parse(value);
  const answeredMs = Date.parse(header(headers, 'date') ?? '');
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - (Number.isNaN(answeredMs) ? nowMs : answeredMs));
}
