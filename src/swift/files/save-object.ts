/**
 * An object's bytes to a local file or a stream, checked.
 *
 * For a file each piece is hashed and written as soon as it came, while the processor still has it in its cache: to gather pieces and write
 * them by another thread took twice the processor's time for 500 MiB. A program that does nothing else may wait for its disk.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { digestFile, RunningDigest } from '../../base/file-digest.js';
import type { ObjectRead } from '../../store/object-store.js';
import { checkBytes, firstSumOf, type Check } from './check-bytes.js';

/**
 * @param name the object's
 * @param file made, or emptied, by this call
 * @throws FilestoreError corrupt (the file is left as it is); what the body and the disk throw
 */
export async function saveObject({ info, body }: ObjectRead, name: string, file: string, flags: 'w' | 'wx' = 'w'): Promise<Check> {
  let fd: number;
  try {
    fd = openSync(file, flags === 'w' ? 'w+' : 'wx+', 0o666);
  } catch (error) {
    body.on('error', () => undefined).destroy();
    throw error;
  }
  try {
    const sum = await writeHashed(body, fd, firstSumOf(name));
    return await checkBytes(file, name, info, sum, async () => (await digestFile(file, fd)).md5);
  } finally {
    closeSync(fd);
  }
}

/**
 * @param out stays open
 * @throws FilestoreError corrupt, when everything has been printed; what the body and the stream throw
 */
export async function printObject({ info, body }: ObjectRead, name: string, out: Writable): Promise<Check> {
  const digest = new RunningDigest();
  body.on('data', (chunk: Buffer) => digest.update(chunk));
  await pipeline(body, out, { end: false });
  const sums = digest.peek();
  return checkBytes('the output', name, info, sums[firstSumOf(name)], () => sums.md5);
}

function writeHashed(body: Readable, fd: number, algorithm: 'md5' | 'sha1'): Promise<string> {
  const hash = createHash(algorithm);
  return new Promise((resolve, reject) => {
    body.on('data', (chunk: Buffer) => {
      try {
        hash.update(chunk);
        for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
      } catch (error) {
        body.destroy(error as Error);
      }
    });
    body.on('end', () => resolve(hash.digest('hex')));
    body.on('error', reject);
  });
}
