import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { FilestoreError } from '../../../src/base/errors.js';
import type { OpenedCache } from '../../../src/cache/blob-cache.js';
import type { Fill, FillSource } from '../../../src/cache/cache.js';
import { makeBlob, type Blob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { ABSENT, bytesOfFile, chunksOf, GatedSource, GoodSource, keyOf, open, PATIENT, until } from './caches.js';

const MIB = 1024 * 1024;

test('One download however many ask, and each gets the file.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1);
  const source = new GoodSource(blob.content);
  const fills = Array.from({ length: 10 }, () => cache.fill(keyOf(blob), [source], PATIENT));
  for (const file of await Promise.all(fills.map((fill) => fill.whole))) {
    assert.deepEqual(await bytesOfFile(file), blob.content);
    file.close();
  }
  assert.deepEqual(source.asked, [0]);
  await cache.close();
});

test('A body that breaks off is taken up where it ended.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1, 300_000);
  const asked: number[] = [];
  const source: FillSource = {
    description: 'breaks',
    open: (startByte) => {
      asked.push(startByte);
      let given = startByte;
      const body = new Readable({
        read() {
          if (given >= startByte + 100_000) this.destroy(new Error('reset'));
          else this.push(blob.content.subarray(given, (given += 50_000)));
        },
      });
      return Promise.resolve({ body, totalBytes: blob.content.length });
    },
  };
  const file = await cache.fill(keyOf(blob), [source], PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), blob.content);
  assert.equal(asked[0], 0);
  assert.ok(asked.length >= 3 && asked.slice(1).every((at) => at > 0));
  file.close();
  await cache.close();
});

test('A source with wrong bytes is named in the log and the next one is asked.', async () => {
  const log = new LogGuard();
  log.expect(/^WARN cache\.fill-wrong-hash .*source=bad/);
  const cache = await open(tempDir('cache'), { log: log.log() });
  const blob = makeBlob(1);
  const sources = [ABSENT, new GoodSource(makeBlob(2).content, 'bad'), new GoodSource(blob.content)];
  const file = await cache.fill(keyOf(blob), sources, PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), blob.content);
  file.close();
  assert.ok(log.has(/fill-wrong-hash/));
  log.assertQuiet();
  await cache.close();
});

test('What a gateway has packed in spite of us is told as that, and not as damage alone.', async () => {
  for (const sizeBytes of [1000, 2 * MIB]) {
    const log = new LogGuard();
    log.expect(/^WARN cache\.fill-wrong-hash .*they begin as gzip does: .*Content-Encoding.*remove nothing/);
    const cache = await open(tempDir('cache'), { log: log.log() });
    const blob = makeBlob(1, sizeBytes);
    await assert.rejects(cache.fill(keyOf(blob), [new GoodSource(gzipSync(blob.content))], PATIENT).whole, { kind: 'corrupt' });
    assert.ok(log.has(/fill-wrong-hash/));
    log.assertQuiet();
    await cache.close();
  }
});

const AWAY: FillSource = { description: 'away', open: () => Promise.reject(new FilestoreError('unavailable', 'no answer')) };
for (const [what, kind, sources] of [
  ['every source says no', 'not-found', () => [ABSENT, ABSENT]],
  ['one of them cannot be asked', 'unavailable', () => [ABSENT, AWAY]],
  ['one has wrong bytes and the others say no', 'corrupt', () => [new GoodSource(makeBlob(2).content), ABSENT]],
  ['one has bytes of another size', 'corrupt', () => [new GoodSource(makeBlob(2, 10).content), ABSENT]],
] as const satisfies readonly (readonly [string, string, () => FillSource[]])[]) {
  test(`A fill is ${kind} when ${what}, and nothing is left of it.`, async () => {
    const directory = tempDir('cache');
    const cache = await open(directory);
    const fill = cache.fill(keyOf(makeBlob(1)), sources(), PATIENT);
    await assert.rejects(fill.whole, { kind });
    fill.leave();
    assert.deepEqual(readdirSync(join(directory, 'v1', 'tmp')), []);
    assert.equal(cache.statistics.files, 0);
    await cache.close();
  });
}

test('A source that gives no byte is given up after a few attempts.', async () => {
  const cache = await open(tempDir('cache'));
  let openings = 0;
  const source: FillSource = {
    description: 'empty',
    open: () => Promise.resolve({ body: Readable.from([]), totalBytes: ++openings > 0 ? 100 : 0 }),
  };
  await assert.rejects(cache.fill(keyOf(makeBlob(1)), [source], PATIENT).whole, { kind: 'unavailable', message: /empty broke off/ });
  assert.equal(openings, 3);
  await cache.close();
});

/** A fill whose source has answered, and whose bytes come when the test gives them. */
async function begun(sizeBytes: number): Promise<{ cache: OpenedCache; blob: Blob; source: GatedSource; fill: Fill }> {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1, sizeBytes);
  const source = new GatedSource(blob.content);
  const fill = cache.fill(keyOf(blob), [source], PATIENT);
  await fill.totalBytes;
  return { cache, blob, source, fill };
}

test('Parts are read while the rest is still coming.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1, 4 * MIB);
  const source = new GatedSource(blob.content);
  const fill = cache.fill(keyOf(blob), [source], PATIENT);
  assert.equal(await fill.totalBytes, blob.content.length);
  source.give(0, 0, MIB);
  assert.deepEqual(Buffer.from(await fill.readPart(1000, 5000, PATIENT)), blob.content.subarray(1000, 6000));
  const waiting = fill.readPart(2 * MIB - 10, 20, PATIENT);
  const end = fill.readPart(4 * MIB - 10, 100, PATIENT);
  source.give(0, MIB, 4 * MIB);
  assert.deepEqual(Buffer.from(await waiting), blob.content.subarray(2 * MIB - 10, 2 * MIB + 10));
  assert.deepEqual(Buffer.from(await end), blob.content.subarray(4 * MIB - 10));
  assert.equal((await fill.readPart(4 * MIB, 10, PATIENT)).length, 0);
  const file = await fill.whole;
  assert.deepEqual(Buffer.from(await fill.readPart(0, 10, PATIENT)), blob.content.subarray(0, 10));
  file.close();
  assert.deepEqual(source.asked, [0]);
  await cache.close();
});

test('The last bytes wait until all are verified.', async () => {
  const log = new LogGuard();
  log.expect(/^WARN cache\.fill-wrong-hash /);
  const cache = await open(tempDir('cache'), { log: log.log() });
  const blob = makeBlob(1, MIB);
  const source = new GatedSource(makeBlob(2, MIB).content);
  const fill = cache.fill(keyOf(blob), [source], PATIENT);
  const [body] = [await fill.totalBytes].map(() => source.bodies[0]);
  // All bytes, and not yet the end of the body, which is when they are looked at.
  for (const chunk of chunksOf(makeBlob(2, MIB).content)) body?.push(chunk);
  assert.equal((await fill.readPart(0, MIB - 1, PATIENT)).length, MIB - 1);
  const end = fill.readPart(MIB - 10, 10, PATIENT);
  const later = new Promise((resolve) => setTimeout(resolve, 50, 'not yet'));
  assert.equal(await Promise.race([end, later]), 'not yet');
  body?.push(null);
  await assert.rejects(end, { kind: 'corrupt' });
  fill.leave();
  await cache.close();
});

test('A reader that jumps far ahead gets a request of its own, and reads on there, also a little out of order.', async () => {
  const { cache, blob, source, fill } = await begun(12 * MIB);
  const far = 10 * MIB;
  const later = fill.readPart(far, 1000, PATIENT);
  await until(() => source.asked.length === 2);
  assert.deepEqual(source.asked, [0, far]);
  source.give(1, far, 12 * MIB);
  assert.deepEqual(Buffer.from(await later), blob.content.subarray(far, far + 1000));
  for (const at of [far + MIB, far + 1000, 12 * MIB - 500]) {
    const length = Math.min(1000, 12 * MIB - at);
    assert.deepEqual(Buffer.from(await fill.readPart(at, length, PATIENT)), blob.content.subarray(at, at + length));
  }
  assert.equal(source.asked.length, 2);
  source.give(0, 0, 12 * MIB);
  const file = await fill.whole;
  file.close();
  await cache.close();
});

test('A reader far ahead whose body trickles is read to by another one, and the download goes on.', async () => {
  const { cache, blob, source, fill } = await begun(12 * MIB);
  let given = 0;
  const coming = setInterval(() => source.give(0, given, (given += 8192)), 1_000);
  const far = 10 * MIB;
  const part = fill.readPart(far, 1000, PATIENT);
  await until(() => source.asked.length === 2);
  source.give(1, far, far + 10);
  await until(() => source.asked.length === 3);
  clearInterval(coming);
  assert.deepEqual(source.asked, [0, far, far]);
  assert.equal(source.bodies[1]?.destroyed, true);
  source.give(2, far, 11 * MIB);
  assert.deepEqual(Buffer.from(await part), blob.content.subarray(far, far + 1000));
  fill.leave();
  await cache.close();
});

test('A request of a reader far ahead ends when nobody has read from it for a while, and is made anew when somebody does.', async () => {
  const { cache, blob, source, fill } = await begun(12 * MIB);
  const far = 10 * MIB;
  for (const opening of [1, 2]) {
    const part = fill.readPart(far, 1000, PATIENT);
    await until(() => source.asked.length === opening + 1);
    source.give(opening, far, 11 * MIB);
    assert.deepEqual(Buffer.from(await part), blob.content.subarray(far, far + 1000));
    assert.equal(source.bodies[opening]?.destroyed, false);
    await until(() => source.bodies[opening]?.destroyed === true);
  }
  assert.equal(source.bodies[0]?.destroyed, false);
  fill.leave();
  await cache.close();
});

test('A stream whose end shows a wrong hash fails every later read and is not kept.', async () => {
  const log = new LogGuard();
  log.expect(/cache\.fill-wrong-hash/);
  const cache = await open(tempDir('cache'), { log: log.log() });
  const [blob, wrong] = [makeBlob(1, 2 * MIB), makeBlob(2, 2 * MIB)];
  const source = new GatedSource(wrong.content);
  const good = new GoodSource(blob.content);
  const fill = cache.fill(keyOf(blob), [source, good], PATIENT);
  await fill.totalBytes;
  source.give(0, 0, MIB);
  await fill.readPart(0, 10, PATIENT);
  source.give(0, MIB, 2 * MIB);
  await assert.rejects(fill.whole, { kind: 'corrupt' });
  await assert.rejects(fill.readPart(0, 10, PATIENT), { kind: 'corrupt' });
  fill.leave();
  assert.deepEqual(good.asked, [], 'bytes of two sources are not mixed before a reader');
  assert.equal(cache.has(keyOf(blob)), false);
  await cache.close();
});

test('A reader that gives up stops waiting; the download goes on for the others and ends with the last.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1, MIB);
  const source = new GatedSource(blob.content);
  const [one, two] = [new AbortController(), new AbortController()];
  const fills = [cache.fill(keyOf(blob), [source], one.signal), cache.fill(keyOf(blob), [source], two.signal)] as const;
  const [first, second] = fills.map((fill) => fill.whole) as [Promise<unknown>, Promise<unknown>];
  await fills[0].totalBytes;
  one.abort();
  await assert.rejects(first, { kind: 'interrupted' });
  assert.equal(source.bodies[0]?.destroyed, false);
  two.abort();
  await assert.rejects(second, { kind: 'interrupted' });
  await until(() => source.bodies[0]?.destroyed === true);
  await cache.close();
});

test('A stream that its last reader leaves ends in the background.', async () => {
  const { cache, blob, source, fill } = await begun(MIB);
  fill.leave();
  await assert.rejects(fill.readPart(0, 1, PATIENT), { kind: 'interrupted' });
  source.give(0, 0, MIB);
  await until(() => cache.has(keyOf(blob)));
  await cache.close();
});

test('Of streams that nobody reads any more four go on, those that are furthest; one that was given up is begun anew.', async () => {
  const cache = await open(tempDir('cache'));
  const streams = [5, 1, 4, 2, 6, 3].map((chunks, at) => {
    const blob = makeBlob(at + 1, MIB);
    const source = new GatedSource(blob.content);
    return { blob, source, chunks, fill: cache.fill(keyOf(blob), [source], PATIENT) };
  });
  for (const { source, chunks, fill } of streams) {
    await fill.totalBytes;
    source.give(0, 0, chunks * 64 * 1024);
    await until(() => fill.receivedBytes === chunks * 64 * 1024);
  }
  const [first] = streams;
  const reader = cache.fill(keyOf(first?.blob ?? assert.fail()), [first?.source ?? assert.fail()], PATIENT);
  for (const { fill } of streams) fill.leave();
  const goOn = (): number[] => streams.filter(({ source }) => source.bodies.at(-1)?.destroyed === false).map(({ chunks }) => chunks);
  await until(() => goOn().length === 5);
  assert.deepEqual(goOn(), [5, 4, 2, 6, 3], 'one of them is read still');
  reader.leave();
  await until(() => goOn().length === 4);
  assert.deepEqual(goOn(), [5, 4, 6, 3]);
  const { blob, source } = streams[1] ?? assert.fail();
  const again = cache.fill(keyOf(blob), [source], PATIENT);
  await until(() => source.bodies.length === 2);
  source.give(1, 0, MIB);
  (await again.whole).close();
  await cache.close();
});

test('An empty object is filled like any other.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1, 0);
  const file = await cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT).whole;
  assert.equal(file.sizeBytes, 0);
  file.close();
  await cache.close();
});

test('Closing the cache ends what is running.', async () => {
  const cache = await open(tempDir('cache'));
  const blob = makeBlob(1);
  const fill = cache.fill(keyOf(blob), [new GatedSource(blob.content)], PATIENT);
  const whole = assert.rejects(fill.whole, { kind: 'interrupted' });
  await fill.totalBytes;
  await cache.close();
  await whole;
});
