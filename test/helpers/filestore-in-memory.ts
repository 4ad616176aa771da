/** A filestore over a store in memory, mounted in memory: what the daemon composes, for tests within one process. */
import type { Log } from '../../src/base/log.js';
import { openCache } from '../../src/cache/blob-cache.js';
import type { BlobCache } from '../../src/cache/cache.js';
import type { FilestoreSettings, RunningFilestore } from '../../src/filestore/filestore-options.js';
import { openFilestore } from '../../src/filestore/open-filestore.js';
import type { Origin } from '../../src/origins/origin.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { filestoreSettings } from './filestore-settings.js';
import { createMemoryDriver, type MemoryMount } from './memory-driver.js';
import { tempDir } from './temp-dir.js';

export interface FilestoreInMemory {
  readonly filestore: RunningFilestore;
  readonly cache: BlobCache;
  readonly client: MemoryMount['client'];
  /** @param how the mount ends (`detach`) */
  close(how?: 'clean' | 'detach'): Promise<void>;
}

interface Changes extends Partial<FilestoreSettings> {
  /** A new one for each mount unless it is said. */
  readonly cacheDirectory?: string;
  readonly origin?: Origin | undefined;
}

/** @param changes from the settings of {@link filestoreSettings}; the spool lies in a new directory unless it is said */
export async function mountInMemory(store: ObjectStore, log: Log, changes: Changes = {}): Promise<FilestoreInMemory> {
  const { cacheDirectory = tempDir('memory-cache'), origin, spoolDirectory = tempDir('memory-spool'), ...changed } = changes;
  // Until it is closed: the product's own timers keep no process alive.
  const awake = setInterval(() => undefined, 1000);
  try {
    const cache = await openCache({ directory: cacheDirectory, budgetBytes: 1 << 30, floorBytes: 0, log });
    let filestore: RunningFilestore;
    try {
      filestore = await openFilestore(filestoreSettings(spoolDirectory, changed), { store, cache, origin, log });
    } catch (error) {
      await cache.close();
      throw error;
    }
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
    const mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
    const close = async (how: 'clean' | 'detach' = 'detach'): Promise<void> => {
      try {
        await mount.unmount(how);
        await filestore.close();
        await cache.close();
      } finally {
        clearInterval(awake);
      }
    };
    return { filestore, cache, client: mount.client, close };
  } catch (error) {
    clearInterval(awake);
    throw error;
  }
}
