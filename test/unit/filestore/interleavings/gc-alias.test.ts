/** What the newest Odoo renames to `.__gc` before it deletes it. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeBlob } from '../../../helpers/blobs.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with a rename to `.__gc`', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('a blob renamed onto its name is there, although its old self still waits behind `.__gc`', async () => {
    const client = await node.start();
    const blob = makeBlob(1, 2000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.mkdir('upload');
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    const put = node.hold(({ method }) => method === 'put');
    await client.writeFile('upload/t', blob.content);
    await client.rename('upload/t', blob.name);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    await client.unlink(`${blob.name}.__gc`);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    put.go();
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), [blob.name]);
  });

  it('A blob whose PUT was still owed when it was renamed to `.__gc` stays behind that name, and goes with it.', async () => {
    const client = await node.start({ writeMode: 'back' });
    const [gone, back] = [makeBlob(1, 2000), makeBlob(2, 2000)] as const;
    for (const blob of [gone, back]) {
      const put = node.hold(({ method, name }) => method === 'put' && name === blob.name);
      await client.mkdir(blob.sha1.slice(0, 2));
      await client.writeFile(blob.name, blob.content);
      await put.held;
      await client.rename(blob.name, `${blob.name}.__gc`);
      put.go();
      await node.drained();
      assert.equal(await client.exists(blob.name), false);
      assert.deepEqual(await client.readdir(blob.sha1.slice(0, 2)), [`${blob.sha1}.__gc`]);
      assert.deepEqual(await client.readFile(`${blob.name}.__gc`), blob.content);
    }
    await client.unlink(`${gone.name}.__gc`);
    await client.rename(`${back.name}.__gc`, back.name);
    await node.drained();
    assert.equal(await client.exists(gone.name), false);
    assert.deepEqual(await client.readFile(back.name), back.content);
    assert.deepEqual(node.store.names(CONTAINER), [back.name]);
  });

  it('a blob that goes by way of `.__gc` in the moment of its PUT does not come back when the grace is over', async () => {
    const client = await node.start({ nodes: 'many', writeMode: 'back', gcGraceMs: 100 });
    await client.writeFile('first.txt', Buffer.from('the container is there'));
    await node.drained();
    const blob = makeBlob(1, 2000);
    await client.mkdir(blob.sha1.slice(0, 2));
    let isSent = false;
    node.store.before = async ({ method, name }) => {
      if (method !== 'put' || name !== blob.name) return;
      isSent = true;
      await new Promise((resolve) => setTimeout(resolve, 100));
      // Swift has all of it, whether or not the connection stands until it answers.
      node.store.plant(CONTAINER, blob.name, blob.content);
    };
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    await eventually('it is being stored', () => isSent);
    await client.unlink(`${blob.name}.__gc`);
    await eventually('it was stored', () => node.store.peek(CONTAINER, blob.name) !== undefined);
    await eventually('it is gone', () => node.store.peek(CONTAINER, blob.name) === undefined);
    assert.equal(await client.exists(blob.name), false);
  });

  it('A name that waits behind `.__gc` is not forgotten because Swift cannot be asked for its blob.', async () => {
    const client = await node.start({ lookupWaitMs: 100 });
    const blob = makeBlob(1, 2000);
    const alias = `${blob.name}.__gc`;
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, alias);
    await node.drained();
    await node.stop();
    // Without its list of names the mount cannot say what Swift has.
    rmSync(path.join(node.directory, 'spool/v1/db/names-1'));
    node.store.down = true;
    const later = await node.start({ lookupWaitMs: 100 });
    assert.equal(await later.exists(alias), false);
    node.store.down = false;
    await eventually('Swift is back', () => node.filestore.databases[0]?.state === 'serving');
    assert.equal(await later.exists(blob.name), false);
    assert.deepEqual(await later.readFile(alias), blob.content);
  });

  it('an alias left over from a blob that another node deleted does not hide the blob that it writes anew', async () => {
    const client = await node.start({ nodes: 'many' });
    const blob = makeBlob(1, 2000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    node.store.uproot(CONTAINER, blob.name);
    await assert.rejects(client.rename(`${blob.name}.__gc`, blob.name), { kind: 'not-found' });
    node.store.plant(CONTAINER, blob.name, blob.content);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });
});
