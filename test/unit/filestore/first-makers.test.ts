/** Who finds a directory that another is making (docs/decisions/0015); what threads are doing is told by the test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemCallOf, type SystemCall } from '../../../src/base/system-call.js';
import { FirstMakers } from '../../../src/filestore/first-makers.js';

const [MAKER, OTHER, THIRD] = [101, 102, 103];

describe('first makers of a directory', () => {
  const withCalls = (calls: Map<number, SystemCall>): FirstMakers => new FirstMakers((pid) => Promise.resolve(calls.get(pid)));

  it('who asks alone is told "none", and makes it', async () => {
    const makers = withCalls(new Map([[MAKER, 'other']]));
    assert.equal(await makers.isBeingMade('ab', MAKER), false);
    assert.equal(await makers.isBeingMade('ab', MAKER), false);
    assert.equal(makers.isPromised('ab'), false);
    assert.equal(makers.isMaker('ab', MAKER), false);
  });

  it('who asks beside one that is then in mkdir is promised the directory, and only the maker is still told "none"', async () => {
    let looks = 0;
    const makers = new FirstMakers((pid) => Promise.resolve(pid !== MAKER ? 'other' : looks++ === 0 ? 'running' : 'mkdir'));
    await makers.isBeingMade('ab', MAKER);
    assert.equal(await makers.isBeingMade('ab', OTHER), true);
    assert.equal(makers.isPromised('ab'), true);
    assert.equal(await makers.isLookOfMaker('ab', THIRD), false);
    assert.equal(await makers.isLookOfMaker('ab', MAKER), true);
    assert.equal(makers.isMaker('ab', MAKER), true);
    assert.equal(makers.isMaker('ab', OTHER), false);
    makers.settled('ab');
    assert.equal(makers.isPromised('ab'), false);
  });

  it('a promise lasts for as long as its maker waits, and a little longer', async () => {
    const calls = new Map<number, SystemCall>([
      [MAKER, 'mkdir'],
      [OTHER, 'other'],
    ]);
    const makers = withCalls(calls);
    await makers.isBeingMade('ab', MAKER);
    assert.equal(await makers.isBeingMade('ab', OTHER), true);
    await delay(400);
    assert.equal(makers.isPromised('ab'), true);
    calls.set(MAKER, 'other');
    await delay(400);
    assert.equal(makers.isPromised('ab'), false);
  });

  it('nobody waits for one who makes nothing, or of whom nothing can be told: a while for the first, for all together', async () => {
    const calls = new Map<number, SystemCall>([[MAKER, 'other']]);
    for (let pid = 200; pid < 220; pid++) calls.set(pid, 'other');
    const makers = withCalls(calls);
    const startedMs = performance.now();
    await makers.isBeingMade('ab', MAKER);
    for (let pid = 200; pid < 220; pid++) assert.equal(await makers.isBeingMade('ab', pid), false);
    assert.ok(performance.now() - startedMs < 150, 'one after the other, in a while that is one for all');
    const blind = new FirstMakers(() => Promise.resolve(undefined));
    await blind.isBeingMade('ab', MAKER);
    const blindMs = performance.now();
    assert.equal(await blind.isBeingMade('ab', OTHER), false);
    assert.ok(performance.now() - blindMs < 20);
  });

  it('who makes a directory himself is not held', async () => {
    const makers = withCalls(
      new Map([
        [MAKER, 'other'],
        [OTHER, 'mkdir'],
      ]),
    );
    await makers.isBeingMade('ab', MAKER);
    assert.equal(await makers.isBeingMade('ab', OTHER), false);
    assert.equal(makers.isPromised('ab'), false);
  });

  it('a maker who is told that a promised directory is there makes none', async () => {
    const calls = new Map<number, SystemCall>([
      [MAKER, 'mkdir'],
      [OTHER, 'other'],
    ]);
    const makers = withCalls(calls);
    await makers.isBeingMade('ab', MAKER);
    await makers.isBeingMade('ab', OTHER);
    calls.set(MAKER, 'other');
    assert.equal(await makers.isLookOfMaker('ab', MAKER), false);
    assert.equal(makers.isMaker('ab', MAKER), false);
  });

  it('what a thread asks the kernel for is read from /proc', async () => {
    assert.equal(await systemCallOf(0), undefined);
    assert.equal(await systemCallOf(2 ** 22 + 1), undefined);
    assert.notEqual(await systemCallOf(process.pid), 'mkdir');
  });
});
