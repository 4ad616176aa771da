/**
 * One fsync for many who ask. Who asks while one runs cannot know whether it came too late for it, so it gets the next one, together
 * with everybody else who asks until that starts.
 */
export class GroupSync {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when a run of the work that began after this call has ended; rejects as that run did. */
  request(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#start();
      });
    return this.#next;
  }

  #start(): Promise<void> {
    const run = this.#work().finally(() => {
      this.#running = undefined;
    });
    this.#running = run;
    return run;
  }
}
