/**
 * Reads a journal back. A kill or a power cut may leave part of a line at the end: it was never acknowledged and is cut off. A line that
 * is not whole with whole ones after it is damage (a bad disk, an editor): it is stepped over, every whole record still counts, and the
 * spool deletes nothing on the strength of such a journal.
 */
import { decodeRecord } from './records.js';
import type { SpoolRecord } from './records.js';

const NEWLINE = 0x0a;

export interface Replay {
  readonly records: number;
  /** Length of the file up to the end of its last whole line; what is behind it is a torn tail. */
  readonly wholeBytes: number;
  readonly tornTailBytes: number;
  /** Lines that are not whole although whole ones follow. */
  readonly damagedLines: number;
}

/** The whole records among lines. @throws FilestoreError unsupported, for those of a newer version */
export function* decodeLines(content: Buffer): Generator<SpoolRecord> {
  for (let start = 0, end = content.indexOf(NEWLINE); end >= 0; start = end + 1, end = content.indexOf(NEWLINE, start)) {
    const record = decodeRecord(content.subarray(start, end));
    if (record !== undefined) yield record;
  }
}

/** @param apply called with each whole record in order. @throws FilestoreError unsupported, for a journal of a newer version */
export function replayJournal(content: Buffer, apply: (record: SpoolRecord) => void): Replay {
  let records = 0;
  let wholeBytes = 0;
  let badLines = 0;
  let damagedLines = 0;
  let start = 0;
  while (start < content.length) {
    const end = content.indexOf(NEWLINE, start);
    if (end < 0) break;
    const record = decodeRecord(content.subarray(start, end));
    start = end + 1;
    if (record === undefined) {
      badLines++;
      continue;
    }
    apply(record);
    records++;
    wholeBytes = start;
    damagedLines = badLines;
  }
  return { records, wholeBytes, tornTailBytes: content.length - wholeBytes, damagedLines };
}
