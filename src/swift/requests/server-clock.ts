/**
 * How far Swift's clock is ahead of ours, from the Date that each of its answers has: a second that began between the sending of the request and the
 * arrival of the answer, or up to a second before. Each answer leaves a range, and the ranges of many overlap in a few milliseconds.
 *
 * INVARIANT: while the clocks may agree, they are said to.
 */
import type { Log } from '../../base/log.js';
import { header, type Headers } from './wire.js';

/** A Date has no parts of a second. */
const DATE_MS = 1_000;
/** Clocks that are kept by NTP differ by less. */
const TOLD_FROM_MS = 5_000;

export class ServerClock {
  readonly #log: Log;
  #atLeastMs = -Infinity;
  #atMostMs = Infinity;
  #isTold = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** What is to be added to our clock for Swift's, by the least that explains its answers. */
  get aheadMs(): number {
    return Math.min(Math.max(0, this.#atLeastMs), this.#atMostMs);
  }

  /** @param sentMs when the request went out, `heardMs` when the head of its answer came, both by our clock */
  heard(headers: Headers, sentMs: number, heardMs: number): void {
    const dateMs = Date.parse(header(headers, 'date') ?? '');
    // An answer with an Age comes from a cache.
    if (Number.isNaN(dateMs) || header(headers, 'age') !== undefined) return;
    const [least, most] = [dateMs - heardMs, dateMs + DATE_MS - sentMs];
    const isConsistent = least <= this.#atMostMs && most >= this.#atLeastMs;
    // One of the clocks was set, or another server answers.
    this.#atLeastMs = isConsistent ? Math.max(least, this.#atLeastMs) : least;
    this.#atMostMs = isConsistent ? Math.min(most, this.#atMostMs) : most;
    this.#tell();
  }

  #tell(): void {
    const { aheadMs } = this;
    const isFar = Math.abs(aheadMs) >= TOLD_FROM_MS;
    if (isFar && !this.#isTold) {
      this.#log.warn('clocks-differ', {
        swiftIsAheadMs: aheadMs,
        meaning: 'deletes and drops are ordered by the clock of Swift meanwhile',
        remedy: 'have the clocks of this machine and of Swift kept by NTP',
      });
    }
    this.#isTold = isFar;
  }
}
