/**
 * The bytes of a local file for who is done with each piece when he takes the next but few: a hash, a connection. They come in the same few buffers
 * over and over, which stay in the processor's cache: memory that was new for each piece took a tenth of what it costs us to send a large file.
 *
 * INVARIANT: bytes are written over only when those of `BUFFERS - 1` buffers were taken after them, however little the file system gives at a time.
 * Between a file and the kernel there are those of six at the most: one here, two each before and behind what counts them (request-body.ts), one of the
 * socket. (Were one sent wrong all the same, Swift's ETag would differ.)
 */
import { close, open, read } from 'node:fs';
import { Readable } from 'node:stream';

/** Of a buffer, which is one piece where the file system gives all that it is asked for. */
const BUFFER_BYTES = 256 * 1024;
const BUFFERS = 16;

type Done = (error?: Error | null) => void;

class FileBytes extends Readable {
  readonly #path: string | undefined;
  readonly #end: number;
  readonly #cutShort: (() => Error) | undefined;
  readonly #buffers: Buffer[] = [];
  #fd: number;
  #at: number;
  #turn = 0;
  /** Bytes of this turn's buffer that are taken. */
  #filled = 0;
  /** Waits for the read that is under way: a descriptor must not be closed under it, whose number may be another file's then. */
  #whenRead: (() => void) | undefined;
  #isReading = false;

  constructor(file: string | number, start: number, end: number, cutShort: (() => Error) | undefined) {
    super({ highWaterMark: 1 });
    this.#path = typeof file === 'string' ? file : undefined;
    this.#fd = typeof file === 'string' ? -1 : file;
    this.#at = start;
    this.#end = end;
    this.#cutShort = cutShort;
  }

  override _construct(done: Done): void {
    if (this.#path === undefined) return done();
    open(this.#path, 'r', (error, fd) => {
      if (error === null) this.#fd = fd;
      done(error);
    });
  }

  override _read(): void {
    if (this.#at >= this.#end) {
      this.push(null);
      return;
    }
    if (this.#filled === BUFFER_BYTES) {
      this.#turn = (this.#turn + 1) % BUFFERS;
      this.#filled = 0;
    }
    const buffer = (this.#buffers[this.#turn] ??= Buffer.allocUnsafeSlow(BUFFER_BYTES));
    const start = this.#filled;
    const bytes = Math.min(BUFFER_BYTES - start, this.#end - this.#at);
    this.#isReading = true;
    read(this.#fd, buffer, start, bytes, this.#at, (error, got) => {
      this.#isReading = false;
      this.#whenRead?.();
      if (this.destroyed) return;
      const failure = error ?? (got === 0 ? this.#cutShort?.() : undefined);
      if (failure !== undefined) {
        this.destroy(failure);
        return;
      }
      this.#at += got;
      this.#filled += got;
      this.push(got === 0 ? null : buffer.subarray(start, start + got));
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    const end = (): void => {
      if (this.#path === undefined || this.#fd < 0) return done(error);
      close(this.#fd, (failed) => done(error ?? failed));
    };
    if (this.#isReading) this.#whenRead = end;
    else end();
  }
}

/**
 * @param file a path; or a descriptor that is somebody else's, and is never closed (Node's own `ReadStream` closes its descriptor when it is destroyed,
 *   and HTTP clients and `for await` destroy what they have read)
 * @param end the byte after the last; the file's end, where that comes before
 * @param cutShort what the stream fails with where the file ends before `end`; without it the stream just ends there
 * @returns pieces whose bytes change later: nobody may keep one
 */
export function bytesOfFile(file: string | number, start = 0, end = Number.POSITIVE_INFINITY, cutShort?: () => Error): Readable {
  return new FileBytes(file, start, end, cutShort);
}
