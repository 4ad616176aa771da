import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runAtOnce } from '../../../src/swift/objects/at-once.js';
import { digestBody, segmentRanges } from '../../../src/swift/objects/body-digests.js';
import { blobOf, bytesOf } from '../../helpers/blobs.js';
import { settle } from '../../helpers/clock.js';
import { bodyOf, streamedBodyOf } from '../../helpers/store-bytes.js';

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
});

void describe('digests of a body', () => {
  void test('the whole and each segment have their MD5, from memory and from a stream', async () => {
    const bytes = bytesOf(1, 250_001);
    const ranges = segmentRanges(bytes.length, 100_000);
    assert.deepEqual(ranges.map(({ start, end }) => end - start), [100_000, 100_000, 50_001]); // prettier-ignore
    const { signal } = new AbortController();
    for (const body of [bodyOf(bytes), streamedBodyOf(bytes)]) {
      const { whole, segments } = await digestBody(body, ranges, signal);
      assert.equal(whole, blobOf(bytes).md5);
      assert.deepEqual(segments, ranges.map(({ start, end }) => blobOf(bytes.subarray(start, end)).md5)); // prettier-ignore
    }
    await assert.rejects(digestBody(bodyOf(bytes), ranges, AbortSignal.abort()), /given up/);
  });
});
