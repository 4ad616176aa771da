/**
 * A limit on what runs at once, given out by priority: who waits on a read goes before a write, a write before background work. `bulk` is a read
 * that may hold its place for minutes. The last places are for those who hold theirs briefly: however many large files come slowly, a small one
 * is read and a new one is written.
 */
import { FilestoreError } from './errors.js';

const PRIORITIES = ['read', 'bulk', 'write', 'background'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** Work that nobody waits for yet: it waits as this priority from the moment on in which somebody does. */
export interface Raise {
  readonly on: AbortSignal;
  readonly to: Priority;
}

interface Waiter {
  readonly start: (priority: Priority) => void;
}

export class PriorityLimiter {
  readonly #limit: number;
  /** How many may be other than reads. */
  readonly #writeLimit: number;
  /** How many may be bulk reads and background work. */
  readonly #longLimit: number;
  readonly #waiting: Record<Priority, Set<Waiter>> = { read: new Set(), bulk: new Set(), write: new Set(), background: new Set() };
  readonly #runs: Record<Priority, number> = { read: 0, bulk: 0, write: 0, background: 0 };
  #running = 0;

  /** @param limit how many run at once */
  constructor(limit: number) {
    this.#limit = limit;
    this.#writeLimit = limit - Math.floor(limit / 8);
    this.#longLimit = Math.max(1, limit - Math.ceil(limit / 4));
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return PRIORITIES.reduce((sum, p) => sum + this.#waiting[p].size, 0);
  }

  /**
   * Waits for a place.
   * @param raise moves it to another queue, should it still wait then
   * @returns the function that gives the place back; call it exactly once
   * @throws FilestoreError interrupted when the signal fires first
   */
  async enter(priority: Priority, signal?: AbortSignal, raise?: Raise): Promise<() => void> {
    const first = raise?.on.aborted === true ? raise.to : priority;
    return this.enterNow(first) ?? this.#leaving(await this.#wait(first, signal, raise));
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
      this.#runs[priority]--;
      this.#startWaiting();
    };
  }

  #hasRoom(priority: Priority): boolean {
    if (this.#running >= this.#limit) return false;
    if (priority === 'read') return true;
    const long = this.#runs.bulk + this.#runs.background;
    return long + this.#runs.write < this.#writeLimit && (priority === 'write' || long < this.#longLimit);
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
    this.#runs[priority]++;
  }

  /** @returns as what it got its place */
  #wait(priority: Priority, signal: AbortSignal | undefined, raise: Raise | undefined): Promise<Priority> {
    return new Promise<Priority>((resolve, reject) => {
      let queue = this.#waiting[priority];
      const over = (): void => {
        signal?.removeEventListener('abort', onAbort);
        raise?.on.removeEventListener('abort', onRaise);
      };
      const onAbort = (): void => {
        over();
        queue.delete(waiter);
        reject(new FilestoreError('interrupted', 'given up while waiting for a free connection'));
      };
      const onRaise = (): void => {
        if (raise === undefined) return;
        queue.delete(waiter);
        queue = this.#waiting[raise.to];
        queue.add(waiter);
        this.#startWaiting();
      };
      const waiter: Waiter = {
        start: (taken) => {
          over();
          resolve(taken);
        },
      };
      if (signal?.aborted) {
        onAbort();
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      raise?.on.addEventListener('abort', onRaise, { once: true });
      queue.add(waiter);
    });
  }

  #startWaiting(): void {
    for (const priority of PRIORITIES) {
      for (const waiter of this.#waiting[priority]) {
        if (!this.#hasRoom(priority)) break;
        this.#waiting[priority].delete(waiter);
        this.#take(priority);
        waiter.start(priority);
      }
    }
  }
}
