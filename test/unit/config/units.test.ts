import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSize, parseDurationMs, parseMode, parseSizeBytes } from '../../../src/config/units.js';

test('durations carry their unit', () => {
  assert.equal(parseDurationMs('400ms'), 400);
  assert.equal(parseDurationMs('10s'), 10_000);
  assert.equal(parseDurationMs('1.5m'), 90_000);
  assert.equal(parseDurationMs('2h'), 7_200_000);
  assert.equal(parseDurationMs('14d'), 14 * 86_400_000);
  assert.equal(parseDurationMs('0'), 0);
  for (const wrong of ['10', '', 's', '-1s', '10 seconds', '1e3s', 'constructor', '99999999999999999d'])
    assert.equal(parseDurationMs(wrong), undefined, wrong);
});

test('sizes carry their unit, and MB is not MiB', () => {
  assert.equal(parseSizeBytes('64MiB'), 64 * 2 ** 20);
  assert.equal(parseSizeBytes('10GB'), 10e9);
  assert.equal(parseSizeBytes('1.5 KiB'), 1536);
  assert.equal(parseSizeBytes('100B'), 100);
  for (const wrong of ['64', '64M', 'MiB', '-1B', '10XB']) assert.equal(parseSizeBytes(wrong), undefined, wrong);
});

test('modes are octal', () => {
  assert.equal(parseMode('022'), 0o022);
  assert.equal(parseMode('0644'), 0o644);
  assert.equal(parseMode('0o755'), 0o755);
  assert.equal(parseMode('7'), 7);
  for (const wrong of ['8', '1777', 'rwx', '']) assert.equal(parseMode(wrong), undefined, wrong);
});

test('sizes are shown in the largest unit that fits', () => {
  assert.equal(formatSize(0), '0 B');
  assert.equal(formatSize(1536), '1.5 KiB');
  assert.equal(formatSize(10 * 2 ** 30), '10 GiB');
});
