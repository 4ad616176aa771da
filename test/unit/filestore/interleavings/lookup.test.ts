/** Names that are looked up, while servers of Swift lag behind one another and other nodes delete. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { FindOptions } from '../../../../src/store/object-store.js';
import { makeBlob } from '../../../helpers/blobs.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with a lookup', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('A name that is known is asked for twice before it is absent, the second time of all servers.', async () => {
    const client = await node.start({ nodes: 'many', deleteBoundMs: 1 });
    const blob = makeBlob(7, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await node.drained();
    const asked: boolean[] = [];
    const head = node.store.head.bind(node.store);
    node.store.head = (container, name, options: FindOptions = {}) => {
      asked.push(options.newest === true);
      return options.newest === true ? head(container, name, options) : Promise.resolve(undefined);
    };
    assert.equal((await client.stat(blob.name)).sizeBytes, 1000);
    assert.deepEqual(asked, [false, true]);
    assert.equal(node.filestore.databases[0]?.knownNames, 1);
    node.store.uproot(CONTAINER, blob.name);
    assert.equal(await client.exists(blob.name), false);
    assert.deepEqual(asked, [false, true, false, true]);
    assert.equal(node.filestore.databases[0]?.knownNames, 0);
  });

  describe('of a blob whose HEAD is under way when a marker is made', () => {
    let client: HeldNode['client'];
    const blob = makeBlob(8, 1000);
    let head: ReturnType<HeldNode['hold']>;
    let older: Promise<unknown>;
    const mark = (): Promise<void> => client.writeFile(`checklist/${blob.name}`, Buffer.alloc(0));
    beforeEach(async () => {
      client = await node.start({ nodes: 'many', deleteBoundMs: 60_000 });
      const shard = blob.sha1.slice(0, 2);
      for (const directory of [shard, 'checklist', `checklist/${shard}`]) await client.mkdir(directory);
      await client.writeFile(blob.name, blob.content);
      await node.drained();
      await mark();
      head = node.hold(({ method, name }) => method === 'head' && name === blob.name);
      older = client.stat(blob.name).catch(() => undefined);
      await head.held;
    });

    it('A marker makes a node ask whether the blob is there, also while a question that is older is under way.', async () => {
      await mark();
      // The answer of the older question was made before another node's delete, and comes late.
      head.go();
      assert.notEqual(await older, undefined);
      node.store.uproot(CONTAINER, blob.name);
      assert.equal(await client.exists(blob.name), false);
    });

    it('A marker makes a node ask anew rather than wait for the answer to an older question.', async () => {
      node.store.uproot(CONTAINER, blob.name);
      await mark();
      assert.equal(await client.exists(blob.name), false);
      head.go();
      await older;
    });
  });
});
