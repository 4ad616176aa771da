import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { decodeRecord, encodeRecord } from '../../../src/spool/records.js';
import { replayJournal } from '../../../src/spool/replay.js';
import type { SpoolRecord } from '../../../src/spool/records.js';

const EVERY_BYTE = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
const bury = (path: string, sequence: number): SpoolRecord => ({ type: 'bury', sequence, path, deletedAtMs: 5, owedToSwift: true });

function line(json: string): string {
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

test('A record keeps every byte of a name and stays on one line.', () => {
  const record = bury(EVERY_BYTE, 7);
  const encoded = Buffer.from(encodeRecord(record), 'utf8');
  assert.equal(encoded.indexOf('\n'), encoded.length - 1);
  assert.deepEqual(decodeRecord(encoded.subarray(0, -1)), record);
});

test('A line in which any bit was flipped is not whole.', () => {
  const whole = Buffer.from(encodeRecord(bury('ab', 1)), 'utf8').subarray(0, -1);
  for (let at = 0; at < whole.length * 8; at++) {
    const flipped = Buffer.from(whole);
    flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
    assert.equal(decodeRecord(flipped), undefined, `bit ${at}`);
  }
});

test('A record of another version is refused with the remedy, never skipped.', () => {
  assert.throws(() => decodeRecord(Buffer.from(line('{"type":"teleport","sequence":1}').trim())), {
    kind: 'unsupported',
    message: /records of type teleport, .* start the one that wrote it again/,
  });
  assert.throws(() => decodeRecord(Buffer.from(line('{"type":"start","sequence":0,"version":2}').trim())), { kind: 'unsupported' });
});

test('Replay tells a torn tail from damage in the middle, and applies every whole record of both.', () => {
  const [one, two] = [encodeRecord(bury('one', 1)), encodeRecord(bury('two', 2))];
  const seen: number[] = [];
  const note = (record: SpoolRecord): void => void seen.push(record.sequence);
  const torn = replayJournal(Buffer.from(`${one}${two.slice(0, 20)}`), note);
  assert.deepEqual(torn, { records: 1, wholeBytes: one.length, tornTailBytes: 20, damagedLines: 0 });
  const damaged = replayJournal(Buffer.from(`${one}rubbish\n${two}`), note);
  assert.deepEqual(damaged, { records: 2, wholeBytes: one.length + 8 + two.length, tornTailBytes: 0, damagedLines: 1 });
  assert.deepEqual(seen, [1, 1, 2]);
});
