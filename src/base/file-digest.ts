/** SHA-1, MD5 and size of bytes: the two sums are taken in one reading (a blob's name, and Swift's ETag). */
import { createHash } from 'node:crypto';
import { bytesOfFile } from './file-bytes.js';

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

/** Of bytes in memory: each sum is taken when it is first asked for, so the bytes stay as they are until `settle`. */
export class BytesDigest implements FileDigest {
  readonly sizeBytes: number;
  #bytes: Uint8Array | undefined;
  #sha1: string | undefined;
  #md5: string | undefined;

  constructor(bytes: Uint8Array) {
    this.sizeBytes = bytes.length;
    this.#bytes = bytes;
  }

  get sha1(): string {
    return (this.#sha1 ??= this.#take('sha1'));
  }

  get md5(): string {
    return (this.#md5 ??= this.#take('md5'));
  }

  /** Takes what was not asked for yet. From here on the bytes may change. */
  settle(): void {
    if (this.#bytes === undefined) return;
    this.#sha1 ??= this.#take('sha1');
    this.#md5 ??= this.#take('md5');
    this.#bytes = undefined;
  }

  #take(algorithm: 'sha1' | 'md5'): string {
    return createHash(algorithm)
      .update(this.#bytes ?? '')
      .digest('hex');
  }
}

/**
 * Reads a local file once. @param fd if given it is read from its start and stays open; `path` then only names it
 * @throws what Node's file system throws
 */
export async function digestFile(path: string, fd?: number): Promise<FileDigest> {
  const digest = new RunningDigest();
  for await (const piece of bytesOfFile(fd ?? path)) digest.update(piece as Uint8Array);
  return digest.peek();
}
