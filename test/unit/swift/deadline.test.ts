import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import { Deadline } from '../../../src/swift/requests/deadline.js';
import { RunningRequests } from '../../../src/swift/requests/running-requests.js';
import { FakeClock } from '../../helpers/clock.js';

void describe('deadline', () => {
  void test('any number of calls under one signal is no leak, and each leaves it when it ends', () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    const calls = Array.from({ length: 40 }, () => new Deadline(SYSTEM_CLOCK, 60_000, 60_000, signal));
    assert.equal(getEventListeners(signal, 'abort').length, 40);
    for (const call of calls) call.close();
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    process.off('warning', onWarning);
    assert.deepEqual(warnings, []);
  });

  void test('a caller that gives up reaches its own calls only', () => {
    const [mine, other] = [new AbortController(), new AbortController()];
    const calls = [mine, other].map(({ signal }) => new Deadline(SYSTEM_CLOCK, 60_000, 60_000, signal));
    mine.abort();
    assert.deepEqual(calls.map((call) => call.signal.aborted), [true, false]); // prettier-ignore
    for (const call of calls) call.close();
  });
});

void describe('running requests', () => {
  void test('it is silence when none of them has a byte either way, and long work of Swift does not count', async () => {
    const clock = new FakeClock();
    const running = new RunningRequests(clock);
    assert.equal(running.stalledMs, 0);
    const copy = running.start('COPY', 'expected');
    await clock.advance(30_000);
    assert.equal(running.stalledMs, 0);
    const [get, put] = [running.start('GET'), running.start('PUT')];
    await clock.advance(3000);
    put.moved();
    assert.equal(running.stalledMs, 0);
    await clock.advance(500);
    assert.equal(running.stalledMs, 500);
    get.ended();
    assert.equal(running.stalledMs, 500);
    put.ended();
    copy.moved();
    copy.ended();
    assert.equal(running.stalledMs, 0);
    assert.deepEqual(running.counts, { COPY: 1, GET: 1, PUT: 1 });
  });
});
