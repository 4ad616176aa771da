/** What is read from /proc: pending signals, holders. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { urgencyFromStatus, urgencyOf } from '../../../src/fuse/client-signals.js';
import { describeHolders, findHolders } from '../../../src/fuse/mount-holders.js';

const status = (fields: {
  pending?: number[];
  shared?: number[];
  blocked?: number[];
  ignored?: number[];
  caught?: number[];
  state?: string;
}): string => {
  const mask = (signals: number[] = []): string =>
    signals
      .reduce((sum, signal) => sum | (1n << BigInt(signal - 1)), 0n)
      .toString(16)
      .padStart(16, '0');
  return [
    'Name:\tpython3',
    `State:\t${fields.state ?? 'D (disk sleep)'}`,
    `SigPnd:\t${mask(fields.pending)}`,
    `ShdPnd:\t${mask(fields.shared)}`,
    `SigBlk:\t${mask(fields.blocked)}`,
    `SigIgn:\t${mask(fields.ignored)}`,
    `SigCgt:\t${mask(fields.caught)}`,
  ].join('\n');
};

test('a pending SIGKILL is fatal, also when it is pending for the whole process', () => {
  assert.equal(urgencyFromStatus(status({ pending: [9] })), 'fatal');
  assert.equal(urgencyFromStatus(status({ shared: [9], caught: [15] })), 'fatal');
});

test('SIGTERM is fatal without a handler, a wish to stop with one, nothing when blocked', () => {
  assert.equal(urgencyFromStatus(status({ shared: [15] })), 'fatal');
  assert.equal(urgencyFromStatus(status({ shared: [15], caught: [15] })), 'wants-out');
  assert.equal(urgencyFromStatus(status({ shared: [15], blocked: [15] })), 'none');
});

test('timers, children, a resized window and job control are nothing', () => {
  assert.equal(urgencyFromStatus(status({ shared: [14, 17, 28, 20, 64], caught: [14, 64] })), 'none');
  assert.equal(urgencyFromStatus(status({})), 'none');
});

test('a dead process is fatal, one that cannot be looked at is unknown', () => {
  assert.equal(urgencyFromStatus(status({ state: 'Z (zombie)' })), 'fatal');
  assert.equal(urgencyOf(0), 'unknown');
  assert.equal(urgencyOf(process.pid), 'none');
  assert.equal(urgencyOf(2 ** 22 + 7), 'fatal');
});

test('a process is found by its working directory, and named', async () => {
  const holders = await findHolders(process.cwd(), -1);
  const own = holders.find((holder) => holder.pid === process.pid);
  assert.equal(own?.how, 'cwd');
  assert.match(describeHolders([own], 1), new RegExp(`^${process.pid} \\(.+, cwd on .+\\)$`));
  assert.match(describeHolders([own, own, own], 1), / and 2 more$/);
});
