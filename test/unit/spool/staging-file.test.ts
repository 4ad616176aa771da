import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { MTIME_MS, open, sealBlob } from './spools.js';

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
  await forward.discard();
  await backward.discard();
  assert.ok(!existsSync(forward.path));
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
