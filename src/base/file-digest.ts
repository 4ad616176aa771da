/** SHA-1, MD5 and size of bytes: the two sums are taken in one reading (a blob's name, and Swift's ETag). */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { streamOfBorrowedFd } from './borrowed-fd-stream.js';

export interface FileDigest {
  /** Hex. */
  readonly sha1: string;
  /** Hex. */
  readonly md5: string;
  readonly sizeBytes: number;
}

/** Digests bytes as they come, front to back. */
export class RunningDigest {
  readonly #sha1 = createHash('sha1');
  readonly #md5 = createHash('md5');
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  update(data: Uint8Array): void {
    this.#sha1.update(data);
    this.#md5.update(data);
    this.#sizeBytes += data.length;
  }

  /** What stands so far; more may follow. */
  peek(): FileDigest {
    return { sha1: this.#sha1.copy().digest('hex'), md5: this.#md5.copy().digest('hex'), sizeBytes: this.#sizeBytes };
  }
}

/** Of bytes in memory. */
export function digestOf(bytes: Uint8Array): FileDigest {
  const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  return { sha1: digest('sha1'), md5: digest('md5'), sizeBytes: bytes.length };
}

/**
 * Reads a local file once. @param fd if given it is read from its start and stays open; `path` then only names it
 * @throws what Node's file system throws
 */
export async function digestFile(path: string, fd?: number): Promise<FileDigest> {
  const digest = new RunningDigest();
  const stream = fd === undefined ? createReadStream(path, { highWaterMark: 1 << 20 }) : streamOfBorrowedFd(fd);
  for await (const chunk of stream) digest.update(chunk as Uint8Array);
  return digest.peek();
}
