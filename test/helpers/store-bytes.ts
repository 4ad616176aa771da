/** Bytes into and out of an object store. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { GetOptions, ListOptions, ObjectBody, ObjectStore } from '../../src/store/object-store.js';

export function bodyOf(bytes: Uint8Array | string): ObjectBody {
  const content = Buffer.from(bytes as string);
  return {
    sizeBytes: content.length,
    md5: createHash('md5').update(content).digest('hex'),
    read: (start, end) => content.subarray(start, end),
  };
}

/** The same, handed out as a stream in small pieces. */
export function streamedBodyOf(bytes: Uint8Array): ObjectBody {
  const whole = bodyOf(bytes);
  function* pieces(start: number, end: number): Generator<Uint8Array> {
    for (let at = start; at < end; at += 10_000) yield bytes.subarray(at, Math.min(end, at + 10_000));
  }
  return { ...whole, read: (start, end) => Readable.from(pieces(start, end), { objectMode: false }) };
}

export async function readBytes(store: ObjectStore, container: string, name: string, options?: GetOptions): Promise<Buffer | undefined> {
  const read = await store.get(container, name, options);
  return read === undefined ? undefined : drain(read.body);
}

export async function drain(body: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of body) parts.push(chunk as Buffer);
  return Buffer.concat(parts);
}

export async function listNames(store: ObjectStore, container: string, options?: ListOptions): Promise<string[]> {
  const names: string[] = [];
  for await (const page of store.list(container, options)) names.push(...page.map((object) => object.name));
  return names;
}
