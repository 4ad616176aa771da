/** What the cache keeps and what goes: the floor, the budget, and what was deleted. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Blob } from '../../helpers/blobs.js';
import { makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { bytesOfFile, GatedSource, GoodSource, keyOf, open, PATIENT, put, until } from './caches.js';

function pathOf(directory: string, blob: Blob): string {
  return join(directory, 'v1', blob.sha1.slice(0, 2), keyOf(blob));
}

test('Below the floor of free disk nothing is cached and everything is served.', async () => {
  const log = new LogGuard();
  log.expect(/^WARN cache\.unwritable.*cache_floor/);
  const cache = await open(tempDir('cache'), { floorBytes: Number.MAX_SAFE_INTEGER, log: log.log() });
  const blob = makeBlob(1);
  const file = await cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), blob.content);
  file.close();
  assert.equal(cache.statistics.files, 0);
  log.assertQuiet();
  await cache.close();
});

test('Over budget the least recently used go, down to the low-water mark, and what is open stays.', async () => {
  const cache = await open(tempDir('cache'), { budgetBytes: 10_000 });
  const blobs = Array.from({ length: 11 }, (_, seed) => makeBlob(seed, 1000));
  const [pinned, used] = blobs as [Blob, Blob];
  await put(cache, pinned);
  const open0 = await cache.open(keyOf(pinned));
  for (const blob of blobs.slice(1, 10)) await put(cache, blob);
  (await cache.open(keyOf(used)))?.close();
  await put(cache, blobs[10] as Blob);
  await until(() => cache.statistics.bytes <= 9000);
  assert.deepEqual(
    blobs.map((blob) => cache.has(keyOf(blob))),
    blobs.map((_, index) => index !== 2 && index !== 3),
  );
  open0?.close();
  await cache.close();
});

test('A blob larger than the budget is served while it is open and goes after.', async () => {
  const cache = await open(tempDir('cache'), { budgetBytes: 1000 });
  const blob = makeBlob(1);
  const file = await cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), blob.content);
  file.close();
  await until(() => cache.statistics.files === 0);
  await cache.close();
});

test('What is forgotten is gone at once; who has it open reads on.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = makeBlob(1);
  await put(cache, blob);
  const file = await cache.open(keyOf(blob));
  cache.forget(keyOf(blob));
  assert.ok(!existsSync(pathOf(directory, blob)));
  assert.equal(await cache.open(keyOf(blob)), undefined);
  assert.deepEqual(file && (await bytesOfFile(file)), blob.content);
  file?.close();
  cache.forget(keyOf(blob));
  await cache.close();
});

test('A blob that is deleted while it is downloaded is given to its readers and not kept.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = makeBlob(1);
  const source = new GatedSource(blob.content);
  const fill = cache.fill(keyOf(blob), [source], PATIENT);
  await fill.totalBytes;
  cache.forget(keyOf(blob));
  source.give(0, 0, blob.content.length);
  const file = await fill.whole;
  assert.deepEqual(await bytesOfFile(file), blob.content);
  file.close();
  assert.equal(await cache.open(keyOf(blob)), undefined);
  assert.ok(!existsSync(pathOf(directory, blob)));
  await cache.close();
});
