import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT_INO } from '../../../src/fuse/file-system.js';
import { hashOfPath, inodeNumber } from '../../../src/vfs/inode-number.js';
import { InodeTable } from '../../../src/vfs/inode-table.js';
import { harness, READ } from './harness.js';

test('a name keeps its inode number across forget and remount', async () => {
  const first = harness();
  await first.vfs.mkdir(first.me, ROOT_INO, 'ab', 0o755);
  const before = await first.makeFile('ab/x', '1');
  first.vfs.forget(before.attributes.ino, 1);
  assert.equal((await first.at('ab/x')).attributes.ino, before.attributes.ino);
  const second = harness();
  await second.vfs.mkdir(second.me, ROOT_INO, 'ab', 0o755);
  assert.equal((await second.makeFile('ab/x', '1')).attributes.ino, before.attributes.ino);
});

test('a hundred thousand blob names have a hundred thousand numbers of 48 bits', () => {
  const seen = new Set<number>();
  for (let i = 0; i < 100_000; i++) {
    const name = i.toString(16).padStart(40, '0');
    seen.add(inodeNumber(hashOfPath(`db/${name.slice(-2)}/${name}`)));
  }
  assert.equal(seen.size, 100_000);
  for (const ino of seen) assert.ok(Number.isSafeInteger(ino) && ino > ROOT_INO && ino <= 2 ** 48 + 1);
});

test('a name whose number is taken gets the next free one', () => {
  const table = new InodeTable();
  const wanted = inodeNumber(hashOfPath('x'));
  const first = table.at(table.root, 'x', 'file');
  first.lookups = 1;
  const second = table.displacing(table.root, 'x', 'file');
  assert.deepEqual([first.ino, second.ino], [wanted, wanted + 1]);
  assert.equal(table.find('x'), second);
  assert.equal(first.path, 'x', 'the displaced one still knows where its bytes belong');
});

test('the table holds what the kernel holds and nothing after forget', async () => {
  const { vfs, me, at, makeFile } = harness();
  const empty = vfs.knownInodes;
  await vfs.mkdir(me, ROOT_INO, 'ab', 0o755);
  await makeFile('ab/x');
  const again = await at('ab/x');
  const directory = (await at('ab')).attributes.ino;
  assert.equal(vfs.knownInodes, empty + 2);
  vfs.forget(directory, 4);
  assert.equal(vfs.knownInodes, empty + 2, 'a directory stays as long as a name below it is known');
  vfs.forget(again.attributes.ino, 1);
  assert.equal(vfs.knownInodes, empty + 2, 'one of two lookups is left');
  vfs.forget(again.attributes.ino, 1);
  assert.equal(vfs.knownInodes, empty);
});

test('a forgotten number is stale', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x');
  vfs.forget(attributes.ino, 1);
  assert.throws(() => vfs.getattr(me, attributes.ino, undefined), { kind: 'stale' });
});

test('renaming a directory moves everything below it', async () => {
  const { vfs, me, at, find, makeFile } = harness();
  await vfs.mkdir(me, ROOT_INO, 'a', 0o755);
  await vfs.mkdir(me, (await at('a')).attributes.ino, 'b', 0o755);
  const file = await makeFile('a/b/x', 'hello');
  await vfs.rename(me, ROOT_INO, 'a', ROOT_INO, 'c', { noReplace: false });
  assert.equal(await find('a'), undefined);
  assert.equal((await at('c/b/x')).attributes.ino, file.attributes.ino);
  const opened = await vfs.open(me, file.attributes.ino, READ);
  assert.equal(Buffer.from((await vfs.read(me, file.attributes.ino, opened.handle, 0, 9)) as Uint8Array).toString(), 'hello');
});

test('a rename over an open file leaves that file readable with no links', async () => {
  const { vfs, me, at, makeFile } = harness();
  const old = await makeFile('x', 'old');
  await vfs.open(me, old.attributes.ino, READ);
  const fresh = await makeFile('y', 'fresh');
  await vfs.rename(me, ROOT_INO, 'y', ROOT_INO, 'x', { noReplace: false });
  assert.equal((await at('x')).attributes.ino, fresh.attributes.ino);
  const left = await vfs.getattr(me, old.attributes.ino, undefined);
  assert.deepEqual([left.attributes.nlink, left.attributes.sizeBytes, left.attributesValidMs], [0, 3, 0]);
});

test('a name made again while its old file is open is another inode', async () => {
  const { vfs, me, at, makeFile } = harness();
  const old = await makeFile('x', 'old');
  const opened = await vfs.open(me, old.attributes.ino, READ);
  await vfs.unlink(me, ROOT_INO, 'x');
  const fresh = await makeFile('x', 'new');
  assert.notEqual(fresh.attributes.ino, old.attributes.ino);
  assert.equal((await at('x')).attributes.ino, fresh.attributes.ino);
  assert.equal(Buffer.from((await vfs.read(me, old.attributes.ino, opened.handle, 0, 9)) as Uint8Array).toString(), 'old');
  await vfs.release(old.attributes.ino, opened.handle);
  vfs.forget(old.attributes.ino, 1);
  assert.throws(() => vfs.getattr(me, old.attributes.ino, undefined), { kind: 'stale' });
});

test('opening an unlinked inode is stale, so that the kernel looks the name up again', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x');
  await vfs.unlink(me, ROOT_INO, 'x');
  assert.throws(() => vfs.open(me, attributes.ino, READ), { kind: 'stale' });
});

test('a file that another node replaced by a directory gets another inode', async () => {
  const { vfs, me, filestore, at, makeFile } = harness();
  const file = await makeFile('x');
  filestore.unlinkElsewhere('x');
  await filestore.mkdir('x', 0o755);
  const directory = await at('x');
  assert.equal(directory.attributes.kind, 'directory');
  assert.notEqual(directory.attributes.ino, file.attributes.ino);
  assert.throws(() => vfs.open(me, file.attributes.ino, READ), { kind: 'stale' });
});
