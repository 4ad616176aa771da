/**
 * A stream over a descriptor that belongs to somebody else. Node's `ReadStream` closes its descriptor when it is destroyed, whatever `autoClose`
 * says (lib/internal/fs/streams.js: `_destroy`), and HTTP clients and `for await` destroy what they have read; the number may belong to another file by then.
 */
import { createReadStream, read, type ReadStream } from 'node:fs';

const CHUNK_BYTES = 1 << 20;

/**
 * @param start first byte
 * @param end the byte after the last; undefined for the end of the file
 */
export function streamOfBorrowedFd(fd: number, start = 0, end?: number): ReadStream {
  const close = (_fd: number, done?: (error?: NodeJS.ErrnoException | null) => void): void => done?.(null);
  return createReadStream('', {
    fd,
    start,
    ...(end === undefined ? {} : { end: end - 1 }),
    highWaterMark: CHUNK_BYTES,
    fs: { read, close },
  });
}
