/** One database's filestore, mounted in memory over a store in memory, for a test of its own. */
import type { FilestoreSettings, RunningFilestore } from '../../src/filestore/filestore-options.js';
import { openCache } from '../../src/cache/blob-cache.js';
import { openFilestore } from '../../src/filestore/open-filestore.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { filestoreSettings } from './filestore-settings.js';
import type { LogGuard } from './log-guard.js';
import type { MemoryMount } from './memory-driver.js';
import { createMemoryDriver } from './memory-driver.js';
import type { MemoryStore } from './memory-store.js';
import { tempDir } from './temp-dir.js';

export interface FilestoreInMemory {
  readonly filestore: RunningFilestore;
  readonly client: MemoryMount['client'];
  close(): Promise<void>;
}

export async function mountInMemory(store: MemoryStore, log: LogGuard, changed: Partial<FilestoreSettings>): Promise<FilestoreInMemory> {
  // Until it is closed: the product's own timers keep no process alive.
  const awake = setInterval(() => undefined, 1000);
  try {
    const cache = await openCache({ directory: tempDir('memory-cache'), budgetBytes: 1 << 30, floorBytes: 0, log: log.log() });
    const settings = filestoreSettings(changed.spoolDirectory ?? tempDir('memory-spool'), changed);
    const filestore = await openFilestore(settings, { store, cache, origin: undefined, log: log.log() });
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log: log.log() });
    const mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
    const close = async (): Promise<void> => {
      try {
        await mount.unmount('detach');
        await filestore.close();
        await cache.close();
      } finally {
        clearInterval(awake);
      }
    };
    return { filestore, client: mount.client, close };
  } catch (error) {
    clearInterval(awake);
    throw error;
  }
}
