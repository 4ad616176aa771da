/**
 * How a copy is known to be what it was: size, mtime, ctime (which no user can set) and inode. Any write, truncation, rename or removal
 * of the file changes one of them, so the bytes are hashed once in a life of the daemon and then only looked at.
 */
import { createHash } from 'node:crypto';
import { fstatSync, read, statSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';

const readFrom: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => Promise<{ bytesRead: number }> =
  promisify(read);

const CHUNK_BYTES = 256 * 1024;

export interface Fingerprint {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly inode: number;
  /** The file has no name any more. */
  readonly isGone: boolean;
}

/**
 * Times as doubles: a quarter of a microsecond is told apart, finer than the clock that the kernel stamps files with, and at half the cost
 * of the exact nanoseconds. This runs at every open of a cached blob.
 * @throws what fstat throws
 */
export function fingerprintOf(fd: number): Fingerprint {
  return fingerprintIn(fstatSync(fd));
}

/** Of a file by its name. @throws what stat throws */
export function fingerprintAt(path: string): Fingerprint {
  return fingerprintIn(statSync(path));
}

function fingerprintIn({ size, mtimeMs, ctimeMs, ino, nlink }: Stats): Fingerprint {
  return { sizeBytes: size, mtimeMs, ctimeMs, inode: ino, isGone: nlink === 0 };
}

/** Whether a file is what it was; that its name is gone is another matter. */
export function isSameFile(a: Fingerprint, b: Fingerprint): boolean {
  return a.ctimeMs === b.ctimeMs && a.mtimeMs === b.mtimeMs && a.sizeBytes === b.sizeBytes && a.inode === b.inode;
}

/** Hashes a file front to back; the loop is free between chunks. @throws what read throws */
export async function hashFile(fd: number, algorithm: 'sha1' | 'md5'): Promise<string> {
  const hash = createHash(algorithm);
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ;) {
    const { bytesRead } = await readFrom(fd, buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

/** Reads exactly this part of a file, or what there is of it. @throws what read throws */
export async function readPartOf(fd: number, position: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await readFrom(fd, buffer, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
