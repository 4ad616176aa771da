/** Deletes in the background, over a store in memory: what Swift refuses of one holds up no other. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FilestoreError } from '../../../src/base/errors.js';
import { makeBlobs } from '../../helpers/blobs.js';
import { mountInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { bodyOf } from '../../helpers/store-bytes.js';

test('A file that Swift refuses to copy to the trash keeps no other delete waiting, however many are owed.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const { filestore, client, close } = await mountInMemory(store, log.log(), { deleteRetentionMs: 3_600_000 });
  try {
    const blobs = makeBlobs(30);
    const bad = blobs[0]?.name ?? assert.fail();
    for (const { name, content } of blobs) {
      if (!(await client.exists(path.dirname(name)))) await client.mkdir(path.dirname(name));
      await client.writeFile(name, content);
    }
    // As a large object of which a segment is missing: 409, for ever.
    let isRefused = true;
    store.before = ({ method, name }) => {
      if (isRefused && method === 'copy' && name.startsWith(`${bad}>`)) throw new FilestoreError('busy', `COPY ${bad} answered 409`);
    };
    // All of them are owed at once.
    store.down = true;
    for (const { name } of blobs) await client.unlink(name);
    store.down = false;
    await eventually('all others are deleted', () => filestore.databases[0]?.pendingDeletes === 1, 20_000);
    assert.deepEqual(store.names('odoo-db'), [bad]);
    assert.match(filestore.databases[0]?.reason ?? '', /409/);
    isRefused = false;
    assert.equal(await filestore.drain(20_000), true);
    assert.deepEqual(store.names('odoo-db'), []);
    assert.equal(store.names('odoo-db_trash')?.length, blobs.length);
  } finally {
    await close();
  }
});

test('What another node owed at the return of Swift is not destroyed by a delete that had to wait for that return as well.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const { filestore, client, close } = await mountInMemory(store, log.log(), { nodes: 'many' });
  try {
    const [rewritten, gone] = makeBlobs(2);
    assert.ok(rewritten !== undefined && gone !== undefined);
    for (const { name, content } of [rewritten, gone]) {
      if (!(await client.exists(path.dirname(name)))) await client.mkdir(path.dirname(name));
      await client.writeFile(name, content);
    }
    store.down = true;
    for (const { name } of [rewritten, gone]) await client.unlink(name);
    // The other node closed it anew meanwhile, and sends it a second after the return, or between a look of ours and its DELETE.
    let isSent = false;
    const send = async (): Promise<void> => {
      if (isSent) return;
      isSent = true;
      await store.put('odoo-db', rewritten.name, bodyOf(rewritten.content), {});
    };
    store.before = ({ method, name }) => (method === 'delete' && name === rewritten.name ? send() : undefined);
    store.down = false;
    await sleep(1_000);
    await send();
    await eventually('nothing is owed', () => filestore.databases[0]?.pendingDeletes === 0, 20_000);
    assert.deepEqual(store.names('odoo-db'), [rewritten.name]);
    assert.deepEqual(Buffer.from(await client.readFile(rewritten.name)), rewritten.content);
  } finally {
    await close();
  }
});
