import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestBody, segmentRanges } from '../../../src/swift/objects/body-digests.js';
import { blobOf, bytesOf } from '../../helpers/blobs.js';
import { bodyOf, streamedBodyOf } from '../../helpers/store-bytes.js';

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
