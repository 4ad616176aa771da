/** One piece of work for each key at a time, however many ask for it; all get the same outcome. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#flights.get(key);
    if (running !== undefined) return running;
    const flight = work().finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    return flight;
  }

  get(key: string): Promise<T> | undefined {
    return this.#flights.get(key);
  }

  /** Who asks from now on begins anew: what is under way may not know yet what the caller knows. */
  forget(key: string): void {
    this.#flights.delete(key);
  }

  get size(): number {
    return this.#flights.size;
  }
}
