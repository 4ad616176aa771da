/**
 * The records of the list of names (names-file.ts).
 *
 * Format v1: for blobs records of 29 bytes, first byte '+' or '-', then 20 bytes of SHA-1, then the size as a little-endian double; for other
 * files 'o' (known) or 'x' (gone), followed by a 4-byte little-endian length and that many bytes of JSON.
 */
import { setImmediate } from 'node:timers/promises';
import { blobPathOf, contentSha1 } from '../base/names.js';
import { shardOfBlobPath, type Catalog, type KnownObject } from './catalog.js';

const PLUS = 0x2b;
const MINUS = 0x2d;
const OTHER = 0x6f;
const OTHER_GONE = 0x78;

const SHA1_AT = 1;
const SHA1_BYTES = 20;
const SIZE_AT = SHA1_AT + SHA1_BYTES;
const BLOB_RECORD_BYTES = SIZE_AT + 8;

const JSON_LENGTH_AT = 1;
const JSON_AT = JSON_LENGTH_AT + 4;

/** Records that are replayed in one turn of the loop: some 5 ms. */
const AT_ONCE = 20_000;

interface OtherRecord {
  readonly path: string;
  readonly sizeBytes?: number;
  readonly mtimeMs?: number;
  readonly md5?: string;
}

/** @param path of a canonical blob */
export function blobAdded(path: string, sizeBytes: number): Buffer {
  return blobRecord(PLUS, path, sizeBytes);
}

export function otherAdded(path: string, { sizeBytes, mtimeMs, md5 }: KnownObject): Buffer {
  return otherRecord(OTHER, { path, sizeBytes, mtimeMs, ...(md5 === undefined ? {} : { md5 }) });
}

/** @param path of either */
export function nameRemoved(path: string): Buffer {
  return shardOfBlobPath(path) === undefined ? otherRecord(OTHER_GONE, { path }) : blobRecord(MINUS, path, 0);
}

/** All that a catalog knows. */
export function* recordsOf(catalog: Catalog): Generator<Buffer> {
  for (const { sha1, sizeBytes } of catalog.blobs()) yield blobAdded(blobPathOf(sha1), sizeBytes);
  for (const [path, known] of catalog.others()) yield otherAdded(path, known);
}

/**
 * Fills a catalog from records; everything is marked as unchecked. With pauses: a database may be opened while others are served.
 * @returns how many there are, and where the last whole one ends
 */
export async function replayNames(bytes: Buffer, catalog: Catalog): Promise<{ readonly records: number; readonly wholeBytes: number }> {
  let records = 0;
  let at = 0;
  catalog.reserve(bytes.length / BLOB_RECORD_BYTES);
  while (at < bytes.length) {
    const end = replayOne(bytes, at, catalog);
    if (end === undefined) break;
    at = end;
    if (++records % AT_ONCE === 0) await setImmediate();
  }
  return { records, wholeBytes: at };
}

/** @returns where the record ends; undefined when there is no whole one */
function replayOne(bytes: Buffer, at: number, catalog: Catalog): number | undefined {
  const kind = bytes[at];
  if (kind === PLUS || kind === MINUS) {
    const end = at + BLOB_RECORD_BYTES;
    if (end > bytes.length) return undefined;
    if (kind === PLUS) catalog.loadBlob(bytes, at + SHA1_AT, bytes.readDoubleLE(at + SIZE_AT));
    else catalog.delete(blobPathOf(bytes.toString('hex', at + SHA1_AT, at + SIZE_AT)));
    return end;
  }
  if ((kind !== OTHER && kind !== OTHER_GONE) || at + JSON_AT > bytes.length) return undefined;
  const end = at + JSON_AT + bytes.readUInt32LE(at + JSON_LENGTH_AT);
  const record = end > bytes.length ? undefined : parseOther(bytes.toString('utf8', at + JSON_AT, end));
  if (record === undefined) return undefined;
  const { path, sizeBytes = 0, mtimeMs = 0, md5 } = record;
  if (kind === OTHER) catalog.setOther(path, { sizeBytes, mtimeMs, md5, checkedAtMs: 0 });
  else catalog.delete(path);
  return end;
}

function parseOther(json: string): OtherRecord | undefined {
  try {
    return JSON.parse(json) as OtherRecord;
  } catch {
    return undefined;
  }
}

function blobRecord(kind: number, path: string, sizeBytes: number): Buffer {
  const record = Buffer.alloc(BLOB_RECORD_BYTES);
  record[0] = kind;
  record.write(contentSha1(path) ?? '', SHA1_AT, 'hex');
  record.writeDoubleLE(sizeBytes, SIZE_AT);
  return record;
}

function otherRecord(kind: number, value: OtherRecord): Buffer {
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  const head = Buffer.alloc(JSON_AT);
  head[0] = kind;
  head.writeUInt32LE(json.length, JSON_LENGTH_AT);
  return Buffer.concat([head, json]);
}
