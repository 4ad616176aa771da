import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetrySchedule } from '../../../src/filestore/retry-schedule.js';

const all = (): boolean => true;

test('What Swift refused is a problem at once; what could not be asked, when it has been tried for a while.', () => {
  const retries = new RetrySchedule();
  for (let tries = 0; tries < 4; tries++) retries.failed('publish a', '503', 'outage');
  assert.equal(retries.problem, undefined);
  retries.failed('publish a', '503', 'outage');
  assert.equal(retries.problem, '503');
  retries.succeeded('publish a');
  assert.equal(retries.problem, undefined);
  retries.failed('publish b', '403', 'refusal');
  assert.equal(retries.problem, '403');
});

test('When one that failed in an outage succeeds, the others that did are due; what was refused goes on waiting.', () => {
  const retries = new RetrySchedule();
  for (const work of ['publish a', 'publish b']) for (let tries = 0; tries < 6; tries++) retries.failed(work, '503', 'outage');
  retries.failed('publish c', '403', 'refusal');
  assert.deepEqual(
    ['publish a', 'publish b', 'publish c'].map((work) => retries.isDue(work)),
    [false, false, false],
  );
  retries.succeeded('publish a');
  assert.ok(retries.isDue('publish b'));
  assert.ok(!retries.isDue('publish c'));
  assert.notEqual(retries.nextMs(all), Infinity);
  assert.equal(
    retries.nextMs((work) => !work.startsWith('publish ')),
    Infinity,
  );
});

test('One object that Swift does not take is a problem when that lasts, and waits on when others are taken.', () => {
  const retries = new RetrySchedule();
  for (let tries = 0; tries < 4; tries++) retries.failed('publish a', '503', 'failure');
  assert.equal(retries.problem, undefined);
  retries.failed('publish a', '503', 'failure');
  assert.equal(retries.problem, '503');
  retries.failed('publish b', 'reset', 'outage');
  retries.succeeded('publish b');
  assert.ok(!retries.isDue('publish a'));
});

test('What need not be done any more is no problem any more.', () => {
  const retries = new RetrySchedule();
  retries.failed('publish a', '403', 'refusal');
  retries.failed('renew', '403', 'refusal');
  retries.keepOwed((work) => work === 'renew');
  retries.succeeded('renew');
  assert.equal(retries.problem, undefined);
  assert.equal(retries.nextMs(all), Infinity);
});
