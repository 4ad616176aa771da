/** The driver without a kernel: what tests of file systems stand on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { createMemoryDriver } from '../../helpers/memory-driver.js';
import { TreeFileSystem } from './tree-file-system.js';

const hasKind = (kind: string) => (error: unknown) => error instanceof FilestoreError && error.kind === kind;

test('path calls do what they do on a disk, and hold nothing afterwards', async () => {
  const tree = new TreeFileSystem();
  const { client } = await createMemoryDriver().mount(tree);
  await client.mkdir('d');
  await client.writeFile('d/a', 'one');
  await client.writeFile('d/a', ' two', 'a');
  assert.equal((await client.readFile('d/a')).toString(), 'one two');
  await client.rename('d/a', 'd/b');
  assert.deepEqual(await client.readdir('d'), ['b']);
  assert.equal((await client.stat('d/b')).sizeBytes, 7);
  await client.truncate('d/b', 3);
  await client.utimes('d/b', 1000, 2000);
  assert.equal((await client.stat('d/b')).mtimeMs, 2000);
  assert.equal(await client.exists('d/a'), false);
  await assert.rejects(client.rmdir('d'), hasKind('not-empty'));
  await assert.rejects(client.readFile('d'), hasKind('is-directory'));
  await assert.rejects(client.stat('d/b/c'), hasKind('not-directory'));
  await assert.rejects(client.writeFile('d/b', '', 'wx'), hasKind('exists'));
  await client.unlink('d/b');
  await client.rmdir('d');
  assert.equal(client.heldLookups.size, 0);
  assert.equal(tree.openHandles, 0);
  assert.ok([...tree.nodes.values()].every((node) => node.lookups === 0));
});

test('a clean unmount is refused while a file is open', async () => {
  const mounted = await createMemoryDriver().mount(new TreeFileSystem());
  const file = await mounted.client.open('a', 'w');
  await assert.rejects(mounted.unmount('clean'), hasKind('busy'));
  await file.close();
  await mounted.unmount('clean');
  await mounted.ended;
});

test('close() carries the failure of FLUSH and still releases', async () => {
  const tree = new TreeFileSystem();
  const { client } = await createMemoryDriver().mount(tree);
  const file = await client.open('a', 'w');
  tree.before = (operation) => {
    if (operation === 'flush') throw new FilestoreError('no-space', 'full');
    return undefined;
  };
  await assert.rejects(file.close(), hasKind('no-space'));
  assert.equal(tree.openHandles, 0);
});

test('a request past its deadline fails and its signal fires', async () => {
  const tree = new TreeFileSystem();
  const { client } = await createMemoryDriver().mount(tree, { requestDeadlineMs: 20 });
  let hasFired = false;
  tree.before = (_operation, caller) => {
    caller?.signal.addEventListener('abort', () => (hasFired = true));
    return new Promise(() => undefined);
  };
  await assert.rejects(client.stat(''), hasKind('unavailable'));
  assert.equal(hasFired, true);
});
