/** What the background sends, in which order, and when: writers first, but none of them for ever. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createLog } from '../../../src/base/log.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import type { BlobCache } from '../../../src/cache/cache.js';
import { openFilestore } from '../../../src/filestore/open-filestore.js';
import type { RunningFilestore } from '../../../src/filestore/filestore-options.js';
import { owedDeletes, owedWrites, owesNothing, sumOfWrites } from '../../../src/filestore/owed.js';
import { createMemoryDriver, type MemoryMount } from '../../helpers/memory-driver.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { filestoreSettings } from '../../helpers/filestore-settings.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { open, sealBlob } from '../spool/spools.js';

describe('what is owed to Swift', () => {
  it('is counted without temporaries and without deletes that wait, oldest first', async () => {
    const directory = tempDir('owed');
    const spool = await open(directory);
    try {
      assert.equal(owesNothing(spool), true);
      assert.deepEqual(sumOfWrites(spool), { count: 0, bytes: 0, oldestMs: undefined });
      await sealBlob(spool, blobOf('temporary'), 'upload/x');
      spool.bury('waits', { owedToSwift: true, dueAtMs: Date.now() + 3600_000 });
      spool.bury('an origin has it', { owedToSwift: false });
      assert.equal(owesNothing(spool), true);
      const [a, b] = [await sealBlob(spool, makeBlob(1, 1000), 'a'), await sealBlob(spool, makeBlob(2, 2000), 'b')];
      const again = await sealBlob(spool, makeBlob(3, 4000), 'a');
      assert.deepEqual([...owedWrites(spool)], [b, again]);
      assert.deepEqual(sumOfWrites(spool), { count: 2, bytes: 6000, oldestMs: Math.min(b.sealedAtMs, again.sealedAtMs) });
      assert.equal(await spool.markPublished(a, { keepFile: false }), false);
      const due = spool.bury('a', { owedToSwift: true });
      assert.deepEqual([...owedDeletes(spool)], [due]);
      assert.equal(owesNothing(spool), false);
    } finally {
      await spool.close();
      removeDir(directory);
    }
  });
});

describe('publishing behind writers', () => {
  let store: MemoryStore;
  let directory: string;
  let filestore: RunningFilestore;
  let cache: BlobCache;
  let mount: MemoryMount;
  let awake: NodeJS.Timeout;
  let puts: number;
  beforeEach(async () => {
    // The product's own timers keep no process alive.
    awake = setInterval(() => undefined, 1000);
    directory = tempDir('behind');
    puts = 0;
    store = new MemoryStore();
    store.before = (request) => {
      if (request.method === 'put') puts += 1;
      return Promise.resolve();
    };
    const log = createLog('error', (line) => assert.fail(line));
    cache = await openCache({ directory: path.join(directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
    const settings = filestoreSettings(path.join(directory, 'spool'), { writeMode: 'back' });
    filestore = await openFilestore(settings, { store, cache, origin: undefined, log });
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
    mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
  });
  afterEach(async () => {
    clearInterval(awake);
    await mount.unmount('detach');
    await filestore.close();
    await cache.close();
    removeDir(directory);
  });

  const write = async (content: string): Promise<void> => {
    const blob = blobOf(content);
    await mount.client.mkdir(blob.name.slice(0, 2)).catch(() => undefined);
    await mount.client.writeFile(blob.name, blob.content);
  };

  it('a writer who never pauses does not keep what is pending from Swift', async () => {
    for (let n = 0; puts === 0; n++) await write(`blob ${n}`);
  });

  it('a stop does not wait for a PUT that is not answered', async () => {
    store.before = ({ method }) => (method === 'put' ? new Promise(() => undefined) : Promise.resolve());
    await write('first');
    assert.equal(await filestore.drain(3_000), false);
  });

  it('a stop does not wait for writers to be quiet', async () => {
    for (let n = 0; n < 20; n++) await write(`blob ${n}`);
    assert.equal(await filestore.drain(60_000), true);
    assert.equal(puts, 20);
    assert.equal(filestore.databases[0]?.pendingWrites, 0);
  });
});
