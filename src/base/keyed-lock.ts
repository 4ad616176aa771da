/** Mutual exclusion by key, first come first served. LOCKS: two keys are taken in ascending order ({@link KeyedLock.runBoth}). */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` when nobody else holds `key`. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    let release = (): void => undefined;
    const mine = new Promise<void>((resolve) => (release = resolve));
    this.#tails.set(key, mine);
    if (before !== undefined) await before;
    try {
      return await work();
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
      release();
    }
  }

  runBoth<T>(a: string, b: string, work: () => Promise<T>): Promise<T> {
    if (a === b) return this.run(a, work);
    const [first, second] = a < b ? [a, b] : [b, a];
    return this.run(first, () => this.run(second, work));
  }

  isHeld(key: string): boolean {
    return this.#tails.has(key);
  }
}
