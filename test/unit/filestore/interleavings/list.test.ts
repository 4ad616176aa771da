/** Listings: of directories, and of the container. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { FilestoreError, StoreFaltered } from '../../../../src/base/errors.js';
import { blobOf, makeBlob } from '../../../helpers/blobs.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

/** The clock of all that is remembered, some hours on. */
function laterBy(hours: number): { restore(): void } {
  const now = performance.now.bind(performance);
  return mock.method(performance, 'now', () => now() + hours * 3_600_000).mock;
}

describe('what may interleave with a listing', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('a directory that is known is listed with its attributes until it is removed, and nobody has to be asked for it', async () => {
    const client = await node.start({ nodes: 'one' });
    const requester = { pid: 1, signal: new AbortController().signal };
    const listed = async (): Promise<[string, string | undefined, number | undefined][]> =>
      (await node.filestore.list('', requester))().map(({ name, stat }) => [name, stat?.kind, stat?.validMs]);
    await client.mkdir('ab');
    await client.mkdir('d');
    await listed();
    const requests = { ...node.store.counts };
    const { validMs } = (await node.filestore.lookup('ab', requester)) ?? assert.fail('not there');
    assert.deepEqual(await listed(), [
      ['ab', 'directory', validMs],
      ['d', 'directory', validMs],
    ]);
    await client.rmdir('d');
    assert.deepEqual(await listed(), [['ab', 'directory', validMs]]);
    assert.deepEqual(node.store.counts, requests);
  });

  it('Objects that are no files of the database, as other tools leave them, are not shown and hold nothing up.', async () => {
    const blob = makeBlob(1, 2000);
    const shard = blob.sha1.slice(0, 2);
    node.store.plant(CONTAINER, blob.name, blob.content);
    const others = [`${shard}/`, `${shard}//x`, 'docs/', 'a/../b', 'n'.repeat(300), `${blob.name}.__gc`, `${blob.name}.__new`];
    const copies = ['upload/t', 'checklist', `checklist/${blob.name}`, `${shard}/.${blob.sha1}.aB3xYz`];
    for (const name of [...others, ...copies]) node.store.plant(CONTAINER, name, Buffer.from('x'));
    for (const name of [shard, 'upload']) node.store.plant(CONTAINER, name, Buffer.alloc(0));
    const client = await node.start();
    await eventually('the list is complete', () => node.filestore.databases[0]?.knownNames === 1);
    assert.deepEqual(await client.readdir(''), [shard]);
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    for (const name of ['docs', 'a', 'upload', 'checklist', `${blob.name}.__gc`]) assert.equal(await client.exists(name), false, name);
    for (const name of ['docs', 'upload']) {
      await client.mkdir(name);
      await client.rmdir(name);
    }
    await client.unlink(blob.name);
    await client.rmdir(shard);
    assert.deepEqual(await client.readdir(''), []);
  });

  it('a complete listing keeps what is not `xx/SHA`: old three-digit names, flat names, other files', async () => {
    const [three, flat, canonical] = [blobOf('three'), blobOf('flat'), blobOf('canonical')];
    node.store.plant(CONTAINER, `${three.sha1.slice(0, 3)}/${three.sha1}`, three.content);
    node.store.plant(CONTAINER, flat.sha1, flat.content);
    node.store.plant(CONTAINER, canonical.name, canonical.content);
    node.store.plant(CONTAINER, 'notes.txt', Buffer.from('notes'));
    const client = await node.start();
    await eventually('the list is complete', () => node.filestore.databases[0]?.knownNames === 4);
    const top = [three.sha1.slice(0, 3), flat.sha1, canonical.sha1.slice(0, 2), 'notes.txt'].sort();
    assert.deepEqual((await client.readdir('')).sort(), top);
    assert.deepEqual(await client.readdir(three.sha1.slice(0, 3)), [three.sha1]);
    assert.deepEqual(await client.readFile(`${three.sha1.slice(0, 3)}/${three.sha1}`), three.content);
    node.store.down = true;
    assert.equal((await client.stat(flat.sha1)).sizeBytes, flat.content.length);
  });

  it('a listing asks for what it did not show, so that what another node deleted ends in listings too', async () => {
    const client = await node.start({ nodes: 'many' });
    const blob = makeBlob(1, 2000);
    const shard = blob.sha1.slice(0, 2);
    await client.mkdir(shard);
    await client.mkdir('docs');
    await client.writeFile(blob.name, blob.content);
    await client.writeFile('docs/one', Buffer.from('one'));
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(await client.readdir('docs'), ['one']);
    node.store.uproot(CONTAINER, blob.name);
    node.store.uproot(CONTAINER, 'docs/one');
    assert.deepEqual(await client.readdir(shard), []);
    assert.deepEqual(await client.readdir('docs'), []);
  });

  it('A listing of a shard takes nothing away that this machine stored, with `nodes: one`, however long it lags.', async () => {
    const client = await node.start({ nodes: 'one' });
    const blob = makeBlob(1, 2000);
    const shard = blob.sha1.slice(0, 2);
    await client.mkdir(shard);
    await client.writeFile(blob.name, blob.content);
    await node.drained();
    const clock = laterBy(2);
    try {
      node.store.before = ({ method }) => {
        if (method === 'list') node.store.uproot(CONTAINER, blob.name);
      };
      assert.deepEqual(await client.readdir(shard), [blob.sha1]);
      assert.equal(node.filestore.databases[0]?.knownNames, 1);
      node.store.down = true;
      assert.equal((await client.stat(blob.name)).sizeBytes, 2000);
      node.store.down = false;
    } finally {
      clock.restore();
    }
  });

  it('Names that no listing has shown for long are forgotten only where those of them that are asked for are gone.', async () => {
    const blobs = Array.from({ length: 250 }, (_, index) => makeBlob(100 + index, 50));
    for (const { name, content } of [...blobs, makeBlob(99, 50)]) node.store.plant(CONTAINER, name, content);
    const client = await node.start({ nodes: 'one' });
    const known = (): number | undefined => node.filestore.databases[0]?.knownNames;
    await eventually('the list is complete', () => known() === 251);
    let clock = laterBy(2);
    try {
      // The object servers have them all, and the container servers one.
      node.store.before = ({ method }) => {
        for (const { name, content } of blobs) {
          if (method === 'list') node.store.uproot(CONTAINER, name);
          else node.store.plant(CONTAINER, name, content);
        }
      };
      // So long after the last listing of everything the directory above is listed with everything.
      const before = node.store.counts.head ?? 0;
      await client.readdir('');
      assert.equal((node.store.counts.head ?? 0) - before, 200);
      assert.equal(known(), 251);
      node.store.before = undefined;
      for (const { name } of blobs) node.store.uproot(CONTAINER, name);
      clock.restore();
      clock = laterBy(4);
      await client.readdir('');
      assert.equal(known(), 1, 'the others are forgotten with those that were asked for');
    } finally {
      clock.restore();
    }
  });

  it('a blob whose HEAD is not answered while others are is there when a listing shows it', async () => {
    const client = await node.start({ nodes: 'many', lookupWaitMs: 300 });
    const [there, absent] = [makeBlob(1, 2000), makeBlob(2, 2000)];
    await eventually('the first listing', () => (node.store.counts.list ?? 0) > 0);
    for (const { sha1 } of [there, absent]) await client.mkdir(sha1.slice(0, 2));
    node.store.plant(CONTAINER, there.name, there.content);
    const slow = new Promise<void>((resolve) => setTimeout(resolve, 5_000));
    node.store.before = ({ method, name }) => (method === 'head' && name.endsWith(there.sha1) ? slow : undefined);
    let asking = true;
    const others = (async () => {
      while (asking) {
        await client.exists(absent.name);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    assert.equal((await client.stat(there.name)).sizeBytes, there.content.length);
    asking = false;
    await others;
    assert.equal(node.filestore.databases[0]?.state, 'serving', 'it was no outage');
    await slow;
  });

  it("One file that Swift can list and not be asked for (a disk of Swift's that fails) holds up no listing.", async () => {
    const client = await node.start({ nodes: 'many', lookupWaitMs: 1_000 });
    await client.writeFile('one', Buffer.from('one'));
    node.store.before = ({ method, name }) => {
      if ((method === 'head' || method === 'delete') && name === 'one') throw new StoreFaltered('its disk fails');
    };
    await client.unlink('one');
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const name of ['one', 'docs/two']) node.store.plant(CONTAINER, name, Buffer.from('of another node'));
    const startedMs = performance.now();
    assert.deepEqual(await client.readdir(''), ['docs']);
    assert.ok(performance.now() - startedMs < 5_000, 'nobody waits for it');
    assert.deepEqual(await client.readdir('docs'), ['two']);
    node.store.before = undefined;
    assert.deepEqual(await client.readdir(''), ['docs', 'one']);
    assert.deepEqual(await client.readFile('one'), Buffer.from('of another node'));
  });

  it('A shard that was said to be there while Swift could not list is there when it can again: who saw it makes none before he writes.', async () => {
    const client = await node.start({ nodes: 'many', lookupWaitMs: 100 });
    await client.writeFile('first.txt', Buffer.from('the container is there'));
    const blob = makeBlob(12, 1000);
    const shard = blob.sha1.slice(0, 2);
    node.store.before = ({ method }) => (method === 'list' ? Promise.reject(new FilestoreError('busy', 'no')) : undefined);
    assert.equal(await client.exists(shard), true);
    node.store.before = undefined;
    await client.writeFile(blob.name, blob.content);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    await node.drained();
  });
});
