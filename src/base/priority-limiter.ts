/** A limit on what runs at once, given out by priority: who waits on a read goes before a write, a write before background work. */
import { FilestoreError } from './errors.js';

export const PRIORITIES = ['read', 'write', 'background'] as const;
export type Priority = (typeof PRIORITIES)[number];

interface Waiter {
  readonly start: () => void;
}

export class PriorityLimiter {
  readonly #limit: number;
  readonly #backgroundLimit: number;
  readonly #waiting: Record<Priority, Set<Waiter>> = { read: new Set(), write: new Set(), background: new Set() };
  #running = 0;
  #background = 0;

  /**
   * @param limit how many run at once
   * @param backgroundLimit how many of them may be background work, so that a reader never waits behind a queue of it
   */
  constructor(limit: number, backgroundLimit = Math.max(1, limit - Math.ceil(limit / 4))) {
    this.#limit = limit;
    this.#backgroundLimit = backgroundLimit;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return PRIORITIES.reduce((sum, p) => sum + this.#waiting[p].size, 0);
  }

  /**
   * Waits for a place.
   * @returns the function that gives the place back; call it exactly once
   * @throws FilestoreError interrupted when the signal fires first
   */
  async enter(priority: Priority, signal?: AbortSignal): Promise<() => void> {
    const now = this.enterNow(priority);
    if (now !== undefined) return now;
    await this.#wait(priority, signal);
    return this.#leaving(priority);
  }

  /** @returns as {@link enter}, when a place is free and nobody waits for it; else undefined */
  enterNow(priority: Priority): (() => void) | undefined {
    if (!this.#hasRoom(priority) || this.#isBehind(priority)) return undefined;
    this.#take(priority);
    return this.#leaving(priority);
  }

  #leaving(priority: Priority): () => void {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#running--;
      if (priority === 'background') this.#background--;
      this.#startWaiting();
    };
  }

  #hasRoom(priority: Priority): boolean {
    return this.#running < this.#limit && (priority !== 'background' || this.#background < this.#backgroundLimit);
  }

  #isBehind(priority: Priority): boolean {
    for (const p of PRIORITIES) {
      if (this.#waiting[p].size > 0 && this.#hasRoom(p)) return true;
      if (p === priority) return false;
    }
    return false;
  }

  #take(priority: Priority): void {
    this.#running++;
    if (priority === 'background') this.#background++;
  }

  #wait(priority: Priority, signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const queue = this.#waiting[priority];
      const onAbort = (): void => {
        queue.delete(waiter);
        reject(new FilestoreError('interrupted', 'given up while waiting for a free connection'));
      };
      const waiter: Waiter = {
        start: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      if (signal?.aborted) {
        onAbort();
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      queue.add(waiter);
    });
  }

  #startWaiting(): void {
    for (const priority of PRIORITIES) {
      for (const waiter of this.#waiting[priority]) {
        if (!this.#hasRoom(priority)) break;
        this.#waiting[priority].delete(waiter);
        this.#take(priority);
        waiter.start();
      }
    }
  }
}
