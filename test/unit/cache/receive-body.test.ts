import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { mock, test } from 'node:test';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import { receiveBody } from '../../../src/cache/receive-body.js';

const CHUNK = Buffer.alloc(64 * 1024);

/** Some turns of the loop, which no mocked timer is needed for. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('A slow cache disk ends no download, and a body that trickles once the disk has caught up is ended.', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.after(() => mock.timers.reset());
  let written = (): void => assert.fail('nothing is being written');
  const disk = {
    receivedBytes: 0,
    append: (data: Uint8Array): Promise<void> => {
      disk.receivedBytes += data.length;
      return new Promise((resolve) => (written = resolve));
    },
  };
  const body = new Readable({ read: () => undefined });
  let broken: unknown;
  const received = receiveBody(body, disk, {
    key: `sha1-${'0'.repeat(40)}`,
    totalBytes: 10 * CHUNK.length,
    hash: createHash('sha1'),
    onReceived: () => undefined,
    signal: new AbortController().signal,
  }).then((error) => (broken = error));
  for (let i = 1; i <= 3; i++) {
    body.push(CHUNK);
    await settle();
    assert.equal(disk.receivedBytes, i * CHUNK.length);
    // As if two times had been looked while the disk was at it, and once right after.
    mock.timers.tick(19_900);
    written();
    await settle();
    mock.timers.tick(200);
    await settle();
    assert.equal(broken, undefined);
  }
  mock.timers.tick(10_000);
  await received;
  assert.equal(kindOf(broken), 'unavailable');
  assert.match(messageOf(broken), /brought 0 bytes in 10000 ms/);
  assert.equal(body.destroyed, true);
});
