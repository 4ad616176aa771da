/** Downloads of small blobs: the file is prepared beside the question, and written behind the answer to its readers. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FillSource } from '../../../src/cache/cache.js';
import { makeBlob } from '../../helpers/blobs.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { ABSENT, bytesOfFile, GoodSource, keyOf, open, PATIENT, until } from './caches.js';

const MIB = 1024 * 1024;

test('The file is made while the source is asked, and goes when that has another length or nothing.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = makeBlob(1, 1000);
  const files = (): string[] => readdirSync(join(directory, 'v1', 'tmp'));
  const asked = (answer: FillSource['open'], expectedBytes: number): FillSource => ({
    description: 'slow',
    expectedBytes,
    open: async (start, signal) => {
      await until(() => files().length === 1);
      return answer(start, signal);
    },
  });
  const good = new GoodSource(blob.content);
  const none = cache.fill(keyOf(blob), [asked(() => Promise.resolve(undefined), 1000)], PATIENT);
  await assert.rejects(none.whole, { kind: 'not-found' });
  assert.deepEqual(files(), []);
  for (const expectedBytes of [1000, 999]) {
    const file = await cache.fill(keyOf(blob), [asked((start) => good.open(start), expectedBytes)], PATIENT).whole;
    assert.deepEqual(await bytesOfFile(file), blob.content);
    file.close();
    assert.deepEqual(files(), []);
    cache.forget(keyOf(blob));
  }
  await cache.close();
});

test('A small object is given to its readers before its file is written, a wrong or a large one is not.', async () => {
  let write = (): void => undefined;
  const written = new Promise<void>((resolve) => (write = resolve));
  const clock = { nowMs: () => Date.now(), sleep: () => written };
  const cache = await open(tempDir('cache'), { clock });
  const [small, large, wrong] = [makeBlob(1, 1000), makeBlob(2, 2 * MIB), makeBlob(3, 1000)];
  const fill = cache.fill(keyOf(small), [new GoodSource(small.content)], PATIENT);
  assert.deepEqual(Buffer.from((await fill.verifiedBytes) ?? assert.fail('none')), small.content);
  assert.ok(!cache.has(keyOf(small)));
  const second = cache.fill(keyOf(small), [ABSENT], PATIENT);
  assert.deepEqual(Buffer.from((await second.verifiedBytes) ?? assert.fail('none')), small.content);
  fill.leave();
  second.leave();
  assert.equal(await cache.fill(keyOf(large), [new GoodSource(large.content)], PATIENT).verifiedBytes, undefined);
  await assert.rejects(cache.fill(keyOf(wrong), [new GoodSource(small.content)], PATIENT).verifiedBytes, { kind: 'corrupt' });
  write();
  await until(() => cache.has(keyOf(small)));
  const file = await cache.open(keyOf(small));
  assert.deepEqual(file && (await bytesOfFile(file)), small.content);
  file?.close();
  await cache.close();
});

test('The files of small blobs that their readers have are written one by one, each while the answer to a later question is awaited.', async () => {
  const clock = { nowMs: () => Date.now(), sleep: () => new Promise<void>(() => undefined) };
  const cache = await open(tempDir('cache'), { clock });
  const read = [makeBlob(1, 1000), makeBlob(2, 1000)];
  for (const blob of read) {
    // Answered at once: there is no time for anything else.
    const fill = cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT);
    assert.deepEqual(Buffer.from((await fill.verifiedBytes) ?? assert.fail()), blob.content);
    fill.leave();
  }
  assert.deepEqual(
    read.map((blob) => cache.has(keyOf(blob))),
    [false, false],
  );
  const answers: (() => void)[] = [];
  for (const at of [1, 2]) {
    const later = makeBlob(2 + at, 1000);
    const answered = new Promise<void>((resolve) => answers.push(resolve));
    const source: FillSource = {
      description: 'slow',
      open: async (start) => answered.then(() => new GoodSource(later.content).open(start)),
    };
    cache.fill(keyOf(later), [source], PATIENT);
    await until(() => cache.statistics.files === at);
    assert.ok(cache.has(keyOf(read[at - 1] ?? assert.fail())));
  }
  for (const answer of answers) answer();
  await cache.close();
});

test('However many small blobs have been read and wait for their file, each is asked for once.', async () => {
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    Promise.race([held, new Promise<void>((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('given up'))))]);
  const cache = await open(tempDir('cache'), { clock: { nowMs: () => Date.now(), sleep } });
  const reads = Array.from({ length: 8 }, (_, at) => ({
    blob: makeBlob(at + 1, 1000),
    source: new GoodSource(makeBlob(at + 1, 1000).content),
  }));
  for (const again of [1, 2])
    for (const { blob, source } of reads) {
      const fill = cache.fill(keyOf(blob), [source], PATIENT);
      assert.deepEqual(Buffer.from((await fill.verifiedBytes) ?? assert.fail()), blob.content, `read ${again}`);
      fill.leave();
    }
  goOn();
  await until(() => cache.statistics.files === reads.length);
  assert.deepEqual(
    reads.map(({ source }) => source.asked),
    reads.map(() => [0]),
  );
  await cache.close();
});
