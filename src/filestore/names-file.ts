/**
 * The durable list of names known for a container (ruling 1): what an outage or a restart may not make us forget. A log of fixed records
 * for blobs, and framed JSON for other files; replayed at start, rewritten when it is mostly history.
 *
 * Format v1, file `names-1`: records of 29 bytes, first byte '+' or '-', then 20 bytes of SHA-1, then the size as a little-endian
 * double; or 'o'/'x' followed by a 4-byte little-endian length and that many bytes of JSON (an other file known, gone). A torn tail is cut.
 * It is written without fsync: after a power cut it may lack the last seconds, which the listing at the next start brings back.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../base/log.js';
import { messageOf } from '../base/errors.js';
import { contentSha1 } from '../base/names.js';
import { shardOfBlobPath, type Catalog, type KnownObject } from './catalog.js';

const RECORD_BYTES = 29;
const PLUS = 0x2b;
const MINUS = 0x2d;
const OTHER = 0x6f;
const OTHER_GONE = 0x78;
const FLUSH_BYTES = 64 * 1024;
const FLUSH_MS = 200;

interface OtherRecord {
  readonly path: string;
  readonly sizeBytes?: number;
  readonly mtimeMs?: number;
  readonly md5?: string;
}

export class NamesFile {
  readonly #path: string;
  readonly #log: Log;
  #fd = -1;
  #buffer: Buffer[] = [];
  #bufferedBytes = 0;
  #records = 0;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  constructor(directory: string, log: Log) {
    this.#path = join(directory, 'names-1');
    this.#log = log;
  }

  /** Fills the catalog with what was known; everything is marked as unchecked. */
  load(catalog: Catalog): void {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#path);
    } catch {
      bytes = Buffer.alloc(0);
    }
    const end = this.#replay(bytes, catalog);
    this.#fd = openSync(this.#path, 'a', 0o600);
    if (end < bytes.length) ftruncateSync(this.#fd, end);
    this.compact(catalog);
  }

  added(path: string, sizeBytes: number): void {
    this.#append(blobRecord(PLUS, path, sizeBytes));
  }

  addedOther(path: string, known: KnownObject): void {
    this.#append(
      jsonRecord(OTHER, {
        path,
        sizeBytes: known.sizeBytes,
        mtimeMs: known.mtimeMs,
        ...(known.md5 === undefined ? {} : { md5: known.md5 }),
      }),
    );
  }

  removed(path: string): void {
    this.#append(shardOfBlobPath(path) === undefined ? jsonRecord(OTHER_GONE, { path }) : blobRecord(MINUS, path, 0));
  }

  /** Rewrites the file when it is mostly history. */
  compact(catalog: Catalog): void {
    if (this.#records > 4096 && this.#records > 3 * catalog.count) this.rewrite(catalog);
  }

  /** Writes the catalog anew, beside the old file, then over it. */
  rewrite(catalog: Catalog): void {
    this.#buffer = [];
    this.#bufferedBytes = 0;
    const temporary = `${this.#path}.new`;
    try {
      const fd = openSync(temporary, 'w', 0o600);
      let chunk: Buffer[] = [];
      let chunkBytes = 0;
      const put = (record: Buffer): void => {
        chunk.push(record);
        chunkBytes += record.length;
        if (chunkBytes < 1 << 20) return;
        writeSync(fd, Buffer.concat(chunk));
        chunk = [];
        chunkBytes = 0;
      };
      for (const { sha1, sizeBytes } of catalog.blobs()) put(blobRecord(PLUS, `${sha1.slice(0, 2)}/${sha1}`, sizeBytes));
      for (const [path, known] of catalog.others())
        put(
          jsonRecord(OTHER, {
            path,
            sizeBytes: known.sizeBytes,
            mtimeMs: known.mtimeMs,
            ...(known.md5 === undefined ? {} : { md5: known.md5 }),
          }),
        );
      writeSync(fd, Buffer.concat(chunk));
      renameSync(temporary, this.#path);
      if (this.#fd >= 0) closeSync(this.#fd);
      closeSync(fd);
      this.#fd = openSync(this.#path, 'a', 0o600);
      this.#records = catalog.count;
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    this.#flush();
    clearTimeout(this.#timer);
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #append(record: Buffer): void {
    this.#buffer.push(record);
    this.#bufferedBytes += record.length;
    this.#records++;
    if (this.#bufferedBytes >= FLUSH_BYTES) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#bufferedBytes === 0 || this.#fd < 0) return;
    const bytes = Buffer.concat(this.#buffer);
    const before = fstatSync(this.#fd).size;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
      this.#buffer = [];
      this.#bufferedBytes = 0;
      this.#failed = false;
    } catch (error) {
      // Half a record would hide all that follow it. What was not written is written with what comes next.
      ftruncateSync(this.#fd, before);
      this.#buffer = [bytes];
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!this.#failed)
      this.#log.warn('names.not-written', { file: this.#path, reason: messageOf(error), remedy: 'free space on the disk of spool_dir' });
    this.#failed = true;
  }

  /** @returns where the whole records end */
  #replay(bytes: Buffer, catalog: Catalog): number {
    let at = 0;
    catalog.reserve(bytes.length / RECORD_BYTES);
    while (at < bytes.length) {
      const kind = bytes[at];
      if (kind === PLUS || kind === MINUS) {
        if (at + RECORD_BYTES > bytes.length) break;
        if (kind === PLUS) catalog.loadBlob(bytes, at + 1, bytes.readDoubleLE(at + 21));
        else catalog.delete(blobPathAt(bytes, at + 1));
        at += RECORD_BYTES;
      } else if ((kind === OTHER || kind === OTHER_GONE) && at + 5 <= bytes.length) {
        const end = at + 5 + bytes.readUInt32LE(at + 1);
        if (end > bytes.length) break;
        const record = parseRecord(bytes.toString('utf8', at + 5, end));
        if (record === undefined) break;
        if (kind === OTHER)
          catalog.setOther(record.path, {
            sizeBytes: record.sizeBytes ?? 0,
            mtimeMs: record.mtimeMs ?? 0,
            md5: record.md5,
            checkedAtMs: 0,
          });
        else catalog.delete(record.path);
        at = end;
      } else break;
      this.#records++;
    }
    return at;
  }
}

function parseRecord(json: string): OtherRecord | undefined {
  try {
    return JSON.parse(json) as OtherRecord;
  } catch {
    return undefined;
  }
}

function blobPathAt(bytes: Buffer, at: number): string {
  const sha1 = bytes.toString('hex', at, at + 20);
  return `${sha1.slice(0, 2)}/${sha1}`;
}

function blobRecord(kind: number, path: string, sizeBytes: number): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  record[0] = kind;
  record.write(contentSha1(path) ?? '', 1, 'hex');
  record.writeDoubleLE(sizeBytes, 21);
  return record;
}

function jsonRecord(kind: number, value: OtherRecord): Buffer {
  const json = Buffer.from(JSON.stringify(value), 'utf8');
  const head = Buffer.alloc(5);
  head[0] = kind;
  head.writeUInt32LE(json.length, 1);
  return Buffer.concat([head, json]);
}
