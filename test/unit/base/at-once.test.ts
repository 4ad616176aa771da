import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { forEachAtOnce, runAtOnce } from '../../../src/base/at-once.js';
import { settle } from '../../helpers/clock.js';

void describe('work on many things', () => {
  void test('all of it is done, in order, and no more at once than allowed', async () => {
    let running = 0;
    let most = 0;
    const begun: number[] = [];
    await runAtOnce(10, 3, undefined, async (index) => {
      begun.push(index);
      most = Math.max(most, ++running);
      await settle(1);
      running--;
    });
    assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(most, 3);
    await runAtOnce(0, 3, undefined, () => assert.fail('nothing to do'));
  });

  void test('the first failure stops the others, and is thrown when they have ended', async () => {
    const ended: number[] = [];
    const stopped: number[] = [];
    const work = async (index: number, signal: AbortSignal): Promise<void> => {
      signal.addEventListener('abort', () => stopped.push(index));
      await settle(index + 1);
      ended.push(index);
      if (index === 1) throw new Error('the second fails');
    };
    await assert.rejects(runAtOnce(50, 3, undefined, work), /the second fails/);
    assert.deepEqual(ended, [0, 1, 2, 3].slice(0, ended.length));
    assert.ok(ended.includes(2), 'the third was waited for');
    assert.ok(stopped.includes(2));
  });

  void test('the caller’s signal reaches the work', async () => {
    const caller = new AbortController();
    const reached = new Promise<void>((resolve) => {
      void runAtOnce(1, 1, caller.signal, (_index, signal) => {
        signal.addEventListener('abort', () => resolve());
        return Promise.resolve();
      });
    });
    caller.abort();
    await reached;
  });

  void test('each item is worked on once, no more at once than allowed, and a failure of one does not stop the others', async () => {
    let running = 0;
    let most = 0;
    const done: string[] = [];
    const work = async (item: string): Promise<void> => {
      most = Math.max(most, ++running);
      await settle(1);
      running--;
      if (item === 'b') throw new Error('b fails');
      done.push(item);
    };
    await forEachAtOnce([], 3, work);
    await assert.rejects(forEachAtOnce(new Set(['a', 'b', 'c', 'd', 'e']), 2, work), /b fails/);
    await settle(5);
    assert.deepEqual(done, ['a', 'c', 'd', 'e']);
    assert.equal(most, 2);
  });
});
