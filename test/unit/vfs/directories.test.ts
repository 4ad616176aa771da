import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import type { ChangeListener } from '../../../src/filestore/filestore.js';
import { ROOT_INO, type Caller, type DirectoryEntry } from '../../../src/fuse/file-system.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { settle } from '../../helpers/clock.js';
import { createMemoryDriver } from '../../helpers/memory-driver.js';
import { MemoryFilestore } from '../../helpers/memory-filestore.js';
import { callerOf, harness, WRITE, type Harness } from './harness.js';

async function readAll({ vfs, me }: Harness, ino: number, handle: number, hint = 300): Promise<DirectoryEntry[]> {
  const all: DirectoryEntry[] = [];
  for (let cookie = 0; ;) {
    const part = await vfs.readdir(me, ino, handle, cookie, hint);
    if (part.length === 0) return all;
    all.push(...part);
    cookie = part.at(-1)?.nextCookie ?? cookie;
  }
}

async function makeMany(h: Harness, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, i) => `file${i}`);
  for (const name of names) h.vfs.forget((await h.makeFile(name)).attributes.ino, 1);
  return names;
}

test('a listing begins with dot and dot-dot and shows kinds and the numbers that stat shows', async () => {
  const h = harness();
  await h.vfs.mkdir(h.me, ROOT_INO, 'd', 0o755);
  await h.makeFile('x');
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const entries = await readAll(h, ROOT_INO, handle);
  assert.deepEqual(
    entries.map(({ name, kind }) => [name, kind]),
    [
      ['.', 'directory'],
      ['..', 'directory'],
      ['d', 'directory'],
      ['x', 'file'],
    ],
  );
  for (const { name, ino } of entries.slice(2)) assert.equal((await h.at(name)).attributes.ino, ino);
  h.vfs.releasedir(ROOT_INO, handle);
});

test('listing many names makes no nodes', async () => {
  const h = harness();
  const names = await makeMany(h, 500);
  const before = h.vfs.knownInodes;
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const listed = (await readAll(h, ROOT_INO, handle)).slice(2).map((entry) => entry.name);
  assert.deepEqual(listed, names);
  assert.equal(h.vfs.knownInodes, before);
});

test('unlinking while reading skips no name', async () => {
  const h = harness();
  const names = await makeMany(h, 200);
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const seen: string[] = [];
  for (let cookie = 0; ;) {
    const part = await h.vfs.readdir(h.me, ROOT_INO, handle, cookie, 400);
    if (part.length === 0) break;
    for (const entry of part) {
      cookie = entry.nextCookie;
      if (entry.name.startsWith('.')) continue;
      seen.push(entry.name);
      await h.vfs.unlink(h.me, ROOT_INO, entry.name);
    }
  }
  assert.deepEqual(seen, names);
});

test('rewinddir shows what was made and unlinked since', async () => {
  const h = harness();
  await h.makeFile('a');
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  await readAll(h, ROOT_INO, handle);
  await h.makeFile('b');
  await h.vfs.unlink(h.me, ROOT_INO, 'a');
  assert.deepEqual(
    (await readAll(h, ROOT_INO, handle)).map((entry) => entry.name),
    ['.', '..', 'b'],
  );
});

test('rewinddir of an unchanged directory asks for no new listing', async () => {
  const h = harness();
  await h.makeFile('a');
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  await readAll(h, ROOT_INO, handle);
  await readAll(h, ROOT_INO, handle);
  assert.equal(h.filestore.calls.get('list'), 1);
});

test('a listed entry comes with its attributes and counts a lookup', async () => {
  const h = harness();
  const { attributes } = await h.makeFile('a', 'four');
  h.vfs.forget(attributes.ino, 1);
  const before = h.vfs.knownInodes;
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const [, , listed] = await readAll(h, ROOT_INO, handle);
  assert.ok(listed !== undefined);
  const entry = h.vfs.lookupListed(ROOT_INO, listed);
  assert.deepEqual([entry?.attributes.sizeBytes, entry?.attributes.ino], [4, attributes.ino]);
  assert.equal(h.vfs.knownInodes, before + 1);
  h.vfs.forget(attributes.ino, 1);
  assert.equal(h.vfs.knownInodes, before);
});

test('a name unlinked after it was listed does not rise again', async () => {
  const h = harness();
  await h.makeFile('a');
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const [, , listed] = await readAll(h, ROOT_INO, handle);
  await h.vfs.unlink(h.me, ROOT_INO, 'a');
  assert.ok(listed !== undefined);
  assert.equal(h.vfs.lookupListed(ROOT_INO, listed), undefined);
});

test('the attributes of a file being written are not taken from a listing', async () => {
  const h = harness();
  const { opened, entry } = await h.vfs.create(h.me, ROOT_INO, 'a', 0o644, WRITE);
  const handle = await h.vfs.opendir(h.me, ROOT_INO);
  const [, , listed] = await readAll(h, ROOT_INO, handle);
  assert.ok(listed !== undefined);
  assert.equal(h.vfs.lookupListed(ROOT_INO, listed), undefined);
  await h.vfs.write(h.me, entry.attributes.ino, opened.handle, 0, Buffer.from('x'));
  await h.vfs.release(entry.attributes.ino, opened.handle);
  assert.equal(h.vfs.lookupListed(ROOT_INO, listed), undefined, 'listed before the close');
});

/** As READDIRPLUS does it. @returns the files that went with their attributes */
async function listPlus(h: Harness, directory: string, caller: Caller): Promise<string[]> {
  const { ino } = (await h.at(directory)).attributes;
  const handle = await h.vfs.opendir(caller, ino);
  const entries = await readAll(h, ino, handle);
  const told = entries.filter((entry) => entry.kind === 'file' && h.vfs.lookupListed(ino, entry) !== undefined);
  h.vfs.releasedir(ino, handle);
  return told.map(({ name }) => name);
}

async function fourDirectories(): Promise<Harness> {
  const h = harness();
  for (const directory of ['d', 'e', 'f', 'g']) {
    await h.vfs.mkdir(h.me, ROOT_INO, directory, 0o755);
    for (const name of ['a', 'b', 'c']) await h.makeFile(`${directory}/${name}`);
  }
  return h;
}

test('a walk that asks for no attributes is told names only from its third directory on', async () => {
  const h = await fourDirectories();
  const finder = callerOf(4711);
  assert.deepEqual(await listPlus(h, 'd', finder), ['a', 'b', 'c']);
  assert.deepEqual(await listPlus(h, 'e', finder), ['b', 'c']);
  assert.deepEqual(await listPlus(h, 'f', finder), []);
  assert.deepEqual(await listPlus(h, 'd', callerOf(4712)), ['a', 'b', 'c'], 'another walk');
  await h.at('f/a');
  assert.deepEqual(await listPlus(h, 'g', finder), ['a', 'b', 'c'], 'it asked after all');
});

test('a walk that looks up what it listed is told all attributes', async () => {
  const h = await fourDirectories();
  const copier = callerOf(4711);
  assert.deepEqual(await listPlus(h, 'd', copier), ['a', 'b', 'c']);
  assert.deepEqual(await listPlus(h, 'e', copier), ['b', 'c']);
  await h.at('e/a');
  assert.deepEqual(await listPlus(h, 'f', copier), ['a', 'b', 'c']);
  assert.deepEqual(await listPlus(h, 'g', copier), ['a', 'b', 'c']);
});

test('who cannot be told apart from others is always told attributes', async () => {
  const h = await fourDirectories();
  for (const directory of ['d', 'e', 'f', 'g']) assert.deepEqual(await listPlus(h, directory, callerOf(0)), ['a', 'b', 'c']);
});

test('a removed directory that is still open is empty', async () => {
  const h = harness();
  await h.vfs.mkdir(h.me, ROOT_INO, 'd', 0o755);
  const { ino } = (await h.at('d')).attributes;
  const handle = await h.vfs.opendir(h.me, ino);
  await h.vfs.rmdir(h.me, ROOT_INO, 'd');
  assert.deepEqual((await readAll(h, ino, handle)).length, 2);
  assert.throws(() => h.vfs.lookup(h.me, ino, 'x'), { kind: 'not-found' });
});

test('a directory that is not empty stays', async () => {
  const h = harness();
  await h.vfs.mkdir(h.me, ROOT_INO, 'd', 0o755);
  await h.makeFile('d/x');
  assert.throws(() => h.vfs.rmdir(h.me, ROOT_INO, 'd'), { kind: 'not-empty' });
  assert.ok(await h.find('d/x'));
});

test('a change by another node takes the name and the inode back from the kernel', async () => {
  const h = harness();
  const mounted = await createMemoryDriver().mount(h.vfs);
  h.vfs.attach(mounted);
  const { attributes } = await h.makeFile('a', 'old');
  h.filestore.writeElsewhere('a', Buffer.from('newer'));
  assert.deepEqual(mounted.invalidated, [{ ino: attributes.ino }, { parent: ROOT_INO, name: 'a' }]);
  h.filestore.writeElsewhere('never-looked-up', Buffer.from(''));
  assert.deepEqual(mounted.invalidated.at(-1), { parent: ROOT_INO, name: 'never-looked-up' });
  await mounted.unmount('clean');
});

test('who has to wait until the kernel has forgotten a file waits for a moment at the most', async () => {
  const filestore = new MemoryFilestore();
  let changed: ChangeListener = () => undefined;
  filestore.onChange = (listener) => (changed = listener);
  const vfs = createVfs(filestore, { uid: 0, gid: 0, log: SILENT_LOG });
  let tell = (): void => undefined;
  const mounted = await createMemoryDriver().mount(vfs);
  vfs.attach({ ...mounted, invalidateInode: () => () => new Promise<void>((resolve) => (tell = resolve)) });
  filestore.writeElsewhere('a', Buffer.from('x'));
  assert.equal(changed('a'), undefined, 'the kernel has not asked for it');
  await vfs.lookup(callerOf(), ROOT_INO, 'a');
  const told: unknown[] = [];
  const waiting = changed('a')?.().then(() => told.push('told'));
  await settle();
  assert.deepEqual(told, []);
  tell();
  await waiting;
  assert.deepEqual(told, ['told']);
  // The kernel is never told.
  const alive = setInterval(() => undefined, 1000);
  const waitMs = async (): Promise<number> => {
    const startedMs = performance.now();
    await changed('a')?.();
    return performance.now() - startedMs;
  };
  const [first, second] = [await waitMs(), await waitMs()];
  clearInterval(alive);
  assert.ok(first > 400 && first < 5_000 && second < 400, `waited for ${first} ms, then for ${second} ms`);
  await mounted.unmount('clean');
});
