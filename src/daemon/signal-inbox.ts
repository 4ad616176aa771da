/**
 * Signals from the moment the program begins to mount. Node ends a process at a signal nobody listens to, which would leave a dead mount
 * behind when it comes just as the mount has been made; so they are taken in from the start and handed on once somebody serves.
 */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
export type EndingSignal = (typeof SIGNALS)[number];

/** Other daemons open their logs anew at these. Unheard, the first opens Node's debugger to all users of the machine, and the second ends the process. */
const IGNORED = ['SIGUSR1', 'SIGUSR2'] as const;

/** A start that was told to end may take this long to come to where it can; then it is ended by the signal itself. */
const START_PATIENCE_MS = 5_000;

export class SignalInbox {
  #handler: ((signal: EndingSignal) => void) | undefined;
  #early: EndingSignal[] = [];
  #patience: NodeJS.Timeout | undefined;

  /** @param ignored a daemon in the background takes no notice of SIGHUP, which tells it that a terminal went away */
  constructor(ignored: readonly EndingSignal[]) {
    for (const signal of IGNORED) process.on(signal, () => undefined);
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        if (!ignored.includes(signal)) this.#take(signal);
      });
    }
  }

  /** From now on signals come here, those that came before first. */
  handOnTo(handler: (signal: EndingSignal) => void): void {
    clearTimeout(this.#patience);
    this.#handler = handler;
    for (const signal of this.#early.splice(0)) handler(signal);
  }

  #take(signal: EndingSignal): void {
    if (this.#handler !== undefined) {
      this.#handler(signal);
      return;
    }
    this.#early.push(signal);
    if (this.#early.length > 1) endBy(signal);
    this.#patience ??= setTimeout(() => endBy(signal), START_PATIENCE_MS).unref();
  }
}

/** Ends the process as the signal would have. */
function endBy(signal: EndingSignal): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
