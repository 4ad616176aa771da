import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { openOrigin } from '../../../src/origins/directory-origin.js';
import type { Origin } from '../../../src/origins/origin.js';
import { tempDir } from '../../helpers/temp-dir.js';

const PATIENT = new AbortController().signal;
const PATIENCE = { answerMs: 30_000, silentMs: 400 };

function makeTree(): string {
  const directory = tempDir('origin');
  mkdirSync(join(directory, 'db', 'ab'), { recursive: true });
  writeFileSync(join(directory, 'db', 'ab', 'file'), 'hello');
  utimesSync(join(directory, 'db', 'ab', 'file'), 1000, 1000);
  return directory;
}

async function contentOf(origin: Origin, path: string, startByte = 0): Promise<string | undefined> {
  const opened = await origin.source(path).open(startByte, PATIENT);
  return opened === undefined ? undefined : (await buffer(opened.body)).toString();
}

test('An origin tells what is there, lists it and gives its bytes, from any byte on.', async () => {
  const origin = openOrigin(makeTree(), PATIENCE);
  assert.deepEqual(await origin.stat('db/ab/file'), { kind: 'file', sizeBytes: 5, mtimeMs: 1_000_000 });
  assert.equal((await origin.stat('db/ab'))?.kind, 'directory');
  assert.equal((await origin.stat(''))?.kind, 'directory');
  assert.deepEqual(await origin.list(''), [{ name: 'db', kind: 'directory' }]);
  assert.deepEqual(await origin.list('db/ab'), [{ name: 'file', kind: 'file' }]);
  assert.equal(await contentOf(origin, 'db/ab/file'), 'hello');
  assert.equal(await contentOf(origin, 'db/ab/file', 2), 'llo');
  assert.equal(await contentOf(origin, 'db/ab/file', 9), '');
  assert.match(origin.source('db/ab/file').description, /\/db\/ab\/file$/);
  await origin.close();
});

test('What is not there is undefined, also below a file and below a missing directory.', async () => {
  const origin = openOrigin(makeTree(), PATIENCE);
  for (const path of ['nothing', 'db/ab/file/below', 'no/such/way', `db/${'x'.repeat(300)}`]) {
    assert.equal(await origin.stat(path), undefined);
    assert.equal(await origin.list(path), undefined);
    assert.equal(await contentOf(origin, path), undefined);
  }
  assert.equal(await origin.list('db/ab/file'), undefined);
  assert.equal(await contentOf(origin, 'db/ab'), undefined);
  await origin.close();
});

test('A database below the origin is found when it comes to be, and does not close the origin.', async () => {
  const directory = makeTree();
  const origin = openOrigin(directory, PATIENCE);
  const later = origin.below('later');
  assert.equal(await later.stat(''), undefined);
  assert.equal(await later.list(''), undefined);
  mkdirSync(join(directory, 'later'));
  writeFileSync(join(directory, 'later', 'x'), 'y');
  assert.deepEqual(await later.list(''), [{ name: 'x', kind: 'file' }]);
  assert.equal(await contentOf(later, 'x'), 'y');
  await later.close();
  assert.equal((await origin.stat('db'))?.kind, 'directory');
  await origin.close();
});

test('The directory is read through its descriptor, whatever its path leads to by now.', async () => {
  const directory = makeTree();
  const origin = openOrigin(join(directory, 'db'), PATIENCE);
  renameSync(join(directory, 'db'), join(directory, 'moved'));
  mkdirSync(join(directory, 'db'));
  assert.equal(await contentOf(origin, 'ab/file'), 'hello');
  await origin.close();
});

test('Links are followed inside the tree and never out of it; what is behind such a one is unavailable, not absent.', async () => {
  const outside = tempDir('outside');
  writeFileSync(join(outside, 'secret'), 'secret');
  const directory = makeTree();
  const link = (target: string, name: string): void => symlinkSync(target, join(directory, name));
  link('db/ab', 'inside');
  link(join(directory, 'db', 'ab', 'file'), 'absolute');
  link('../db/ab/file', 'db/up');
  link(outside, 'out');
  link(join(outside, 'secret'), 'secret');
  link('../'.repeat(20) + join(outside, 'secret'), 'dots');
  link('circle', 'circle');
  const origin = openOrigin(directory, PATIENCE);
  for (const path of ['inside/file', 'absolute', 'db/up']) assert.equal(await contentOf(origin, path), 'hello', path);
  for (const path of ['out/secret', 'secret', 'dots', 'circle', 'circle/x']) {
    const told = { kind: 'unavailable', message: /symbolic link/ };
    await assert.rejects(origin.stat(path), told, path);
    await assert.rejects(contentOf(origin, path), told, path);
  }
  const listed = (await origin.list(''))?.map(({ name, kind }) => `${kind} ${name}`).sort();
  assert.deepEqual(listed, ['directory db', 'directory inside', 'file absolute']);
  await origin.close();
});

test('Names of any bytes are found, and what is neither file nor directory is not there.', async () => {
  const directory = makeTree();
  writeFileSync(Buffer.from(`${directory}/\xff\xfe`, 'latin1'), 'raw');
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  const origin = openOrigin(directory, PATIENCE);
  assert.equal(await contentOf(origin, '\xff\xfe'), 'raw');
  assert.ok((await origin.list(''))?.some(({ name }) => name === '\xff\xfe'));
  assert.equal(await origin.stat('fifo'), undefined);
  assert.equal(await contentOf(origin, 'fifo'), undefined);
  assert.ok(!(await origin.list(''))?.some(({ name }) => name === 'fifo'));
  await origin.close();
});

test('An origin that cannot be opened says which, and a closed one is unavailable, never empty.', async () => {
  const directory = makeTree();
  assert.throws(() => openOrigin(join(directory, 'none'), PATIENCE), { kind: 'bad-config', message: /none.*option origin/ });
  assert.throws(() => openOrigin(join(directory, 'db', 'ab', 'file'), PATIENCE), { kind: 'bad-config' });
  const origin = openOrigin(directory, PATIENCE);
  await origin.close();
  await origin.close();
  await assert.rejects(origin.stat('db'), { kind: 'unavailable' });
});
