/** In how many steps a silence is measured. */
const LOOKS = 4;

/**
 * One wait's limit: its caller's signal, or its own time, whichever strikes first. As `AbortSignal.any` with `AbortSignal.timeout`, but with
 * one signal instead of three, and a timer that ends with the wait.
 * Where progress can be told, only time without it counts: who gets his bytes slowly gets them.
 */
export class Patience {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #limitMs: number;
  readonly #progress: (() => number) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isLate = false;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller.reason);

  /**
   * Call `end` when the wait is over, however it ended.
   * @param limitMs from now on
   * @param progress a number that changes with it; then the limit is one of silence, noticed at most a quarter of it late
   */
  constructor(caller: AbortSignal, limitMs: number, progress?: () => number) {
    this.#caller = caller;
    this.#limitMs = limitMs;
    this.#progress = progress;
    this.#look(0, progress?.());
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

  #look(quietMs: number, seen: number | undefined): void {
    const stepMs = this.#progress === undefined ? this.#limitMs : this.#limitMs / LOOKS;
    this.#timer = setTimeout(() => {
      const now = this.#progress?.();
      if (now !== seen) this.#look(0, now);
      else if (quietMs + stepMs < this.#limitMs) this.#look(quietMs + stepMs, now);
      else {
        this.#isLate = true;
        this.#controller.abort();
      }
    }, stepMs).unref();
  }
}
