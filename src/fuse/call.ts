/** One request while it is served: who asks, and what is needed to answer. */
import type { Caller } from './file-system.js';
import type { RequestView } from './request.js';

export class Call implements Caller {
  readonly opcode: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly ino: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Bytes the client has room for (READ, READDIR). */
  sizeBytes = 0;
  /** Of a RENAME: where the name goes. */
  otherDirectory: number | undefined;
  /** It is counted among those that wait for an answer while the kernel holds something locked (kernel-locks.ts). */
  holdsLocks = false;
  /** The kernel has its reply, or no longer wants one. */
  isAnswered = false;
  /** A local copy was unreadable once, and another one was asked for. */
  hasAskedElsewhere = false;
  /** A signal is pending at the client. */
  isInterrupted = false;
  /** When EIO goes out instead, in ms of `performance.now()`. */
  deadlineMs = 0;
  #controller: AbortController | undefined;

  constructor(request: RequestView) {
    this.opcode = request.opcode;
    this.uniqueLow = request.uniqueLow;
    this.uniqueHigh = request.uniqueHigh;
    this.ino = request.ino;
    this.uid = request.word(6);
    this.gid = request.word(7);
    this.pid = request.word(8);
  }

  /** Made when first asked for: most calls are answered in their own turn and need none. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Tells the file system to stop waiting. */
  abort(): void {
    this.#controller ??= new AbortController();
    this.#controller.abort();
  }
}
