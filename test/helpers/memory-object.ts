/** An object as the store in memory has it, and how its bytes come and go. */
import type { Readable } from 'node:stream';
import type { FilestoreError } from '../../src/base/errors.js';
import type { Metadata, ObjectInfo } from '../../src/store/object-store.js';

const BODY_CHUNK_BYTES = 64 * 1024;

export interface StoredObject {
  readonly bytes: Buffer;
  readonly md5: string;
  readonly lastModifiedMs: number;
  readonly metadata: Metadata;
  /** Gone from then on, though a listing still shows it, as in Swift without its expirer. */
  readonly deleteAtMs?: number;
}

export function infoOf(stored: StoredObject): ObjectInfo {
  const { bytes, md5, lastModifiedMs, metadata } = stored;
  return { sizeBytes: bytes.length, md5, lastModifiedMs, metadata };
}

/** Keys with an empty value go, as Swift has it. */
export function merged(before: Metadata, changes: Metadata): Metadata {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== ''));
}

/** @param failure breaks them off half way */
export function* chunks(bytes: Buffer, failure: FilestoreError | undefined): Generator<Buffer> {
  const end = failure === undefined ? bytes.length : bytes.length >> 1;
  for (let at = 0; at < end; at += BODY_CHUNK_BYTES) yield bytes.subarray(at, Math.min(end, at + BODY_CHUNK_BYTES));
  if (failure !== undefined) throw failure;
}

export async function readAll(source: Readable | Uint8Array, onProgress: (() => void) | undefined): Promise<Buffer> {
  if (source instanceof Uint8Array) {
    onProgress?.();
    return Buffer.from(source);
  }
  const parts: Buffer[] = [];
  for await (const chunk of source) {
    parts.push(Buffer.from(chunk as Uint8Array));
    onProgress?.();
  }
  return Buffer.concat(parts);
}
