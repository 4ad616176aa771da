/**
 * One wait's limit: its caller's signal, or its own time, whichever strikes first. As `AbortSignal.any` with `AbortSignal.timeout`, but with
 * one signal instead of three, and a timer that ends with the wait.
 */
export class Patience {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  #isLate = false;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller.reason);

  /** @param limitMs from now on. Call `end` when the wait is over, however it ended. */
  constructor(caller: AbortSignal, limitMs: number) {
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, limitMs).unref();
    if (caller.aborted) this.#onAbort();
    else caller.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Its own time is over. */
  get isLate(): boolean {
    return this.#isLate;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#onAbort);
  }
}
