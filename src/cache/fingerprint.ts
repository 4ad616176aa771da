/**
 * How a copy is known to be what it was: size, mtime, ctime (which no user can set) and inode. Any write, truncation, rename or removal
 * of the file changes one of them, so the bytes are hashed once in a life of the daemon and then only looked at.
 */
import { createHash } from 'node:crypto';
import { fstatSync, read } from 'node:fs';
import { promisify } from 'node:util';

const readFrom: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => Promise<{ bytesRead: number }> =
  promisify(read);

const CHUNK_BYTES = 256 * 1024;

export interface Fingerprint {
  readonly sizeBytes: number;
  readonly mark: string;
  /** The file has no name any more. */
  readonly isGone: boolean;
}

/** @throws what fstat throws */
export function fingerprintOf(fd: number): Fingerprint {
  const stats = fstatSync(fd, { bigint: true });
  return {
    sizeBytes: Number(stats.size),
    mark: `${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}.${stats.ino}`,
    isGone: stats.nlink === 0n,
  };
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
