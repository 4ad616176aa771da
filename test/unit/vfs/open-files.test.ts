import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { andThen } from '../../../src/base/maybe-promise.js';
import type { OpenFile } from '../../../src/filestore/filestore.js';
import { ROOT_INO } from '../../../src/fuse/file-system.js';
import { ThreadGroup } from '../../../src/vfs/thread-group.js';
import { callerOf, harness, READ, READ_WRITE, WRITE } from './harness.js';

const CONTENT = Buffer.from('the bytes of a blob');
const SHA1 = createHash('sha1').update(CONTENT).digest('hex');
const SHARD = SHA1.slice(0, 2);

test('a created file is told with no lifetime of its name, and seen growing through its inode', async () => {
  const { vfs, me } = harness();
  const { entry, opened } = await vfs.create(me, ROOT_INO, 'x', 0o640, WRITE);
  // Its attributes are asked for by the open(2) that has made it.
  assert.deepEqual([entry.entryValidMs, entry.attributesValidMs, entry.attributes.mode], [0, 100, 0o640]);
  assert.deepEqual([entry.attributes.uid, entry.attributes.gid], [33, 34]);
  await vfs.write(me, entry.attributes.ino, opened.handle, 0, Buffer.from('12345'));
  const grown = await vfs.getattr(me, entry.attributes.ino, undefined);
  assert.deepEqual([grown.attributes.sizeBytes, grown.attributesValidMs], [5, 0]);
  const named = await vfs.lookup(callerOf(1), ROOT_INO, 'x');
  assert.deepEqual([named?.attributes.sizeBytes, named?.entryValidMs], [5, 0]);
  await vfs.release(entry.attributes.ino, opened.handle);
  assert.equal((await vfs.lookup(me, ROOT_INO, 'x'))?.entryValidMs, 1000, 'once closed it may be believed');
});

test('a blob being written is there for its writer and for nobody else', async () => {
  const { vfs, me, at } = harness();
  await vfs.mkdir(me, ROOT_INO, SHARD, 0o755);
  const parent = (await at(SHARD)).attributes.ino;
  const other = spawn('/bin/sleep', ['60']);
  try {
    const stranger = callerOf(other.pid);
    const { entry, opened } = await vfs.create(me, parent, SHA1, 0o644, WRITE);
    await vfs.write(me, entry.attributes.ino, opened.handle, 0, CONTENT);
    assert.equal((await vfs.lookup(me, parent, SHA1))?.attributes.sizeBytes, CONTENT.length);
    assert.equal(await vfs.lookup(stranger, parent, SHA1), undefined);
    // Told `stale` the kernel would look again, be shown it again, and hand a strange error on.
    await assert.rejects(async () => vfs.open(me, entry.attributes.ino, READ), { kind: 'not-found' });
    assert.equal(
      (await vfs.getattr(stranger, entry.attributes.ino, undefined)).attributes.sizeBytes,
      CONTENT.length,
      'an inherited descriptor',
    );
    await vfs.flush(me, entry.attributes.ino, opened.handle);
    assert.equal((await vfs.lookup(stranger, parent, SHA1))?.attributes.sizeBytes, CONTENT.length, 'exact from close on');
    await vfs.release(entry.attributes.ino, opened.handle);
  } finally {
    other.kill('SIGKILL');
  }
});

test('an open that makes a file finds a blob gone that its writer was shown while it had it open: the kernel is to look again', async () => {
  const { vfs, me, at } = harness();
  await vfs.mkdir(me, ROOT_INO, SHARD, 0o755);
  const parent = (await at(SHARD)).attributes.ino;
  const { entry, opened } = await vfs.create(me, parent, SHA1, 0o644, WRITE);
  const { ino } = entry.attributes;
  await vfs.write(me, ino, opened.handle, 0, CONTENT.subarray(1));
  assert.equal((await vfs.lookup(me, parent, SHA1))?.attributes.ino, ino);
  // A close() that failed, or was torn: its RELEASE may come behind the next LOOKUP.
  await vfs.release(ino, opened.handle);
  await assert.rejects(async () => vfs.open(me, ino, WRITE), { kind: 'stale' });
  assert.equal(await vfs.lookup(me, parent, SHA1), undefined);
});

test('two writers of one blob have an inode each and both succeed', async () => {
  const { vfs, me, filestore, at } = harness();
  await vfs.mkdir(me, ROOT_INO, SHARD, 0o755);
  const parent = (await at(SHARD)).attributes.ino;
  const first = await vfs.create(me, parent, SHA1, 0o644, WRITE);
  const second = await vfs.create(me, parent, SHA1, 0o644, WRITE);
  assert.notEqual(first.entry.attributes.ino, second.entry.attributes.ino);
  for (const { entry, opened } of [first, second]) {
    await vfs.write(me, entry.attributes.ino, opened.handle, 0, CONTENT);
    assert.equal((await vfs.getattr(me, entry.attributes.ino, opened.handle)).attributes.nlink, 1);
  }
  for (const { entry, opened } of [first, second]) {
    await vfs.flush(me, entry.attributes.ino, opened.handle);
    await vfs.release(entry.attributes.ino, opened.handle);
    vfs.forget(entry.attributes.ino, 1);
  }
  assert.equal(filestore.statNow(`${SHARD}/${SHA1}`)?.sizeBytes, CONTENT.length);
  assert.equal(vfs.openFiles, 0);
  assert.equal((await at(`${SHARD}/${SHA1}`)).attributes.sizeBytes, CONTENT.length);
});

test('a sealed blob keeps its pages and needs no flush when read', async () => {
  const { vfs, me, filestore, at } = harness();
  await filestore.mkdir(SHARD, 0o755);
  filestore.writeElsewhere(`${SHARD}/${SHA1}`, CONTENT);
  const { ino } = (await at(`${SHARD}/${SHA1}`)).attributes;
  const opened = await vfs.open(me, ino, READ);
  assert.deepEqual([opened.keepCache, opened.noFlush, opened.directIo, opened.passthroughFd], [true, true, false, undefined]);
  const plain = await vfs.create(me, ROOT_INO, 'plain', 0o644, READ_WRITE);
  assert.deepEqual([plain.opened.keepCache, plain.opened.noFlush], [false, false]);
});

test('what the filestore answers at once is answered at once', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x', 'abc');
  const opened = vfs.open(me, attributes.ino, READ);
  assert.ok(!(opened instanceof Promise));
  for (const answer of [
    vfs.lookup(me, ROOT_INO, 'x'),
    vfs.getattr(me, attributes.ino, undefined),
    vfs.read(me, attributes.ino, opened.handle, 0, 3),
    vfs.release(attributes.ino, opened.handle),
  ]) {
    assert.ok(!(answer instanceof Promise));
  }
});

test('everything works as well when the filestore answers later', async () => {
  const { vfs, me, at, makeFile } = harness({ slow: true });
  await vfs.mkdir(me, ROOT_INO, 'd', 0o755);
  const { attributes } = await makeFile('d/x', 'abc');
  const opened = await vfs.open(me, attributes.ino, READ);
  assert.equal(Buffer.from((await vfs.read(me, attributes.ino, opened.handle, 1, 9)) as Uint8Array).toString(), 'bc');
  await vfs.release(attributes.ino, opened.handle);
  await vfs.unlink(me, (await at('d')).attributes.ino, 'x');
  await vfs.rmdir(me, ROOT_INO, 'd');
  assert.equal(vfs.openFiles, 0);
});

test('a handle is gone once released, and its number is used again', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x', 'abc');
  const first = await vfs.open(me, attributes.ino, READ);
  await vfs.release(attributes.ino, first.handle);
  assert.throws(() => vfs.read(me, attributes.ino, first.handle, 0, 1), { kind: 'bad-handle' });
  assert.equal((await vfs.open(me, attributes.ino, READ)).handle, first.handle);
});

test('writing through a handle opened for reading is refused', async () => {
  const { vfs, me, makeFile } = harness();
  const { attributes } = await makeFile('x', 'abc');
  const { handle } = await vfs.open(me, attributes.ino, READ);
  assert.throws(() => vfs.write(me, attributes.ino, handle, 0, Buffer.from('z')), { kind: 'bad-handle' });
});

test('a create that fails after the filestore opened the file closes it again', async () => {
  const { vfs, me, filestore } = harness();
  filestore.failures.set('file.stat', new FilestoreError('unavailable', 'the disk is silent'));
  assert.throws(() => vfs.create(me, ROOT_INO, 'x', 0o644, WRITE), { kind: 'unavailable' });
  assert.deepEqual([filestore.openFiles, vfs.openFiles], [0, 0]);
});

test('a big sealed blob is passed through, and one inode is never read in two ways', async () => {
  const { vfs, me, filestore, at } = harness();
  await filestore.mkdir(SHARD, 0o755);
  filestore.writeElsewhere(`${SHARD}/${SHA1}`, Buffer.alloc(2 << 20));
  let passthroughFd: number | undefined = 7;
  const open = filestore.open.bind(filestore);
  filestore.open = (path, mode) => {
    const file = open(path, mode) as OpenFile;
    return { ...file, passthroughFd };
  };
  const { ino } = (await at(`${SHARD}/${SHA1}`)).attributes;
  const passed = await vfs.open(me, ino, READ);
  assert.equal(passed.passthroughFd, 7);
  passthroughFd = undefined;
  const around = await vfs.open(me, ino, READ);
  assert.deepEqual([around.passthroughFd, around.directIo], [undefined, true]);
  await vfs.release(ino, passed.handle);
  await vfs.release(ino, around.handle);
  const cached = await vfs.open(me, ino, READ);
  assert.equal(cached.directIo, false);
  passthroughFd = 8;
  assert.equal((await vfs.open(me, ino, READ)).passthroughFd, undefined, 'a cached open is there');
});

test('fallocate makes a file as long as asked for and punches no holes', async () => {
  const { vfs, me } = harness();
  const { entry, opened } = await vfs.create(me, ROOT_INO, 'x', 0o644, WRITE);
  const { ino } = entry.attributes;
  await vfs.fallocate(me, ino, opened.handle, 0, 100, 28);
  assert.equal((await vfs.getattr(me, ino, opened.handle)).attributes.sizeBytes, 128);
  await vfs.fallocate(me, ino, opened.handle, 0, 0, 10);
  assert.equal((await vfs.getattr(me, ino, opened.handle)).attributes.sizeBytes, 128);
  for (const mode of [1, 3]) assert.throws(() => vfs.fallocate(me, ino, opened.handle, mode, 0, 4096), { kind: 'unsupported' });
});

test('mknod makes an empty file that is not open', async () => {
  const { vfs, me, filestore } = harness();
  const entry = await vfs.mknod(me, ROOT_INO, 'x', 0o600);
  assert.deepEqual([entry.attributes.sizeBytes, entry.attributes.mode, filestore.openFiles, vfs.openFiles], [0, 0o600, 0, 0]);
  assert.throws(() => vfs.mknod(me, ROOT_INO, 'x', 0o600), { kind: 'exists' });
});

test('threads of one process are one writer, and /proc is asked once for each', () => {
  const groups = new Map([
    [11, 10],
    [12, 10],
    [21, 20],
  ]);
  let asked = 0;
  const group = new ThreadGroup(11, (tid) => {
    asked++;
    return groups.get(tid);
  });
  assert.deepEqual(
    [11, 12, 21, 99, 12, 21].map((tid) => group.has(tid)),
    [true, true, false, false, true, false],
  );
  assert.equal(asked, 6);
  assert.equal(new ThreadGroup(0).has(0), false, 'a process of another PID namespace is nobody');
});

/** A blob that is whole here, and a kernel that only notes of whom sharing was ended. */
async function popularBlob(): Promise<ReturnType<typeof harness> & { parent: number; ino: number; ended: number[] }> {
  const built = harness();
  const { vfs, me, filestore, makeFile, at } = built;
  await vfs.mkdir(me, ROOT_INO, SHARD, 0o755);
  await makeFile(`${SHARD}/${SHA1}`, CONTENT.toString());
  const open = filestore.open.bind(filestore);
  filestore.open = (path, mode) => andThen(open(path, mode), (file) => ({ ...file, wholeBytes: CONTENT.length }));
  const ended: number[] = [];
  const ignore = (): void => undefined;
  vfs.attach({
    capabilities: { passthrough: false, invalidation: true, entryLifetimes: true, byteNames: true },
    description: 'test',
    invalidateEntry: ignore,
    invalidateInode: () => undefined,
    endSharing: (ino) => void ended.push(ino),
    activeRequests: 0,
    isHeld: false,
    ended: Promise.resolve(),
    unmount: () => Promise.resolve(),
  });
  const parent = (await at(SHARD)).attributes.ino;
  const { ino } = (await at(`${SHARD}/${SHA1}`)).attributes;
  return { ...built, parent, ino, ended };
}

test('a whole blob may be shared from the second time on that it is opened to read', async () => {
  const { vfs, me, ino } = await popularBlob();
  const readers = [await vfs.open(me, ino, READ), await vfs.open(me, ino, READ)];
  assert.deepEqual(
    readers.map(({ isShareable }) => isShareable),
    [undefined, true],
  );
  for (const { handle } of readers) await vfs.release(ino, handle);
  assert.equal((await vfs.open(me, ino, READ_WRITE)).isShareable, undefined, 'a writer');
  assert.equal((await vfs.open(me, ino, READ)).isShareable, undefined, 'a reader beside a writer');
});

test('a writer of a blob that is read is sent back for an inode of his own, and not twice', async () => {
  const { vfs, me, at, filestore, ino } = await popularBlob();
  const reader = await vfs.open(me, ino, READ);
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' });
  const other = (await at(`${SHARD}/${SHA1}`)).attributes.ino;
  assert.notEqual(other, ino);
  // Another writer, whose LOOKUP was before that; and a reader who comes between a writer's LOOKUP and his OPEN, which the kernel does not repeat.
  const late: typeof me = { ...me, pid: me.pid + 1 };
  assert.throws(() => vfs.open(late, ino, WRITE), { kind: 'stale' });
  assert.equal((await at(`${SHARD}/${SHA1}`)).attributes.ino, other);
  await vfs.release(other, (await vfs.open(late, other, WRITE)).handle);
  const between = await vfs.open(me, other, READ);
  const writer = await vfs.open(me, other, WRITE);
  assert.deepEqual([reader.directIo, between.directIo, writer.directIo], [false, true, true]);
  await vfs.write(me, other, writer.handle, 0, Buffer.alloc(CONTENT.length + 100));
  assert.equal((await vfs.getattr(me, ino, reader.handle)).attributes.sizeBytes, CONTENT.length);
  await vfs.release(other, writer.handle);
  // Who has the first one opens it by its descriptor.
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' });
  const own = await vfs.open(me, ino, WRITE);
  for (const { handle } of [reader, own]) await vfs.release(ino, handle);
  await vfs.release(other, between.handle);
  assert.equal(filestore.openFiles, 0);
});

test('a writer who was sent back and did not come is forgotten after a minute, and the inode that waited for him after a second', async (t) => {
  const { vfs, me, at, ino } = await popularBlob();
  const reader = await vfs.open(me, ino, READ);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' });
  const other = (await at(`${SHARD}/${SHA1}`)).attributes.ino;
  const opensDirect = async (): Promise<boolean> => {
    const { handle, directIo } = await vfs.open(me, other, READ);
    await vfs.release(other, handle);
    return directIo;
  };
  t.mock.timers.tick(999);
  assert.equal(await opensDirect(), true, 'it is kept for him');
  t.mock.timers.tick(1);
  assert.equal(await opensDirect(), false);
  t.mock.timers.tick(59_000);
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' }, 'as if he had never been there');
  await vfs.release(ino, reader.handle);
});

test('a writer who is sent back a second time is remembered for a minute from then on', async (t) => {
  const { vfs, me, ino } = await popularBlob();
  const reader = await vfs.open(me, ino, READ);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const comesBack = async (): Promise<void> => vfs.release(ino, (await vfs.open(me, ino, WRITE)).handle);
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' });
  t.mock.timers.tick(30_000);
  await comesBack();
  assert.throws(() => vfs.open(me, ino, WRITE), { kind: 'stale' });
  // The minute of the first time would end here.
  t.mock.timers.tick(59_999);
  await comesBack();
  await vfs.release(ino, reader.handle);
});

test('sharing ends when a blob is opened to write, cut, replaced or deleted', async () => {
  const { vfs, me, parent, ino, ended, makeFile } = await popularBlob();
  const { handle } = await vfs.open(me, ino, READ_WRITE);
  await vfs.release(ino, handle);
  assert.deepEqual(ended.splice(0), [ino, ino], 'also for who came before it was open');
  await vfs.setattr(me, ino, { mode: 0o600 }, undefined);
  assert.deepEqual(ended, [], 'a mode changes no bytes');
  await makeFile(`${SHARD}/other`, 'x');
  await vfs.rename(me, parent, 'other', parent, SHA1, { noReplace: false });
  assert.ok(ended.splice(0).some((one) => one === ino));
  await vfs.unlink(me, parent, SHA1);
  assert.equal(ended.length, 1);
});

test('what would end above 2^53 bytes is too large, and nothing is written anywhere', async () => {
  const { vfs, me } = harness();
  const { entry, opened } = await vfs.create(me, ROOT_INO, 'x', 0o640, READ_WRITE);
  const { ino } = entry.attributes;
  await vfs.write(me, ino, opened.handle, 0, CONTENT);
  const tooLarge = { kind: 'too-large' };
  await assert.rejects(async () => vfs.write(me, ino, opened.handle, 2 ** 53, CONTENT), tooLarge);
  await assert.rejects(async () => vfs.write(me, ino, opened.handle, Number.MAX_SAFE_INTEGER, CONTENT), tooLarge);
  await assert.rejects(async () => vfs.fallocate(me, ino, opened.handle, 0, 2 ** 53, 1), tooLarge);
  await assert.rejects(async () => vfs.setattr(me, ino, { sizeBytes: 2 ** 63 }, opened.handle), tooLarge);
  await assert.rejects(async () => vfs.setattr(me, ino, { sizeBytes: 2 ** 63 }, undefined), tooLarge);
  assert.deepEqual(Buffer.from((await vfs.read(me, ino, opened.handle, 0, 100)) as Uint8Array), CONTENT);
  await vfs.release(ino, opened.handle);
});
