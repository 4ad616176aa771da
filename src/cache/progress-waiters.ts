/** Those who wait for a download to come so far. A wake-up says "look again", not "it is there". */
import { FilestoreError } from '../base/errors.js';
import { untilAborted } from '../base/until-aborted.js';

interface Waiter {
  readonly bytes: number;
  readonly wake: () => void;
}

export class ProgressWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Resolves at `wakeAll`, or when so many bytes are there. @throws FilestoreError interrupted when the signal fires first */
  wait(bytes: number, signal: AbortSignal): Promise<void> {
    let waiter: Waiter | undefined;
    const woken = new Promise<void>((resolve) => {
      waiter = { bytes, wake: resolve };
      this.#waiters.add(waiter);
    });
    return this.orAbort(woken, signal).finally(() => {
      if (waiter !== undefined) this.#waiters.delete(waiter);
    });
  }

  /** Stops waiting when the signal fires; what was waited for goes on. @throws FilestoreError interrupted */
  orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    return untilAborted(work, signal, () => new FilestoreError('interrupted', 'given up while waiting for a download'));
  }

  wake(bytes: number): void {
    for (const waiter of this.#waiters) if (waiter.bytes <= bytes) waiter.wake();
  }

  wakeAll(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }
}
