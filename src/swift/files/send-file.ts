/** A local file to an object: small ones are hashed and then sent, large ones in one reading. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { digestFile } from '../../base/file-digest.js';
import type { SwiftStore } from '../swift-store.js';

const SMALL_BYTES = 1 << 20;
const CHUNK_BYTES = 512 * 1024;

export interface SentFile {
  readonly sizeBytes: number;
  /** Hex; what Swift has stored has it too. */
  readonly md5: string;
  /** Hex; undefined unless asked for. */
  readonly sha1: string | undefined;
}

/**
 * @param wants `sha1` takes that sum beside
 * @throws what Node's file system throws; the kinds of the object port
 */
export async function sendFile(store: SwiftStore, container: string, name: string, file: string, wants?: 'sha1'): Promise<SentFile> {
  const { size: sizeBytes } = statSync(file);
  let sha1 = createHash('sha1');
  if (sizeBytes <= SMALL_BYTES) {
    const bytes = readFileSync(file);
    const md5 = createHash('md5').update(bytes).digest('hex');
    await store.put(container, name, { sizeBytes: bytes.length, md5, read: (start, end) => bytes.subarray(start, end) });
    return { sizeBytes: bytes.length, md5, sha1: wants === undefined ? undefined : sha1.update(bytes).digest('hex') };
  }
  const md5 = await store.putUnhashed(container, name, {
    sizeBytes,
    read: () => createReadStream(file, { end: sizeBytes - 1, highWaterMark: CHUNK_BYTES }),
    ...(wants === undefined ? {} : { beside: () => (sha1 = createHash('sha1')) }),
  });
  if (md5 !== undefined) return { sizeBytes, md5, sha1: wants === undefined ? undefined : sha1.digest('hex') };
  const digest = await digestFile(file);
  const read = (start: number, end: number) => createReadStream(file, { start, end: end - 1, highWaterMark: CHUNK_BYTES });
  await store.put(container, name, { ...digest, read });
  return digest;
}
