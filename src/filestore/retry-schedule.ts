/**
 * When failed work is tried again: each piece at its own growing intervals, so that one object that Swift refuses for ever holds up nothing
 * but itself.
 */
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;

interface Failure {
  readonly delayMs: number;
  readonly dueAtMs: number;
  readonly problem: string | undefined;
}

export class RetrySchedule {
  readonly #failures = new Map<string, Failure>();

  isDue(work: string): boolean {
    return (this.#failures.get(work)?.dueAtMs ?? 0) <= Date.now();
  }

  /** @param problem what to tell an administrator; undefined for an outage, which is told elsewhere */
  failed(work: string, problem: string | undefined): void {
    const delayMs = Math.min(LONGEST_RETRY_MS, (this.#failures.get(work)?.delayMs ?? FIRST_RETRY_MS / 2) * 2);
    this.#failures.set(work, { delayMs, dueAtMs: Date.now() + delayMs * (0.5 + Math.random()), problem });
  }

  succeeded(work: string): void {
    this.#failures.delete(work);
  }

  /** Swift is back: everything may be tried at once. */
  clear(): void {
    this.#failures.clear();
  }

  /** When the first failed work is due, in ms since the epoch; Infinity when nothing failed. */
  get nextMs(): number {
    let next = Infinity;
    for (const { dueAtMs } of this.#failures.values()) next = Math.min(next, dueAtMs);
    return next;
  }

  get problem(): string | undefined {
    for (const { problem } of this.#failures.values()) if (problem !== undefined) return problem;
    return undefined;
  }
}
