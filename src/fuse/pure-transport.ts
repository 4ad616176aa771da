/**
 * /dev/fuse without native code: two reads stand on pool threads, replies are written synchronously.
 *
 * Each outstanding read holds one of libuv's threads for good; with the default pool of four, two remain for everything else, so the
 * process is best started with UV_THREADPOOL_SIZE=8 in its environment (a program cannot enlarge its own pool once it has started).
 * Node waits for its pool when it exits, so the mount must end first: see the exit hook in `kernel-driver.ts`.
 */
import { closeSync, read, writeSync } from 'node:fs';
import type { FileSlice } from '../base/read-result.js';
import { readSlice } from '../base/read-result.js';
import { writeOnPoolThread } from './addon-transport.js';
import { EIO, ENODEV, ENOSYS } from './errno.js';
import { OUT_HEADER_BYTES, REQUEST_BUFFER_BYTES } from './protocol.js';
import { RequestView } from './request.js';
import type { Transport } from './transport.js';
import { UNREADABLE } from './transport.js';

const OUTSTANDING_READS = 2;
const RETRIED = new Set(['EINTR', 'EAGAIN', 'ENOENT']);
const RETRY_MS = 1;

export class PureTransport implements Transport {
  readonly name = 'pure Node';
  readonly canPassThrough = false;
  readonly #fd: number;
  #reading = 0;
  #isClosed = false;
  #isClosing = false;

  /** @param fd of /dev/fuse, mounted, blocking; the transport owns it */
  constructor(fd: number) {
    this.#fd = fd;
  }

  get isReading(): boolean {
    return this.#reading > 0;
  }

  start(onRequest: (request: RequestView) => void, onEnd: (errno: number) => void): void {
    let hasEnded = false;
    const end = (errno: number): void => {
      if (hasEnded) return;
      hasEnded = true;
      onEnd(errno);
    };
    const next = (request: RequestView): void => {
      this.#reading++;
      read(this.#fd, request.bytes, 0, request.bytes.length, null, (error, length) => {
        this.#reading--;
        if (this.#isClosing) {
          this.#closeWhenIdle();
          end(ENODEV);
        } else if (error !== null && RETRIED.has(error.code ?? '')) {
          setTimeout(next, RETRY_MS, request);
        } else if (error !== null || length === 0) {
          end(Math.abs(error?.errno ?? ENODEV));
        } else {
          request.length = length;
          try {
            onRequest(request);
          } finally {
            next(request);
          }
        }
      });
    };
    for (let i = 0; i < OUTSTANDING_READS; i++) next(new RequestView(REQUEST_BUFFER_BYTES));
  }

  reply(bytes: Buffer, length: number): number {
    try {
      writeSync(this.#fd, bytes, 0, length);
      return 0;
    } catch (error) {
      return (error as NodeJS.ErrnoException).errno ?? -EIO;
    }
  }

  replyFromFile(bytes: Buffer, slice: FileSlice): number {
    const filled = readSlice(slice, bytes, OUT_HEADER_BYTES);
    if (filled === undefined) return UNREADABLE;
    bytes.writeUInt32LE(OUT_HEADER_BYTES + filled, 0);
    return this.reply(bytes, OUT_HEADER_BYTES + filled);
  }

  notify(bytes: Buffer): Promise<void> {
    return writeOnPoolThread(this.#fd, bytes);
  }

  openBacking(): number {
    return -ENOSYS;
  }

  closeBacking(): void {
    // Nothing was opened.
  }

  close(): void {
    this.#isClosing = true;
    this.#closeWhenIdle();
  }

  /** A descriptor must not be closed under a thread that reads it: its number could be somebody else's by then. */
  #closeWhenIdle(): void {
    if (this.#isClosed || this.#reading > 0) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }
}
