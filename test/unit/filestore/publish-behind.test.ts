/** What the background sends, in which order, and when: writers first, but none of them for ever. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
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
import { eventually } from '../../helpers/processes.js';
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

  const container = (): string => filestore.databases[0]?.container ?? assert.fail('none');
  const isStored = (name: string): boolean => store.peek(container(), name) !== undefined;
  /** The first PUT is not answered until the function that is returned is called. */
  const holdFirstPut = (): (() => void) => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    store.before = (request) => {
      if (request.method === 'put') puts += 1;
      return request.method === 'put' && puts === 1 ? answered : Promise.resolve();
    };
    return answer;
  };
  const write = async (content: string): Promise<void> => {
    const blob = blobOf(content);
    await mount.client.mkdir(blob.name.slice(0, 2)).catch(() => undefined);
    await mount.client.writeFile(blob.name, blob.content);
  };

  it('a writer who never pauses does not keep what is pending from Swift', async () => {
    for (let n = 0; puts === 0; n++) await write(`blob ${n}`);
  });

  it('a PUT that is not answered keeps neither later writes nor deletes from Swift, and is not sent twice', async () => {
    const answer = holdFirstPut();
    await write('first');
    await eventually('it is sent', () => puts === 1);
    const [later, deleted] = [blobOf('later'), blobOf('deleted')];
    for (const { content } of [later, deleted]) await write(content.toString());
    await eventually('they are sent beside it', () => [later, deleted].every(({ name }) => isStored(name)), 15_000);
    await mount.client.unlink(deleted.name);
    await eventually('it is removed', () => !isStored(deleted.name), 15_000);
    assert.equal(filestore.databases[0]?.pendingWrites, 1);
    answer();
    await eventually('it is there', () => filestore.databases[0]?.pendingWrites === 0);
    assert.equal(puts, 3);
  });

  it('the delete of a name whose PUT is not answered keeps nothing else waiting, and is told after it', async () => {
    const answer = holdFirstPut();
    const [first, later] = [blobOf('first'), blobOf('later')];
    await write('first');
    await eventually('it is sent', () => puts === 1);
    await mount.client.unlink(first.name);
    await write('later');
    await eventually('what came later is sent', () => isStored(later.name), 15_000);
    answer();
    await eventually('the delete is told', () => filestore.databases[0]?.pendingDeletes === 0, 15_000);
    assert.equal(isStored(first.name), false);
  });

  it('a PUT that fails beside one that is not answered is tried again', async () => {
    const answer = holdFirstPut();
    const hold = store.before;
    store.before = (request) => {
      const held = hold?.(request) ?? Promise.resolve();
      return request.method === 'put' && puts === 2 ? Promise.reject(new FilestoreError('unavailable', 'busy for a moment')) : held;
    };
    await write('first');
    await eventually('it is sent', () => puts === 1);
    await write('later');
    await eventually('it is sent again', () => isStored(blobOf('later').name), 15_000);
    answer();
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
