/** Trees of content-named files on the local disk: what is uploaded, what ext4 serves, and the lists of names the client works through. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { bytesOf } from '../../test/helpers/blobs.js';

export interface Tree {
  readonly directory: string;
  /** `xx/SHA`, in the order of the directories. */
  readonly names: readonly string[];
  readonly sizeBytes: number;
}

interface TreeShape {
  readonly files: number;
  readonly sizeBytes: number;
  /** Directories they fall into; all equally full. */
  readonly shards: number;
  /** Trees of different seeds share no file. */
  readonly seed: number;
}

const COUNTER_BYTES = 8;

/** A name's shard is its hash's, so bytes are tried until the shard has room; only the last eight differ. */
export function makeTree(directory: string, { files, sizeBytes, shards, seed }: TreeShape): Tree {
  const content = bytesOf(seed, sizeBytes);
  const head = createHash('sha1').update(content.subarray(0, sizeBytes - COUNTER_BYTES));
  const room = new Array<number>(shards).fill(Math.ceil(files / shards));
  const names: string[] = [];
  for (let counter = 0; names.length < files; counter += 1) {
    content.writeDoubleLE(counter, sizeBytes - COUNTER_BYTES);
    const digest = head
      .copy()
      .update(content.subarray(sizeBytes - COUNTER_BYTES))
      .digest();
    const shard = digest[0] ?? 0;
    if (shard >= shards || (room[shard] ?? 0) === 0) continue;
    room[shard] = (room[shard] ?? 0) - 1;
    const sha1 = digest.toString('hex');
    const name = `${sha1.slice(0, 2)}/${sha1}`;
    fs.mkdirSync(path.join(directory, sha1.slice(0, 2)), { recursive: true });
    fs.writeFileSync(path.join(directory, name), content);
    names.push(name);
  }
  return { directory, names: names.sort(), sizeBytes };
}

/** Writes names to a file for the client. @returns its path */
export function writeList(file: string, names: readonly string[]): string {
  fs.writeFileSync(file, `${names.join('\n')}\n`);
  return file;
}
