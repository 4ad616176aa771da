/** How far Swift's clock is ahead, as the dates of its answers show. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { ServerClock } from '../../../src/swift/requests/server-clock.js';
import { LogGuard } from '../../helpers/log-guard.js';

const NOON_MS = Date.UTC(2026, 2, 1, 12);

describe('the clock of Swift', () => {
  let log: LogGuard;
  let clock: ServerClock;
  beforeEach(() => {
    log = new LogGuard();
    clock = new ServerClock(log.log());
  });
  /** An answer of a server whose clock is ahead by so much, 20 ms on its way. */
  const hear = (aheadMs: number, atMs: number, headers: Record<string, string> = {}): void => {
    const date = new Date(Math.floor((atMs + 10 + aheadMs) / 1000) * 1000).toUTCString();
    clock.heard({ date, ...headers }, atMs, atMs + 20);
  };

  it('agrees with ours as long as its dates can be explained so', () => {
    assert.equal(clock.aheadMs, 0);
    for (let atMs = NOON_MS; atMs < NOON_MS + 20_000; atMs += 137) {
      hear(0, atMs);
      assert.equal(clock.aheadMs, 0);
    }
    log.assertQuiet();
  });

  it('is known to a few milliseconds after some answers, ahead or behind', () => {
    for (const aheadMs of [3_600_000, -3_600_000, -2_345]) {
      clock = new ServerClock(log.log());
      hear(aheadMs, NOON_MS);
      assert.ok(Math.abs(clock.aheadMs - aheadMs) <= 1_020);
      for (let atMs = NOON_MS; atMs < NOON_MS + 60_000; atMs += 137) hear(aheadMs, atMs);
      assert.ok(Math.abs(clock.aheadMs - aheadMs) <= 30, `${clock.aheadMs} for ${aheadMs}`);
    }
    log.expect(/^WARN clocks-differ swiftIsAheadMs=-?\d+ /);
    log.assertQuiet();
    assert.equal(log.lines.length, 2, 'the far ones are told, once');
  });

  it('is learnt anew when one of the two is set', () => {
    for (let atMs = NOON_MS; atMs < NOON_MS + 20_000; atMs += 137) hear(-90_000, atMs);
    hear(0, NOON_MS + 20_000);
    assert.equal(clock.aheadMs, 0);
    hear(-90_000, NOON_MS + 21_000);
    assert.equal(log.lines.length, 2, 'it is told again');
    log.expect(/^WARN clocks-differ/);
  });

  it('is not told by an answer without a date, nor by one of a cache', () => {
    clock.heard({}, NOON_MS, NOON_MS + 20);
    clock.heard({ date: 'yesterday' }, NOON_MS, NOON_MS + 20);
    hear(-90_000, NOON_MS, { age: '90' });
    assert.equal(clock.aheadMs, 0);
    log.assertQuiet();
  });
});
