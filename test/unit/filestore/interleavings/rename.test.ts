/** Renames: of what is owed to Swift, onto what is owed, and to content names. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FilestoreError } from '../../../../src/base/errors.js';
import { makeBlob } from '../../../helpers/blobs.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with a rename', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('a rename of what waits for Swift counts as a close of its target at that moment', async () => {
    const client = await node.startInContainer();
    await client.writeFile('to.txt', Buffer.from('first'));
    await node.drained();
    node.store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
    await client.writeFile('from.txt', Buffer.from('renamed'));
    await delay(20);
    node.store.plant(CONTAINER, 'to.txt', Buffer.from('theirs'), { node: 'another', closed: String(Date.now()) });
    await delay(20);
    await client.rename('from.txt', 'to.txt');
    node.store.before = undefined;
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'to.txt')?.toString(), 'renamed');
  });

  it('a rename onto a name whose bytes are still owed takes their place, also after a restart', async () => {
    const client = await node.start({ nodes: 'many', writeMode: 'back' });
    await client.writeFile('a.1', Buffer.from('one'));
    await node.drained();
    node.store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('busy', 'no')) : undefined);
    await client.writeFile('a.2', Buffer.from('two'));
    await client.rename('a.1', 'a.2');
    assert.equal((await client.readFile('a.2')).toString(), 'one');
    node.store.before = undefined;
    await node.stop();
    const again = await node.start({ nodes: 'many', writeMode: 'back' });
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), ['a.2']);
    assert.equal(node.store.peek(CONTAINER, 'a.2')?.toString(), 'one');
    assert.equal((await again.readFile('a.2')).toString(), 'one');
  });

  it('a rename onto a name whose delete is still owed is not undone by that delete', async () => {
    const client = await node.start();
    await client.writeFile('a.1', Buffer.from('one'));
    await client.writeFile('a.2', Buffer.from('two'));
    const copy = node.hold(({ method }) => method === 'copy');
    await client.unlink('a.2');
    const renamed = client.rename('a.1', 'a.2');
    await copy.held;
    copy.go();
    await renamed;
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), ['a.2']);
    assert.equal((await client.readFile('a.2')).toString(), 'one');
  });

  it('what another node puts under a name while it is renamed to a content name is never stored under that', async () => {
    const client = await node.start({ nodes: 'many' });
    const blob = makeBlob(9, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile('upload.bin', blob.content);
    await node.drained();
    // Once its bytes were read: at the first request that changes anything.
    node.store.before = async ({ method }) => {
      if (method === 'copy' || method === 'put') node.store.plant(CONTAINER, 'upload.bin', makeBlob(10, 1000).content);
    };
    await client.rename('upload.bin', blob.name);
    await node.drained();
    assert.deepEqual(node.store.peek(CONTAINER, blob.name), blob.content);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    node.store.before = undefined;
    const wrong = makeBlob(11, 1000);
    await client.writeFile('wrong.bin', blob.content);
    await node.drained();
    await client.mkdir(wrong.sha1.slice(0, 2));
    await assert.rejects(client.rename('wrong.bin', wrong.name), /does not hash to/);
    assert.deepEqual(await client.readFile('wrong.bin'), blob.content);
    assert.equal(node.store.peek(CONTAINER, wrong.name), undefined);
  });

  it('What rsync writes beside a content name (`xx/.SHA.XXXXXX`) reaches Swift under that name alone.', async () => {
    const client = await node.start();
    const [blob, torn] = [makeBlob(1, 2000), makeBlob(2, 2000)] as const;
    const shard = blob.sha1.slice(0, 2);
    await client.mkdir(shard);
    await eventually('the list is complete', () => (node.store.counts.list ?? 0) > 0);
    node.store.clearRequests();
    const temporary = `${shard}/.${blob.sha1}.aB3xYz`;
    await client.writeFile(temporary, blob.content);
    await client.utimes(temporary, 1_000_000_000, 1_000_000_000);
    assert.deepEqual(await client.readdir(shard), [`.${blob.sha1}.aB3xYz`]);
    await client.rename(temporary, blob.name);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    await node.drained();
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(node.store.names(CONTAINER), [blob.name]);
    const { put, copy, delete: deleted, updateMetadata } = node.store.counts;
    assert.deepEqual({ put, copy, deleted, updateMetadata }, { put: 1, copy: undefined, deleted: undefined, updateMetadata: undefined });
    await client.writeFile(temporary, torn.content);
    await assert.rejects(client.rename(temporary, blob.name), { kind: 'corrupt' });
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    // What only looks like it is a file like any other.
    for (const name of [`.${blob.sha1}.aB3xYz`, `zz/.${blob.sha1}.aB3xYz`, `${shard}/.${blob.sha1}.aB3xY`]) {
      if (name.startsWith('zz')) await client.mkdir('zz');
      await client.writeFile(name, Buffer.from(name));
      await node.drained();
      assert.equal(node.store.peek(CONTAINER, name)?.toString(), name === `.${blob.sha1}.aB3xYz` ? undefined : name, name);
    }
  });

  it('a rename while the old name is on its way to Swift leaves one name', async () => {
    const client = await node.start({ writeMode: 'back' });
    const put = node.hold(({ method, name }) => method === 'put' && name === 'a');
    await client.writeFile('a', Buffer.from('bytes'));
    await put.held;
    await client.rename('a', 'b');
    put.go();
    await node.drained();
    await eventually('the old name is gone', () => node.store.peek(CONTAINER, 'a') === undefined);
    assert.equal(node.store.peek(CONTAINER, 'b')?.toString(), 'bytes');
  });

  it('what Swift has is not renamed to a name that Swift never has', async () => {
    const client = await node.start();
    const blob = makeBlob(1, 2000);
    await client.mkdir('upload');
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile(blob.name, blob.content);
    await assert.rejects(client.rename('a', 'upload/a'), { kind: 'cross-device' });
    await assert.rejects(client.rename(blob.name, `${blob.name}.__new`), { kind: 'cross-device' });
    await assert.rejects(client.rename('a', `${blob.name}.__gc`), { kind: 'not-permitted' });
    assert.equal((await client.readFile('a')).toString(), 'a');
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });
});
