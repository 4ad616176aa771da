/** What is known of a file that is looked up or read. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { makeBlob } from '../../../helpers/blobs.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode, openFiles } from './held-node.js';

describe('what may interleave with a lookup or a read', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('what was written long ago is there, also in a container that holds only what this mount put there', async () => {
    const client = await node.start({ nodes: 'one', negativeTtlMs: 1_000 });
    const blob = makeBlob(7, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.writeFile('notes.txt', Buffer.from('old'));
    await node.drained();
    // An unknown name makes the mount count what is there.
    await assert.rejects(client.stat('unknown.txt'), /no such file/);
    const now = performance.now.bind(performance);
    const clock = mock.method(performance, 'now', () => now() + 1000 * 86_400_000);
    try {
      assert.equal((await client.stat('notes.txt')).sizeBytes, 3);
      assert.equal((await client.stat(blob.name)).sizeBytes, 1000);
      await client.unlink('notes.txt');
      await assert.rejects(client.stat('notes.txt'), /no such file/);
    } finally {
      clock.mock.restore();
    }
  });

  it('a blob that is hashed while it is opened is held by its readers alone', async () => {
    const client = await node.start();
    const blob = makeBlob(8, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await node.drained();
    await node.stop();
    await node.start();
    assert.deepEqual(await node.client.readFile(blob.name), blob.content);
    const key = `sha1-${blob.sha1}` as const;
    node.cache.forget(key);
    await eventually('its last descriptor is closed', () => !openFiles().some((file) => file.includes(key)));
  });

  it('A read that Swift answers with "not there" forgets no name that was written meanwhile.', async () => {
    const blob = makeBlob(1, 2000);
    node.store.plant(CONTAINER, blob.name, blob.content);
    const client = await node.start();
    assert.equal((await client.stat(blob.name)).sizeBytes, 2000);
    await eventually('the name is known', () => node.filestore.databases[0]?.knownNames === 1);
    node.store.uproot(CONTAINER, blob.name);
    let asked = 0;
    const container = node.hold(({ method }) => method === 'headContainer' && asked === 2);
    const { before } = node.store;
    node.store.before = async (request) => {
      if (request.method === 'get') asked++;
      await before?.(request);
    };
    const reading = client.readFile(blob.name);
    await container.held;
    await client.writeFile(blob.name, blob.content);
    container.go();
    assert.deepEqual(await reading, blob.content);
    assert.equal(node.filestore.databases[0]?.knownNames, 1);
  });
});
