import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kindOf } from '../../../src/base/errors.js';
import { SMALL_FILE_BYTES } from '../../../src/spool/small-bytes.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { MTIME_MS, open, rootOf, sealBlob } from './spools.js';

test('The digest is that of the bytes, whatever the order they were written in.', async () => {
  const spool = await open(tempDir('spool'));
  const { content, sha1, md5 } = makeBlob(3, 300_000);
  const expected = { sha1, md5, sizeBytes: content.length };
  const forward = spool.createStaging();
  for (let at = 0; at < content.length; at += 100_000) forward.write(at, content.subarray(at, at + 100_000));
  assert.deepEqual(await forward.digest(), expected);
  const backward = spool.createStaging();
  for (let at = 200_000; at >= 0; at -= 100_000) backward.write(at, content.subarray(at, at + 100_000));
  assert.deepEqual(await backward.digest(), expected);
  backward.write(0, Buffer.from('x'));
  assert.notEqual((await backward.digest()).sha1, sha1);
  backward.truncate(0);
  backward.write(0, content);
  assert.deepEqual(await backward.digest(), expected);
  const { path } = forward.file();
  assert.ok(existsSync(path));
  await forward.discard();
  await backward.discard();
  assert.ok(!existsSync(path));
  await spool.close();
});

test('A small file is in memory until somebody asks for it on the disk, and a large one goes there by itself.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const onDisk = (): number => readdirSync(join(rootOf(directory), 'staging')).length;
  const small = spool.createStaging();
  small.write(0, Buffer.from('small'));
  const large = spool.createStaging();
  const { content, sha1 } = makeBlob(4, SMALL_FILE_BYTES + 1);
  large.write(0, content.subarray(0, 1000));
  assert.equal(onDisk(), 0);
  large.write(1000, content.subarray(1000));
  assert.equal(onDisk(), 1);
  assert.equal((await large.digest()).sha1, sha1);
  assert.deepEqual(readFileSync(large.file().path), content);
  assert.equal(readFileSync(small.file().path, 'utf8'), 'small');
  small.write(5, Buffer.from('er'));
  assert.equal(readFileSync(small.file().path, 'utf8'), 'smaller');
  assert.equal((await small.digest()).sha1, blobOf('smaller').sha1);
  await small.discard();
  await large.discard();
  await spool.close();
});

test('However many small files are being written, only so many bytes of them are in memory.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const { content, sha1 } = makeBlob(5, SMALL_FILE_BYTES);
  const files = Array.from({ length: 40 }, () => spool.createStaging());
  for (const file of files) file.write(0, content);
  const onDisk = readdirSync(join(rootOf(directory), 'staging')).length;
  assert.equal(onDisk, 40 - (8 << 20) / SMALL_FILE_BYTES);
  for (const file of files) assert.equal((await file.digest()).sha1, sha1);
  for (const file of files) await file.discard();
  const again = spool.createStaging();
  again.write(0, content);
  assert.equal(readdirSync(join(rootOf(directory), 'staging')).length, 0, 'what was discarded gave its room back');
  await again.discard();
  await spool.close();
});

test('A small file has zeros where nothing was written, also where there were other bytes before.', async () => {
  const spool = await open(tempDir('spool'));
  const staging = spool.createStaging();
  staging.write(0, Buffer.from('abcdefgh'));
  staging.truncate(2);
  staging.write(6, Buffer.from('z'));
  assert.equal((await staging.digest()).sha1, blobOf('ab\0\0\0\0z').sha1);
  staging.truncate(1);
  staging.truncate(4);
  assert.equal((await staging.digest()).sha1, blobOf('a\0\0\0').sha1);
  await staging.discard();
  await spool.close();
});

test('A file grown by truncate has zeros there.', async () => {
  const spool = await open(tempDir('spool'));
  const staging = spool.createStaging();
  staging.write(0, Buffer.from('ab'));
  staging.truncate(4);
  assert.equal((await staging.digest()).sha1, blobOf(Buffer.from('ab\0\0')).sha1);
  await staging.discard();
  await spool.close();
});

test('A write after the seal goes to a copy: sealed bytes never change.', async () => {
  const spool = await open(tempDir('spool'));
  const staging = spool.createStaging();
  staging.write(0, Buffer.from('first'));
  const first = await spool.seal(staging, 'file', await staging.digest(), MTIME_MS);
  staging.write(5, Buffer.from(' and second'));
  assert.equal(readFileSync(first.file, 'utf8'), 'first');
  const second = await spool.seal(staging, 'file', await staging.digest(), MTIME_MS);
  await staging.discard();
  assert.equal(readFileSync(second.file, 'utf8'), 'first and second');
  assert.equal(second.sha1, blobOf('first and second').sha1);
  await spool.close();
});

test('Sealed twice without a change, each record has a file of its own.', async () => {
  const spool = await open(tempDir('spool'));
  const staging = spool.createStaging();
  staging.write(0, Buffer.from('same'));
  const digest = await staging.digest();
  await spool.seal(staging, 'one', digest, MTIME_MS);
  await spool.seal(staging, 'two', digest, MTIME_MS);
  await staging.discard();
  for (const { file } of spool.pending.values()) assert.equal(readFileSync(file, 'utf8'), 'same');
  assert.equal(new Set([...spool.pending.values()].map(({ file }) => file)).size, 2);
  await spool.close();
});

test('A staging file made from a descriptor has the bytes that this led to when it was asked for, also when it is closed at once and is another file’s.', async () => {
  const spool = await open(tempDir('spool'));
  const [first, second] = [await sealBlob(spool, blobOf('first'), 'one'), await sealBlob(spool, blobOf('second'), 'two')];
  const fd = openSync(first.file, 'r');
  const copying = spool.createStagingFrom(`/proc/self/fd/${fd}`);
  closeSync(fd);
  const others: number[] = [];
  // Until the number is used again: the lowest that is free comes first.
  while (others.at(-1) !== fd) others.push(openSync(second.file, 'r'));
  const staging = await copying;
  assert.equal((await staging.digest()).sha1, first.sha1);
  await staging.discard();
  for (const other of others) closeSync(other);
  await spool.close();
});

test('A staging file made from another has its bytes and leaves it alone.', async () => {
  const spool = await open(tempDir('spool'));
  const pending = await sealBlob(spool, blobOf('hello'), 'file');
  const staging = await spool.createStagingFrom(pending.file);
  assert.equal(staging.sizeBytes, 5);
  assert.equal((await staging.digest()).sha1, pending.sha1);
  staging.write(0, Buffer.from('J'));
  assert.equal((await staging.digest()).sha1, blobOf('Jello').sha1);
  assert.equal(readFileSync(pending.file, 'utf8'), 'hello');
  await staging.discard();
  await staging.discard();
  await assert.rejects(spool.createStagingFrom('/nowhere/at/all'), { kind: 'unavailable' });
  await spool.close();
});

test('A size that the file system of the spool does not have is too large for it, and no fault of the disk.', async () => {
  const spool = await open(tempDir('spool'));
  const file = spool.createStaging();
  file.write(0, Buffer.from('kept'));
  const bytes = (): string => readFileSync(file.file().path).subarray(0, 4).toString();
  // ext4 ends at 16 TiB; what has no such end takes it.
  for (const change of [() => file.write(2 ** 52, Buffer.from('x')), () => file.truncate(2 ** 52)]) {
    try {
      change();
      file.truncate(4);
    } catch (error) {
      assert.equal(kindOf(error), 'too-large');
    }
    assert.deepEqual([file.sizeBytes, bytes()], [4, 'kept']);
  }
  await file.discard();
  await spool.close();
});
