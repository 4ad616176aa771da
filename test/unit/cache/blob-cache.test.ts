import assert from 'node:assert/strict';
import {
  mkdirSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fingerprintAt } from '../../../src/cache/fingerprint.js';
import type { Blob } from '../../helpers/blobs.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { bytesOfFile, GoodSource, keyOf, open, PATIENT, put, until } from './caches.js';

function pathOf(directory: string, blob: Blob): string {
  return join(directory, 'v1', blob.sha1.slice(0, 2), keyOf(blob));
}

test('A blob that was filled is opened in the same turn, and by nobody else on the machine.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = makeBlob(1);
  await cache.found;
  assert.equal(cache.open(keyOf(blob)), undefined);
  await put(cache, blob);
  const file = cache.open(keyOf(blob));
  assert.ok(file !== undefined && !(file instanceof Promise));
  const again = cache.open(keyOf(blob));
  assert.ok(again !== undefined && !(again instanceof Promise));
  assert.equal(again.fd, file.fd);
  assert.throws(() => writeSync(file.fd, 'x'), { code: 'EBADF' }, 'it is open for reading only');
  assert.deepEqual(await bytesOfFile(file), blob.content);
  file.close();
  file.close();
  assert.deepEqual(await bytesOfFile(again), blob.content);
  again.close();
  assert.equal(statSync(pathOf(directory, blob)).mode & 0o777, 0o600);
  assert.equal(statSync(join(directory, 'v1')).mode & 0o777, 0o700);
  const { hits, misses, files, bytes } = cache.statistics;
  assert.deepEqual({ hits, misses, files, bytes }, { hits: 2, misses: 1, files: 1, bytes: blob.content.length });
  await cache.close();
});

test('After a restart a blob is hashed at its first open and known from then on.', async () => {
  const directory = tempDir('cache');
  const blob = makeBlob(1);
  const first = await open(directory);
  await put(first, blob);
  await first.found;
  await first.close();
  assert.ok(existsSync(join(directory, 'v1', 'index')));
  const cache = await open(directory);
  const opening = cache.open(keyOf(blob));
  assert.ok(opening instanceof Promise);
  const [file, same] = await Promise.all([opening, cache.open(keyOf(blob))]);
  assert.deepEqual(file && (await bytesOfFile(file)), blob.content);
  file?.close();
  same?.close();
  assert.ok(!(cache.open(keyOf(blob)) instanceof Promise));
  assert.ok(!existsSync(join(directory, 'v1', 'index')), 'an index is good for one start');
  await cache.close();
});

test('A life that ended without saving is found again by walking the folder, in the order of use.', async () => {
  const directory = tempDir('cache');
  const blobs = [makeBlob(1, 1000), makeBlob(2, 1000), makeBlob(3, 1000)];
  const first = await open(directory);
  for (const blob of blobs) await put(first, blob);
  await first.found;
  await first.close();
  unlinkSync(join(directory, 'v1', 'index'));
  const [oldest, middle, newest] = blobs as [Blob, Blob, Blob];
  for (const [blob, at] of [
    [oldest, 300],
    [middle, 100],
    [newest, 200],
  ] as const)
    utimesSync(pathOf(directory, blob), at, at);
  const cache = await open(directory, { budgetBytes: 2500 });
  await until(() => cache.statistics.evicted > 0);
  assert.deepEqual(
    blobs.map((blob) => cache.has(keyOf(blob))),
    [true, false, true],
  );
  await cache.close();
});

for (const [what, harm] of [
  ['A flipped bit', (path: string): void => writeFileSync(path, readFileSync(path).fill(1, 100, 101))],
  ['A truncated file', (path: string): void => truncateSync(path, 10)],
] as const) {
  test(`${what} is never served: the copy is put in quarantine and filled again.`, async () => {
    const directory = tempDir('cache');
    const log = new LogGuard();
    log.expect(/^WARN cache\.quarantined/);
    const cache = await open(directory, { log: log.log() });
    const blob = makeBlob(1);
    await put(cache, blob);
    harm(pathOf(directory, blob));
    assert.equal(await cache.open(keyOf(blob)), undefined);
    assert.equal(cache.statistics.quarantined, 1);
    assert.equal(readdirSync(join(directory, 'v1', 'quarantine')).length, 1);
    await put(cache, blob);
    const file = await cache.open(keyOf(blob));
    assert.deepEqual(file && (await bytesOfFile(file)), blob.content);
    file?.close();
    log.assertQuiet();
    assert.ok(log.has(/cache\.quarantined/));
    await cache.close();
  });
}

test('A copy that is deleted while it is hashed takes no newer one along.', async () => {
  const directory = tempDir('cache');
  const blob = makeBlob(1, 17 << 20);
  const first = await open(directory);
  await put(first, blob);
  await first.close();
  // As long as its blocks are not freed, its inode is not gone.
  linkSync(pathOf(directory, blob), join(directory, 'still-there'));
  const log = new LogGuard();
  const cache = await open(directory, { log: log.log() });
  await cache.found;
  const opening = cache.open(keyOf(blob));
  cache.forget(keyOf(blob));
  const newer = join(directory, 'newer');
  writeFileSync(newer, blob.content);
  await cache.adopt(keyOf(blob), newer, blob.content.length, fingerprintAt(newer));
  (await opening)?.close();
  assert.equal(cache.statistics.quarantined, 0);
  const file = await cache.open(keyOf(blob));
  assert.deepEqual(file && (await bytesOfFile(file)), blob.content);
  file?.close();
  log.assertQuiet();
  await cache.close();
});

test('A copy whose disk failed for a moment is hashed once more and kept, and one that is bad is not.', async () => {
  const directory = tempDir('cache');
  const log = new LogGuard();
  const cache = await open(directory, { log: log.log() });
  const blob = makeBlob(1);
  await put(cache, blob);
  const first = await cache.open(keyOf(blob));
  first?.reject();
  assert.equal(first?.isIntact(), false);
  assert.equal(cache.openHeld(keyOf(blob)), undefined);
  const again = await cache.open(keyOf(blob));
  assert.deepEqual(again && (await bytesOfFile(again)), blob.content);
  assert.equal(cache.statistics.quarantined, 0);
  truncateSync(pathOf(directory, blob), 10);
  again?.reject();
  log.expect(/^WARN cache\.quarantined/);
  assert.equal(await cache.open(keyOf(blob)), undefined);
  assert.equal(cache.statistics.quarantined, 1);
  first?.close();
  again?.close();
  log.assertQuiet();
  await cache.close();
});

test('A change that leaves the bytes right costs one more hashing and nothing else.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = makeBlob(1);
  await put(cache, blob);
  utimesSync(pathOf(directory, blob), 5, 5);
  const file = await cache.open(keyOf(blob));
  assert.deepEqual(file && (await bytesOfFile(file)), blob.content);
  file?.close();
  await cache.close();
});

test('A cache folder that is removed while we run is made again.', async () => {
  const directory = tempDir('cache');
  const log = new LogGuard();
  const cache = await open(directory, { log: log.log() });
  const [one, two] = [makeBlob(1), makeBlob(2)];
  await put(cache, one);
  rmSync(join(directory, 'v1'), { recursive: true });
  assert.equal(await cache.open(keyOf(one)), undefined);
  await put(cache, two);
  await put(cache, one);
  assert.ok(existsSync(pathOf(directory, one)));
  log.assertQuiet();
  await cache.close();
});

test('A cache whose disk takes nothing serves from elsewhere, says so once, and keeps nothing.', async () => {
  const directory = tempDir('cache');
  const log = new LogGuard();
  log.expect(/^WARN cache\.unwritable/);
  const cache = await open(directory, { log: log.log() });
  rmSync(join(directory, 'v1', 'tmp'), { recursive: true });
  writeFileSync(join(directory, 'v1', 'tmp'), 'in the way');
  for (const seed of [1, 2]) {
    const blob = makeBlob(seed);
    const file = await cache.fill(keyOf(blob), [new GoodSource(blob.content)], PATIENT).whole;
    assert.deepEqual(await bytesOfFile(file), blob.content);
    const shared = cache.open(keyOf(blob));
    assert.ok(shared !== undefined && !(shared instanceof Promise), 'shared while it is open');
    shared.close();
    file.close();
    assert.equal(cache.open(keyOf(blob)), undefined);
  }
  assert.equal(log.lines.filter((line) => line.includes('cache.unwritable')).length, 1);
  log.assertQuiet();
  await cache.close();
});

test('A copy that cannot be opened now is filled again and counted all the while; one that is gone is not.', async () => {
  const log = new LogGuard();
  log.expect(/^WARN cache\.unwritable/);
  const directory = tempDir('cache');
  const cache = await open(directory, { log: log.log() });
  const blob = makeBlob(1);
  await cache.found;
  await put(cache, blob);
  unlinkSync(pathOf(directory, blob));
  symlinkSync('/dev/null', pathOf(directory, blob));
  assert.equal(await cache.open(keyOf(blob)), undefined);
  assert.equal(cache.statistics.files, 1);
  await put(cache, blob);
  assert.equal(statSync(pathOf(directory, blob)).size, blob.content.length);
  unlinkSync(pathOf(directory, blob));
  assert.equal(await cache.open(keyOf(blob)), undefined);
  assert.equal(cache.statistics.files, 0);
  await cache.close();
});

test('A file that is adopted moves in and needs no hashing.', async () => {
  const directory = tempDir('cache');
  const cache = await open(directory);
  const blob = blobOf('adopted');
  const file = join(directory, 'outside');
  writeFileSync(file, blob.content);
  await cache.adopt(keyOf(blob), file, blob.content.length, fingerprintAt(file));
  assert.ok(!existsSync(file));
  const opened = cache.open(keyOf(blob));
  assert.ok(opened !== undefined && !(opened instanceof Promise));
  assert.deepEqual(await bytesOfFile(opened), blob.content);
  opened.close();
  await cache.close();
});

test('A file that was changed before it is adopted is hashed when it is opened, and what is wrong is never handed out.', async () => {
  const directory = tempDir('cache');
  const log = new LogGuard();
  log.expect(/^WARN cache\.quarantined .*its bytes hash to/);
  const cache = await open(directory, { log: log.log() });
  const file = join(directory, 'outside');
  for (const [seed, isWrong] of [
    [1, true],
    [2, false],
  ] as const) {
    const blob = makeBlob(seed);
    writeFileSync(file, blob.content);
    const verified = fingerprintAt(file);
    if (isWrong) writeFileSync(file, Buffer.alloc(blob.content.length));
    // As a program would that keeps times.
    utimesSync(file, verified.mtimeMs / 1000, verified.mtimeMs / 1000);
    await cache.adopt(keyOf(blob), file, blob.content.length, verified);
    const opening = cache.open(keyOf(blob));
    assert.ok(opening instanceof Promise, 'it is hashed');
    const opened = await opening;
    assert.deepEqual(opened && (await bytesOfFile(opened)), isWrong ? undefined : blob.content);
    opened?.close();
  }
  assert.equal(cache.statistics.quarantined, 1);
  await cache.close();
  log.assertQuiet();
});

test('Objects that are not blobs are kept by their MD5.', async () => {
  const cache = await open(tempDir('cache'));
  const { content, md5 } = makeBlob(1);
  const file = await cache.fill(`md5-${md5}`, [new GoodSource(content)], PATIENT).whole;
  assert.equal(file.sizeBytes, content.length);
  file.close();
  assert.ok(cache.has(`md5-${md5}`));
  await assert.rejects(cache.adopt('sha1-../../etc/passwd', '/nowhere', 0, undefined), { kind: 'internal' });
  await cache.close();
});

test('A folder that is not ours to write gives verified bytes, is read and not changed, and is written as soon as it is ours.', async () => {
  const directory = tempDir('cache');
  const [kept, other, rotten] = [makeBlob(1), makeBlob(2), makeBlob(3)];
  const earlier = await open(directory);
  await put(earlier, kept);
  await put(earlier, rotten);
  await earlier.found;
  await earlier.close();
  writeFileSync(join(directory, 'v1', 'tmp', '1'), 'of another daemon');
  writeFileSync(pathOf(directory, rotten), 'rotten');
  const log = new LogGuard();
  log.expect(/^WARN cache\.quarantined .*cannot be written/);
  let isOurs = false;
  // Far over its budget, and below its floor.
  const cache = await open(directory, { mayWrite: () => isOurs, log: log.log(), budgetBytes: 10 });
  await cache.found;
  assert.ok(existsSync(join(directory, 'v1', 'index')), 'the index of another daemon');
  assert.equal(await cache.open(keyOf(rotten)), undefined);
  assert.ok(existsSync(pathOf(directory, rotten)));
  const found = (await cache.open(keyOf(kept))) ?? assert.fail('it was here');
  assert.deepEqual(await bytesOfFile(found), kept.content);
  found.close();
  const file = await cache.fill(keyOf(other), [new GoodSource(other.content)], PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), other.content);
  file.close();
  const sealed = join(tempDir('sealed'), 'file');
  writeFileSync(sealed, other.content);
  await cache.adopt(keyOf(other), sealed, other.content.length, undefined);
  assert.equal(cache.open(keyOf(other)), undefined);
  cache.forget(keyOf(kept));
  assert.equal(cache.open(keyOf(kept)), undefined);
  await sleep(20);
  assert.ok(existsSync(pathOf(directory, kept)), 'nothing is removed or evicted');
  // Of that daemon, which was killed.
  rmSync(join(directory, 'v1', 'index'));
  const theirs = makeBlob(4);
  mkdirSync(dirname(pathOf(directory, theirs)), { recursive: true });
  writeFileSync(pathOf(directory, theirs), theirs.content);
  assert.deepEqual(readdirSync(join(directory, 'v1', 'tmp')), ['1']);
  isOurs = true;
  await put(cache, other);
  await until(() => readdirSync(join(directory, 'v1', 'tmp')).length === 0);
  await until(() => !existsSync(pathOf(directory, theirs)) && !existsSync(pathOf(directory, kept)));
  log.assertQuiet();
  await cache.close();
});

test('A folder that cannot be made yet is an empty one.', async () => {
  const directory = join(tempDir('cache'), 'none');
  const log = new LogGuard();
  const cache = await open(directory, { mayWrite: () => false, log: log.log() });
  await cache.found;
  const blob = makeBlob(1);
  await put(cache, blob);
  assert.equal(cache.open(keyOf(blob)), undefined);
  await cache.close();
  assert.ok(!existsSync(directory));
  log.assertQuiet();
});
