/**
 * One entry of the write-ahead log: what a seal's record will say, the lines of the journal that no fsync covers yet, and the file's bytes.
 * docs/FORMATS.md shows it. An entry begins at a multiple of the page, so that none is written again with its neighbour.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { SealEntry, SpoolRecord } from './records.js';
import { decodeLines } from './replay.js';

/** A disk writes it whole or not at all, in one place. */
export const PAGE_BYTES = 4096;
const MAGIC = 0x4f534641;
/** Where the fields of the header lie, each a little-endian u32; the last is the CRC-32 of those before it. */
const AT = { magic: 0, lap: 4, metaLength: 8, sizeBytes: 12, metaCrc: 16, headerCrc: 20 } as const;
const HEADER_LENGTH = 24;
const PADDING = Buffer.alloc(PAGE_BYTES);

export interface AheadEntry {
  /** Numbered when the entry was written; the record in the journal has a later number, or there is none. */
  readonly seal: SealEntry;
  /** Encoded records, each with its newline. */
  readonly lines: string;
}

/** An entry as a start finds it. */
export interface FoundEntry {
  readonly seal: SealEntry;
  readonly records: readonly SpoolRecord[];
  /** Undefined when they are not what the seal says: the power went before they were written. */
  readonly bytes: Buffer | undefined;
}

/** An entry but for the bytes, which need not be read to know whether it fits. */
export interface EntryDraft {
  readonly seal: SealEntry;
  readonly meta: Buffer;
  /** Where the bytes begin. */
  readonly bytesAt: number;
  /** What the entry takes of its segment. */
  readonly length: number;
}

export function draftEntry(entry: AheadEntry): EntryDraft {
  const meta = Buffer.from(JSON.stringify({ seal: entry.seal, lines: entry.lines }), 'utf8');
  const bytesAt = HEADER_LENGTH + meta.length;
  return { seal: entry.seal, meta, bytesAt, length: pages(bytesAt + entry.seal.sizeBytes) };
}

/**
 * The whole entry in pieces, to be written at a multiple of the page. None of them is a copy of the bytes: a fresh buffer for each file would cost more than
 * its write.
 * @param lap tells the entries of one use of a segment from what an earlier use left behind them
 * @param bytes the file's; as many as the seal says
 */
export function encodeEntry({ seal, meta, bytesAt, length }: EntryDraft, lap: number, bytes: Uint8Array): Uint8Array[] {
  const head = Buffer.allocUnsafe(bytesAt);
  head.writeUInt32LE(MAGIC, AT.magic);
  head.writeUInt32LE(lap, AT.lap);
  head.writeUInt32LE(meta.length, AT.metaLength);
  head.writeUInt32LE(seal.sizeBytes, AT.sizeBytes);
  head.writeUInt32LE(crc32(meta), AT.metaCrc);
  head.writeUInt32LE(crc32(head.subarray(0, AT.headerCrc)), AT.headerCrc);
  meta.copy(head, HEADER_LENGTH);
  return [head, bytes, PADDING.subarray(0, length - bytesAt - seal.sizeBytes)];
}

/**
 * The entries of a segment, up to the first that is not whole: each was written before the next, and an fsync covers all before it.
 * @throws FilestoreError unsupported, for records of a newer version
 */
export function* decodeEntries(segment: Buffer): Generator<FoundEntry> {
  const lap = segment.length < HEADER_LENGTH ? 0 : segment.readUInt32LE(AT.lap);
  for (let at = 0; at + HEADER_LENGTH <= segment.length;) {
    const header = segment.subarray(at, at + HEADER_LENGTH);
    if (header.readUInt32LE(AT.magic) !== MAGIC || header.readUInt32LE(AT.headerCrc) !== crc32(header.subarray(0, AT.headerCrc))) return;
    if (header.readUInt32LE(AT.lap) !== lap) return;
    const bytesAt = at + HEADER_LENGTH + header.readUInt32LE(AT.metaLength);
    const end = bytesAt + header.readUInt32LE(AT.sizeBytes);
    const meta = segment.subarray(at + HEADER_LENGTH, bytesAt);
    if (end > segment.length || crc32(meta) !== header.readUInt32LE(AT.metaCrc)) return;
    const { seal, lines } = JSON.parse(meta.toString('utf8')) as AheadEntry;
    const bytes = segment.subarray(bytesAt, end);
    yield { seal, records: [...decodeLines(Buffer.from(lines, 'utf8'))], bytes: isOf(bytes, seal.sha1) ? bytes : undefined };
    at += pages(end - at);
  }
}

export function isOf(bytes: Buffer, sha1: string): boolean {
  return createHash('sha1').update(bytes).digest('hex') === sha1;
}

function pages(length: number): number {
  return Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
}
