/** Deletes: what is still being published, still open, or stored anew meanwhile. */
import assert from 'node:assert/strict';
import { closeSync, futimesSync, openSync, readdirSync, utimesSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeBlob } from '../../../helpers/blobs.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode, openFiles } from './held-node.js';

describe('what may interleave with a delete', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('what is deleted while it is being published is not stored after its delete, which would look like the work of another node', async () => {
    const client = await node.startInContainer();
    const blob = makeBlob(12, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    const put = node.hold(({ method }) => method === 'put');
    await client.writeFile(blob.name, blob.content);
    await put.held;
    await client.unlink(blob.name);
    put.go();
    await node.drained();
    await assert.rejects(client.stat(blob.name), /no such file/);
    assert.deepEqual(node.store.names(CONTAINER), ['first.txt']);
  });

  it('a blob that is owed to Swift and deleted is read on by who has it open', async () => {
    const client = await node.start();
    const blob = makeBlob(61, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    node.store.down = true;
    await client.writeFile(blob.name, blob.content);
    const file = await client.open(blob.name, 'r');
    const sealed = (): string[] => openFiles().filter((name) => name.startsWith(node.directory) && name.includes('/sealed/'));
    assert.equal(sealed().length, 1);
    await client.unlink(blob.name);
    await eventually('the sealed file is gone', () => sealed().every((name) => name.endsWith(' (deleted)')));
    assert.deepEqual(Buffer.from(await file.read(0, blob.content.length)), blob.content);
    await file.close();
    node.store.down = false;
  });

  it('who has a deleted blob open reads nothing of what somebody wrote into its sealed file before', async () => {
    const client = await node.start();
    const blob = makeBlob(62, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    node.store.down = true;
    await client.writeFile(blob.name, blob.content);
    const sealed = (): string[] => openFiles().filter((name) => name.startsWith(node.directory) && name.includes('/sealed/'));
    await eventually('it is on the disk', () => readdirSync(path.join(node.directory, 'spool/v1/db/sealed')).length === 1);
    const [name = assert.fail('no sealed file')] = readdirSync(path.join(node.directory, 'spool/v1/db/sealed'));
    const lying = path.join(node.directory, 'spool/v1/db/sealed', name);
    // A whole second, which can be put back exactly.
    utimesSync(lying, 1_700_000_000, 1_700_000_000);
    const file = await client.open(blob.name, 'r');
    assert.deepEqual(Buffer.from(await file.read(0, 1000)), blob.content.subarray(0, 1000));
    const own = openSync(lying, 'r+');
    writeSync(own, Buffer.alloc(300_000, 'x'), 0, 300_000, 0);
    futimesSync(own, 1_700_000_000, 1_700_000_000);
    closeSync(own);
    await client.unlink(blob.name);
    await eventually('the sealed file is gone', () => sealed().length > 0 && sealed().every((open) => open.endsWith(' (deleted)')));
    node.store.down = false;
    await assert.rejects(file.read(0, 1000));
    await file.close();
  });

  it('a blob that is written once more and then deleted is read on by who has it open', async () => {
    const client = await node.start();
    const blob = makeBlob(62, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    const file = await client.open(blob.name, 'r');
    await client.writeFile(blob.name, blob.content);
    await client.unlink(blob.name);
    await node.drained();
    assert.deepEqual(Buffer.from(await file.read(0, blob.content.length)), blob.content);
    await file.close();
  });

  it('a file that was deleted does not rise again when a directory that took its name goes', async () => {
    const client = await node.start({ writeMode: 'back' });
    await client.writeFile('d', Buffer.from('file'));
    await node.drained();
    node.store.down = true;
    await client.unlink('d');
    await client.mkdir('d');
    assert.deepEqual(await client.readdir(''), ['d']);
    assert.equal((await client.stat('d')).kind, 'directory');
    node.store.down = false;
    await eventually('Swift is told', () => node.store.peek(CONTAINER, 'd') === undefined);
    assert.deepEqual(await client.readdir(''), ['d']);
    await client.rmdir('d');
    assert.equal(await client.exists('d'), false);
    assert.deepEqual(await client.readdir(''), []);
  });

  it('what another node stores while the trash copy of a delete that waited is made stays', async () => {
    const client = await node.start({ nodes: 'many', gcGraceMs: 50, deleteRetentionMs: 86_400_000 });
    const blob = makeBlob(60, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    const { held, go } = node.hold(({ method }) => method === 'copy');
    await client.unlink(`${blob.name}.__gc`);
    await held;
    await node.store.put(CONTAINER, blob.name, { sizeBytes: 1000, md5: blob.md5, read: (from, to) => blob.content.subarray(from, to) });
    go();
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), [blob.name]);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });
});
