/** Somebody writes to a file of the spool after Swift has taken it, and before the cache does. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { CacheFolder } from '../../../src/cache/cache-folder.js';
import { makeBlob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

class WatchedStore extends MemoryStore {
  /** Called when an object has been taken, before that is answered. */
  taken: (name: string) => void = () => undefined;

  override async put(...args: Parameters<MemoryStore['put']>): Promise<void> {
    await super.put(...args);
    // The file of a small one is made meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.taken(args[1]);
  }
}

const SMALL = makeBlob(1, 1000);
const LARGE = makeBlob(2, 3 << 20);

describe('what Swift has taken', () => {
  let store: WatchedStore;
  let spoolDirectory: string;
  let log: LogGuard;
  let life: FilestoreInMemory;
  const adopt = mock.method(CacheFolder.prototype, 'adopt');
  beforeEach(async () => {
    adopt.mock.resetCalls();
    store = new WatchedStore();
    spoolDirectory = tempDir('changed');
    log = new LogGuard();
    life = await mountInMemory(store, log.log(), { spoolDirectory });
    for (const blob of [SMALL, LARGE]) await life.client.mkdir(blob.name.slice(0, 2));
  });
  afterEach(async () => {
    await life.close();
    removeDir(spoolDirectory);
  });

  /** @param end of the name; those of sealed files end in their SHA-1 */
  const damage = (folder: string, end = ''): number => {
    const [database] = readdirSync(join(spoolDirectory, 'v1'));
    const directory = join(spoolDirectory, 'v1', database ?? assert.fail(), folder);
    const names = readdirSync(directory).filter((name) => name.endsWith(end));
    for (const name of names) {
      const fd = openSync(join(directory, name), 'r+');
      writeSync(fd, 'wrong', 0);
      closeSync(fd);
    }
    return names.length;
  };
  const writeBoth = async (): Promise<void> => {
    for (const blob of [SMALL, LARGE]) await life.client.writeFile(blob.name, blob.content);
  };
  const writeBothLater = async (): Promise<void> => {
    store.down = true;
    await writeBoth();
    store.down = false;
    assert.equal(await life.filestore.drain(20_000), true);
  };
  const adopted = async (): Promise<boolean[]> =>
    Promise.all(adopt.mock.calls.map(async ({ result }) => (await (result ?? assert.fail())).isVerified));
  const assertRight = async (): Promise<void> => {
    for (const blob of [SMALL, LARGE]) assert.ok(blob.content.equals(await life.client.readFile(blob.name)));
  };

  it('goes into the cache without being hashed again', async () => {
    await writeBoth();
    assert.deepEqual(await adopted(), [true, true]);
  });

  it('goes into the cache without being hashed again, also where it was pending', async () => {
    await writeBothLater();
    await eventually('both are adopted', () => adopt.mock.callCount() === 2);
    assert.deepEqual(await adopted(), [true, true]);
    await assertRight();
  });

  it('A file that is changed on this disk while Swift takes it is never served as it is.', async () => {
    log.expect(/^WARN cache\.quarantined /);
    let damaged = 0;
    store.taken = () => (damaged += damage('staging'));
    await writeBoth();
    assert.equal(damaged, 2);
    await assertRight();
    assert.deepEqual(await adopted(), [false, false]);
    log.assertQuiet();
  });

  it('A file that waited in the spool, and is changed there while Swift takes it, is never served as it is.', async () => {
    log.expect(/^WARN cache\.quarantined /, /^WARN swift\.away /);
    let damaged = 0;
    store.taken = (name) => (damaged += damage('sealed', name.slice(3)));
    await writeBothLater();
    assert.equal(damaged, 2);
    await assertRight();
    log.assertQuiet();
  });
});
