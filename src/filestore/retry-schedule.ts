/**
 * When failed work is tried again: each piece at its own growing intervals, so that one object that Swift refuses for ever holds up nothing
 * but itself.
 */
import { steadyNowMs } from '../base/clock.js';

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;
/** A hiccup, or an outage that is told elsewhere, is a problem of its own only when it has been tried again and again: after some 15 s. */
const LASTING_MS = 8_000;

/** Swift refused it; Swift could not be asked; Swift was asked, and could not do it. */
export type Cause = 'refusal' | 'outage' | 'failure';

interface Failure {
  readonly delayMs: number;
  readonly dueAtMs: number;
  readonly reason: string;
  readonly cause: Cause;
}

export class RetrySchedule {
  readonly #failures = new Map<string, Failure>();

  isDue(work: string): boolean {
    return this.dueAtMs(work) <= steadyNowMs();
  }

  /** In ms since the epoch; 0 when it has not failed. */
  dueAtMs(work: string): number {
    return this.#failures.get(work)?.dueAtMs ?? 0;
  }

  failed(work: string, reason: string, cause: Cause): void {
    const delayMs = Math.min(LONGEST_RETRY_MS, (this.#failures.get(work)?.delayMs ?? FIRST_RETRY_MS / 2) * 2);
    this.#failures.set(work, { delayMs, dueAtMs: steadyNowMs() + delayMs * (0.5 + Math.random()), reason, cause });
  }

  /** What failed for the same outage need not wait any longer. */
  succeeded(work: string): void {
    const before = this.#failures.get(work);
    this.#failures.delete(work);
    if (before?.cause === 'outage') for (const [other, { cause }] of this.#failures) if (cause === 'outage') this.#failures.delete(other);
  }

  /** Forgets what need not be done any more. @param isOwed of each piece of work that failed */
  keepOwed(isOwed: (work: string) => boolean): void {
    for (const work of this.#failures.keys()) if (!isOwed(work)) this.#failures.delete(work);
  }

  /** Swift is back: everything may be tried at once. */
  clear(): void {
    this.#failures.clear();
  }

  /**
   * When the first failed work is due, in ms since the epoch; Infinity when nothing failed.
   * @param mayBegin of a piece of work; one that is under way again, say, is not waited for
   */
  nextMs(mayBegin: (work: string) => boolean): number {
    let next = Infinity;
    for (const [work, { dueAtMs }] of this.#failures) if (dueAtMs < next && mayBegin(work)) next = dueAtMs;
    return next;
  }

  /** What to tell an administrator. */
  get problem(): string | undefined {
    for (const { reason, cause, delayMs } of this.#failures.values()) if (cause === 'refusal' || delayMs >= LASTING_MS) return reason;
    return undefined;
  }
}
