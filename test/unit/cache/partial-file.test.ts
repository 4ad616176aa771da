import assert from 'node:assert/strict';
import { closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { PartialFile } from '../../../src/cache/partial-file.js';
import { makeBlob } from '../../helpers/blobs.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const MIB = 1 << 20;

test('What was received can be read at any time, in the file already or not.', async () => {
  const directory = tempDir('partial');
  const { content } = makeBlob(1, 3 * MIB);
  let files = 0;
  const cuts = fc.array(fc.integer({ min: 1, max: 700_000 }), { minLength: 1, maxLength: 12 });
  const places = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
    minLength: 12,
  });
  try {
    await fc.assert(
      fc.asyncProperty(cuts, places, fc.boolean(), async (sizes, ranges, isSmall) => {
        const path = join(directory, String(++files));
        const whole = content.subarray(
          0,
          Math.min(
            content.length,
            sizes.reduce((sum, size) => sum + size, 0),
          ),
        );
        const expectedBytes = isSmall ? 1 : whole.length;
        const options = { path, expectedBytes, makeFolders: () => undefined, onUnwritable: (error: unknown) => assert.fail(String(error)) };
        const file = new PartialFile(options);
        for (const [index, size] of sizes.entries()) {
          const start = file.receivedBytes;
          const appending = file.append(whole.subarray(start, start + size));
          const received = file.receivedBytes;
          const [from, to] = (ranges[index] ?? [0, 1]).map((part) => Math.floor(part * received)).sort((a, b) => a - b) as [number, number];
          const reading = file.read(from, to - from);
          await appending;
          assert.deepEqual(Buffer.from(await reading), whole.subarray(from, to));
        }
        await file.finish();
        const fd = file.take();
        assert.deepEqual(readFileSync(fd), whole);
        closeSync(fd);
      }),
      { numRuns: 60 },
    );
  } finally {
    removeDir(directory);
  }
});
