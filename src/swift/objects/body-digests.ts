/**
 * The MD5 of a body as a whole and of each of its segments, in one pass over its bytes. The segments are sent several at once and in any
 * order, so nothing on their way could tell the MD5 of the whole; this pass can, and it says what each stored segment's ETag must be.
 */
import { createHash } from 'node:crypto';
import { FilestoreError } from '../../base/errors.js';
import type { ObjectBody } from '../../store/object-store.js';

/** First byte, and the byte after the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface BodyDigests {
  readonly whole: string;
  /** In the order of the ranges. */
  readonly segments: readonly string[];
}

export function segmentRanges(totalBytes: number, segmentBytes: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let start = 0; start < totalBytes; start += segmentBytes) ranges.push({ start, end: Math.min(totalBytes, start + segmentBytes) });
  return ranges;
}

/** @param ranges of the whole body, in order and without gaps. @throws what the body's source throws, FilestoreError interrupted */
export async function digestBody(body: ObjectBody, ranges: readonly ByteRange[], signal: AbortSignal): Promise<BodyDigests> {
  const whole = createHash('md5');
  const segments: string[] = [];
  for (const { start, end } of ranges) {
    const segment = createHash('md5');
    for await (const chunk of piecesOf(body.read(start, end))) {
      if (signal.aborted) throw new FilestoreError('interrupted', 'given up while a large object was hashed');
      whole.update(chunk);
      segment.update(chunk);
    }
    segments.push(segment.digest('hex'));
  }
  return { whole: whole.digest('hex'), segments };
}

function piecesOf(source: ReturnType<ObjectBody['read']>): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return source instanceof Uint8Array ? [source] : (source as AsyncIterable<Uint8Array>);
}
