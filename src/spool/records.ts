/**
 * The records of the journal. One line each: eight hex digits of CRC-32, a space, JSON, a newline. Paths are byte strings; JSON keeps
 * each of their characters (0..255), and the line is UTF-8 on the disk. docs/FORMATS.md shows each record.
 *
 * INVARIANT: a record names what it is about by the sequence number it saw (`of`), so that it changes nothing when it comes too late.
 */
import { crc32 } from 'node:zlib';
import { FilestoreError } from '../base/errors.js';

/** Goes into the directory's name and the first line of a journal. */
export const JOURNAL_VERSION = 1;

export interface SealRecord {
  readonly type: 'seal';
  readonly sequence: number;
  readonly path: string;
  /** Name under `sealed/`. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha1: string;
  readonly md5: string;
  readonly mtimeMs: number;
  readonly sealedAtMs: number;
}

/** As the write-ahead log has it: the MD5 is taken while the disk writes. */
export type SealEntry = Omit<SealRecord, 'md5'>;

export interface MoveRecord {
  readonly type: 'move';
  readonly sequence: number;
  readonly from: string;
  readonly to: string;
  readonly of: number;
  /** `from` is deleted by the same record, and Swift is yet to be told: a kill must not show what Swift had under it before. */
  readonly buriedAtMs?: number;
}

interface BuryRecord {
  readonly type: 'bury';
  readonly sequence: number;
  readonly path: string;
  readonly deletedAtMs: number;
  readonly owedToSwift: boolean;
  readonly dueAtMs?: number;
}

export type SpoolRecord =
  /** First line; carries the highest sequence number given out, which the records after it may no longer show. */
  | { readonly type: 'start'; readonly sequence: number; readonly version: number }
  | SealRecord
  /** What was pending as `from` is pending as `to`, under the record's own sequence number. */
  | MoveRecord
  /** Owed no more: Swift has it, or the seal was withdrawn. */
  | { readonly type: 'release'; readonly sequence: number; readonly path: string; readonly of: number }
  | BuryRecord
  /** Swift was told of a delete; `keep`: an origin still has the name. */
  | { readonly type: 'told'; readonly sequence: number; readonly path: string; readonly of: number; readonly keep: boolean }
  | { readonly type: 'exhume'; readonly sequence: number; readonly path: string }
  /** Directories that are gone, then those that are there, each with its mtime in ms. One record, so that a rename is whole or not at all. */
  | {
      readonly type: 'directories';
      readonly sequence: number;
      readonly gone: readonly string[];
      readonly made: readonly (readonly [path: string, mtimeMs: number])[];
    }
  /** `path` null: the alias ends. */
  | { readonly type: 'alias'; readonly sequence: number; readonly alias: string; readonly path: string | null };

/** A record before it has its sequence number. */
export type Unnumbered<R> = R extends SpoolRecord ? Omit<R, 'sequence'> : never;

const TYPES: ReadonlySet<string> = new Set<SpoolRecord['type']>([
  'start',
  'seal',
  'move',
  'release',
  'bury',
  'told',
  'exhume',
  'directories',
  'alias',
]);

const CRC_LENGTH = 8;

/** @returns the line with its newline */
export function encodeRecord(record: SpoolRecord): string {
  const json = JSON.stringify(record);
  return `${crcOf(Buffer.from(json, 'utf8'))} ${json}\n`;
}

/**
 * @param line bytes of one line without its newline
 * @returns undefined when the line is not whole
 * @throws FilestoreError unsupported when it is whole and of a kind that this version does not know
 */
export function decodeRecord(line: Buffer): SpoolRecord | undefined {
  if (line.length < CRC_LENGTH + 3 || line[CRC_LENGTH] !== 0x20) return undefined;
  const json = line.subarray(CRC_LENGTH + 1);
  if (line.toString('latin1', 0, CRC_LENGTH) !== crcOf(json)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
  const record = value as SpoolRecord;
  if (!TYPES.has(record.type) || (record.type === 'start' && record.version !== JOURNAL_VERSION)) {
    const what = record.type === 'start' ? `is of format ${record.version}` : `has records of type ${record.type}`;
    throw new FilestoreError(
      'unsupported',
      `the spool journal ${what}, which this version does not know; start the one that wrote it again`,
    );
  }
  return record;
}

function crcOf(data: Buffer): string {
  return crc32(data).toString(16).padStart(CRC_LENGTH, '0');
}
