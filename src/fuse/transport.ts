/** How requests come from the kernel and replies go back. Two tenants: `addon-transport.ts` and `pure-transport.ts`. */
import type { FileSlice } from '../base/read-result.js';
import type { RequestView } from './request.js';

/** Of `replyFromFile`: the file did not give its bytes, and nothing was written. No errno, which are negative. */
export const UNREADABLE = 1;

/** What a transport can do besides when requests come by io_uring. */
export interface Ring {
  /** Called when the kernel was told, in the reply to INIT, that it may. @returns 0, or a negative errno: then nothing can be served */
  use(): number;
  /** Answers later opens of this node to read by itself, with this handle. @returns whether it can */
  share(ino: number, handle: number, openFlags: number): boolean;
  /** @returns its handle when the file system has to release it, 0 when its last RELEASE is still to come; undefined when it was not shared */
  unshare(ino: number): number | undefined;
  /** Puts the nodes that were shared and not opened since the last call into `into`. @returns how many */
  unusedShares(into: Float64Array): number;
  /** Lets go of the device: what the kernel still has of the ring is ended by the kernel itself, also where this process does nothing more. Idempotent. */
  stop(): void;
}

export interface Transport {
  /** `addon` or `pure Node`. */
  readonly name: string;
  /**
   * Begins to read. `onRequest` must take what it needs from the view before it returns. `onEnd` is called once: errno (positive), ENODEV
   * after an unmount.
   */
  start(onRequest: (request: RequestView) => void, onEnd: (errno: number) => void): void;
  /** Where the kernel may send requests by io_uring. */
  readonly ring?: Ring;
  /** Writes a whole reply; `words` are the same bytes. @returns 0, or a negative errno: -ENOENT when the kernel no longer waits for it */
  reply(bytes: Buffer, length: number, words: Uint32Array): number;
  /** Writes a reply whose payload is a local file's bytes; its header stands in `bytes`. @returns as `reply`, or `UNREADABLE` */
  replyFromFile(bytes: Buffer, slice: FileSlice): number;
  /** Writes a notification on a pool thread: the kernel may make it wait for a request of ours. Its failure is harmless. */
  notify(bytes: Buffer): Promise<void>;
  /** Whether `openBacking` can work at all. */
  readonly canPassThrough: boolean;
  /** Registers a local file for passthrough. @returns its backing id, or a negative errno */
  openBacking(fd: number): number;
  closeBacking(backingId: number): void;
  /** Pool threads stand in a read of the device, for as long as anybody has a file of the mount open: process.exit() would wait for them. */
  readonly isReading: boolean;
  /** Stops reading and closes the device; the kernel then fails what is still asked. */
  close(): void;
}
