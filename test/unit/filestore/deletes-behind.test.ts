/** Deletes in the background, over a store in memory: what Swift refuses of one holds up no other. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import { openFilestore } from '../../../src/filestore/open-filestore.js';
import { createMemoryDriver } from '../../helpers/memory-driver.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { makeBlobs } from '../../helpers/blobs.js';
import { filestoreSettings } from '../../helpers/filestore-settings.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { tempDir } from '../../helpers/temp-dir.js';

test('A file that Swift refuses to copy to the trash keeps no other delete waiting, however many are owed.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const cache = await openCache({ directory: tempDir('deletes-cache'), budgetBytes: 1 << 30, floorBytes: 0, log: log.log() });
  const settings = filestoreSettings(tempDir('deletes-spool'), { deleteRetentionMs: 3_600_000 });
  const filestore = await openFilestore(settings, { store, cache, origin: undefined, log: log.log() });
  const vfs = createVfs(filestore, { uid: 0, gid: 0, log: log.log() });
  const mount = await createMemoryDriver().mount(vfs);
  vfs.attach(mount);
  const { client } = mount;
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
    await mount.unmount('detach');
    await filestore.close();
    await cache.close();
  }
});
