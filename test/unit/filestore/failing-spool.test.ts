/** A disk of the spool that refuses its journal, over a store in memory: node:fs is wrapped before the filestore is loaded. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { openCache } from '../../../src/cache/blob-cache.js';
import { makeBlob } from '../../helpers/blobs.js';
import { filestoreSettings } from '../../helpers/filestore-settings.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { bodyOf } from '../../helpers/store-bytes.js';
import { tempDir } from '../../helpers/temp-dir.js';

type OnFile = (fd: number, ...rest: unknown[]) => unknown;

/** The disk has turned read-only under the open journal. */
let isReadOnly = false;
const table = fs as unknown as Record<string, OnFile>;
for (const name of ['writeSync', 'ftruncateSync']) {
  const original = table[name] ?? assert.fail();
  table[name] = (fd, ...rest) => {
    if (isReadOnly && /\/journal(\.new)?$/.test(fs.readlinkSync(`/proc/self/fd/${fd}`)))
      throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
    return original(fd, ...rest);
  };
}
syncBuiltinESMExports();
const { openFilestore } = await import('../../../src/filestore/open-filestore.js');
const { createMemoryDriver } = await import('../../../src/fuse/memory-driver.js');
const { createVfs } = await import('../../../src/vfs/vfs.js');

const [DOOMED, ELSEWHERE] = [makeBlob(1, 1000), makeBlob(2, 1000)] as const;

test('A disk of the spool that fails is no outage of Swift: what only Swift has is found.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const cache = await openCache({ directory: tempDir('failing-cache'), budgetBytes: 1 << 30, floorBytes: 0, log: log.log() });
  const settings = filestoreSettings(path.join(tempDir('failing-spool'), 'spool'), { deleteBoundMs: 60_000 });
  const filestore = await openFilestore(settings, { store, cache, origin: undefined, log: log.log() });
  const vfs = createVfs(filestore, { uid: 0, gid: 0, log: log.log() });
  const mount = await createMemoryDriver().mount(vfs);
  vfs.attach(mount);
  const { client } = mount;
  try {
    await client.mkdir(DOOMED.sha1.slice(0, 2));
    await client.writeFile(DOOMED.name, DOOMED.content);
    // Swift deletes it while the disk turns read-only, and the journal cannot say so.
    store.before = ({ method }) => {
      isReadOnly ||= method === 'delete';
    };
    await client.unlink(DOOMED.name);
    await eventually('Swift was told', () => (store.counts.delete ?? 0) > 0);
    await store.put('odoo-db', ELSEWHERE.name, bodyOf(ELSEWHERE.content));
    for (let look = 0; look < 5; look++) {
      assert.equal(await client.exists(ELSEWHERE.name), true, 'a blob of another hand');
      assert.equal(await client.exists(DOOMED.name), false);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.match(filestore.databases[0]?.reason ?? '', /disk of spool_dir/);
    assert.equal(log.has(/swift\.away/), false);
    store.before = undefined;
    isReadOnly = false;
    assert.equal(await filestore.drain(20_000), true);
    assert.deepEqual(store.names('odoo-db'), [ELSEWHERE.name]);
  } finally {
    isReadOnly = false;
    await mount.unmount('detach');
    await filestore.close();
    await cache.close();
  }
});
