/**
 * Who belongs together. A FUSE request carries the id of the *thread* that asks (fs/fuse/dev.c: `pid_nr_ns(task_pid(current))`), while
 * "the writer" of a file is a process; the kernel tells a thread's process as `Tgid` in /proc/TID/status.
 */
import { readFileSync } from 'node:fs';

/** @returns the process of a thread, or undefined when it is gone or not to be seen from here (another PID namespace asks as 0) */
function threadGroupOf(threadId: number): number | undefined {
  if (threadId <= 0) return undefined;
  try {
    const found = /^Tgid:\s*(\d+)/m.exec(readFileSync(`/proc/${threadId}/status`, 'latin1'));
    return found === null ? undefined : Number(found[1]);
  } catch {
    return undefined;
  }
}

/** Kept short: thread ids are used again, and a process that stats its own file uses one or two. */
const REMEMBERED_THREADS = 16;

/** Whether threads belong to the process of one of them; asks /proc once a thread. */
export class ThreadGroup {
  readonly #threadId: number;
  /** Made at the first question: of most handles none is asked. */
  #known: Map<number, boolean> | undefined;
  readonly #groupOf: (threadId: number) => number | undefined;

  constructor(threadId: number, groupOf: (threadId: number) => number | undefined = threadGroupOf) {
    this.#threadId = threadId;
    this.#groupOf = groupOf;
  }

  has(threadId: number): boolean {
    if (threadId === this.#threadId) return threadId > 0;
    this.#known ??= new Map();
    const known = this.#known.get(threadId);
    if (known !== undefined) return known;
    const mine = this.#groupOf(this.#threadId);
    const together = mine !== undefined && mine === this.#groupOf(threadId);
    if (this.#known.size >= REMEMBERED_THREADS) this.#known.clear();
    this.#known.set(threadId, together);
    return together;
  }
}
