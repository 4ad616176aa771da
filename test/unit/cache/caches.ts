/** What tests of the cache share: sources of bytes that behave as they are told. */
import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import type { Clock } from '../../../src/base/clock.js';
import type { Log } from '../../../src/base/log.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import type { OpenedCache } from '../../../src/cache/blob-cache.js';
import type { BlobCache, CachedFile, CacheKey, FillSource } from '../../../src/cache/cache.js';
import { readPartOf } from '../../../src/cache/fingerprint.js';
import type { Blob } from '../../helpers/blobs.js';

/** Never fires. Shared by all readers of a test, where each request of the kernel has a signal of its own: Node would take their listeners for a leak. */
export const PATIENT = new AbortController().signal;
setMaxListeners(0, PATIENT);

/** Sleeps for one turn of the loop, so that retries cost no time. */
const IMPATIENT_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: () => new Promise((resolve) => setImmediate(resolve)),
};

export function keyOf(blob: Blob): CacheKey {
  return `sha1-${blob.sha1}`;
}

export function open(
  directory: string,
  options: { budgetBytes?: number; floorBytes?: number; mayWrite?: () => boolean; log?: Log; clock?: Clock } = {},
): Promise<OpenedCache> {
  return openCache({ directory, budgetBytes: 1 << 30, floorBytes: 0, log: SILENT_LOG, clock: IMPATIENT_CLOCK, ...options });
}

/** Has the bytes; notes the offsets it was asked for. */
export class GoodSource implements FillSource {
  readonly description: string;
  readonly asked: number[] = [];
  readonly #content: Buffer;

  constructor(content: Buffer, description = 'good') {
    this.#content = content;
    this.description = description;
  }

  async open(startByte: number): Promise<{ body: Readable; totalBytes: number } | undefined> {
    this.asked.push(startByte);
    return { body: Readable.from(chunksOf(this.#content.subarray(startByte)), { objectMode: false }), totalBytes: this.#content.length };
  }
}

export const ABSENT: FillSource = { description: 'absent', open: () => Promise.resolve(undefined) };

/** Gives its bytes only as far as it was let. */
export class GatedSource implements FillSource {
  readonly description = 'gated';
  readonly asked: number[] = [];
  readonly #content: Buffer;
  /** One for each opening. */
  readonly bodies: Readable[] = [];

  constructor(content: Buffer) {
    this.#content = content;
  }

  open(startByte: number): Promise<{ body: Readable; totalBytes: number }> {
    this.asked.push(startByte);
    const body = new Readable({ read: () => undefined });
    this.bodies.push(body);
    return Promise.resolve({ body, totalBytes: this.#content.length });
  }

  /** Lets the bytes from `start` to `end` out of an opening. */
  give(opening: number, start: number, end: number): void {
    const body = this.bodies[opening];
    for (const chunk of chunksOf(this.#content.subarray(start, end))) body?.push(chunk);
    if (end === this.#content.length) body?.push(null);
  }
}

export function* chunksOf(content: Buffer): Iterable<Buffer> {
  for (let at = 0; at < content.length; at += 64 * 1024) yield content.subarray(at, at + 64 * 1024);
}

export async function bytesOfFile(file: CachedFile): Promise<Buffer> {
  return Buffer.from(await readPartOf(file.fd, 0, file.sizeBytes));
}

/** Fills a blob and closes it again. */
export async function put(cache: BlobCache, blob: Blob): Promise<void> {
  const file = await cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT).whole;
  file.close();
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
