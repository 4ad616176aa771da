import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ROOT_INO } from '../../../src/fuse/file-system.js';
import { harness, READ, WRITE } from './harness.js';

test('chown succeeds and changes nothing, at no cost', async () => {
  const { vfs, me, filestore, makeFile } = harness();
  const { attributes } = await makeFile('x');
  filestore.calls.clear();
  const answer = await vfs.setattr(me, attributes.ino, { uid: 1000, gid: 1000 }, undefined);
  assert.deepEqual([answer.attributes.uid, answer.attributes.gid], [33, 34]);
  assert.deepEqual([...filestore.calls.keys()], ['lookup']);
});

test('mode and mtime set by path are shown afterwards', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x');
  const answer = await vfs.setattr(me, attributes.ino, { mode: 0o100600, mtimeMs: 86_400_123, atimeMs: 5 }, undefined);
  assert.deepEqual([answer.attributes.mode, answer.attributes.mtimeMs], [0o600, 86_400_123]);
});

test('an mtime set on a file being written stays with the open file', async () => {
  const { vfs, me, filestore } = harness();
  const { entry, opened } = await vfs.create(me, ROOT_INO, 'x', 0o644, WRITE);
  await vfs.write(me, entry.attributes.ino, opened.handle, 0, Buffer.from('x'));
  const answer = await vfs.setattr(me, entry.attributes.ino, { mtimeMs: 1000 }, undefined);
  assert.equal(answer.attributes.mtimeMs, 1000);
  assert.equal(filestore.calls.get('setTimes'), undefined);
});

test('chmod of a blob being written is accepted', async () => {
  const { vfs, me, filestore, at } = harness();
  const sha1 = createHash('sha1').update('').digest('hex');
  await vfs.mkdir(me, ROOT_INO, sha1.slice(0, 2), 0o755);
  const { entry } = await vfs.create(me, (await at(sha1.slice(0, 2))).attributes.ino, sha1, 0o644, WRITE);
  await vfs.setattr(me, entry.attributes.ino, { mode: 0o600, mtimeMs: 'now' }, undefined);
  assert.equal(filestore.calls.get('setMode'), undefined);
});

test('a file is truncated by path, by handle, and after it was unlinked', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x', '123456');
  assert.equal((await vfs.setattr(me, attributes.ino, { sizeBytes: 4 }, undefined)).attributes.sizeBytes, 4);
  const opened = await vfs.open(me, attributes.ino, WRITE);
  assert.equal((await vfs.setattr(me, attributes.ino, { sizeBytes: 8 }, opened.handle)).attributes.sizeBytes, 8);
  await vfs.unlink(me, ROOT_INO, 'x');
  const answer = await vfs.setattr(me, attributes.ino, { sizeBytes: 1 }, undefined);
  assert.deepEqual([answer.attributes.sizeBytes, answer.attributes.nlink], [1, 0]);
});

test('a file deleted by another node is gone by name and goes on for who holds it', async () => {
  const { vfs, me, filestore, makeFile } = harness();
  const { attributes } = await makeFile('x', 'abc');
  filestore.unlinkElsewhere('x');
  assert.throws(() => vfs.getattr(me, attributes.ino, undefined), { kind: 'not-found' });
  filestore.writeElsewhere('x', Buffer.from('abc'));
  const opened = await vfs.open(me, attributes.ino, READ);
  filestore.unlinkElsewhere('x');
  assert.equal((await vfs.getattr(me, attributes.ino, undefined)).attributes.sizeBytes, 3);
  assert.equal((await vfs.getattr(me, attributes.ino, opened.handle)).attributes.sizeBytes, 3);
});

test('names that cannot be are refused before anybody is asked', () => {
  const { vfs, me, filestore } = harness();
  assert.throws(() => vfs.lookup(me, ROOT_INO, 'x'.repeat(256)), { kind: 'name-too-long' });
  assert.throws(() => vfs.mkdir(me, ROOT_INO, 'a/b', 0o755), { kind: 'invalid-argument' });
  assert.equal(filestore.calls.size, 0);
});

test('the root is a directory with two links and the size of the disk is told in blocks', async () => {
  const { vfs, me } = harness();
  const root = await vfs.getattr(me, ROOT_INO, undefined);
  assert.deepEqual([root.attributes.ino, root.attributes.kind, root.attributes.nlink], [ROOT_INO, 'directory', 2]);
  const disk = await vfs.statfs(me, ROOT_INO);
  assert.deepEqual([disk.blocks * disk.blockSizeBytes, disk.nameMaxBytes], [2 ** 40, 255]);
});
