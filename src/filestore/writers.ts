/**
 * Content names that are being written: hidden from everybody but their writers until the seal. Several writers of one name
 * each have a staging file of their own.
 */
export class Writers {
  readonly #counts = new Map<string, number>();
  readonly #ends = new Map<string, Set<() => void>>();

  get size(): number {
    return this.#counts.size;
  }

  begin(path: string): void {
    this.#counts.set(path, (this.#counts.get(path) ?? 0) + 1);
  }

  /** One writer is done, with or without success; who waits for the name looks again. */
  end(path: string): void {
    const count = (this.#counts.get(path) ?? 1) - 1;
    if (count > 0) this.#counts.set(path, count);
    else this.#counts.delete(path);
    for (const wake of this.#ends.get(path) ?? []) wake();
  }

  isWriting(path: string): boolean {
    return this.#counts.has(path);
  }

  /** Resolves when a writer of the path ends, after `ms`, or when the signal fires. */
  async untilOneEnds(path: string, ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const waiting = this.#ends.get(path) ?? new Set();
      this.#ends.set(path, waiting);
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        waiting.delete(done);
        if (waiting.size === 0) this.#ends.delete(path);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done, { once: true });
      waiting.add(done);
    });
  }
}
