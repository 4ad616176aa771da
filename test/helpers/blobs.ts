/** Blobs for tests: deterministic bytes by a seed, and the name Odoo gives them. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

export interface Blob {
  readonly content: Buffer;
  readonly sha1: string;
  readonly md5: string;
  /** `xx/sha1`, as in `ir_attachment.store_fname`. */
  readonly name: string;
}

export function blobOf(content: Uint8Array | string): Blob {
  const bytes = Buffer.from(content as string);
  const sha1 = createHash('sha1').update(bytes).digest('hex');
  return { content: bytes, sha1, md5: createHash('md5').update(bytes).digest('hex'), name: `${sha1.slice(0, 2)}/${sha1}` };
}

/** Bytes that do not compress and differ for each seed (xorshift32). */
export function bytesOf(seed: number, sizeBytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  for (let index = 0; index < words.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state >>> 0;
  }
  return Buffer.from(words.buffer, 0, sizeBytes);
}

export function makeBlob(seed: number, sizeBytes = 50 * 1024): Blob {
  return blobOf(bytesOf(seed, sizeBytes));
}

export function makeBlobs(count: number, sizeBytes = 2048, firstSeed = 1): Blob[] {
  return Array.from({ length: count }, (_, index) => makeBlob(firstSeed + index, sizeBytes));
}

/** Under its name below a database's directory, as Odoo does: the shard first. */
export async function writeBlob(directory: string, blob: Blob): Promise<void> {
  const file = path.join(directory, blob.name);
  await fs.mkdir(path.dirname(file), { recursive: true });
  await fs.writeFile(file, blob.content);
}
