/** Deletes in the background, over a store in memory: what Swift refuses of one holds up no other. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { makeBlobs } from '../../helpers/blobs.js';
import { mountInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';

test('A file that Swift refuses to copy to the trash keeps no other delete waiting, however many are owed.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const { filestore, client, close } = await mountInMemory(store, log, { deleteRetentionMs: 3_600_000 });
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
