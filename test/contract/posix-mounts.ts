/** Mounts of a vfs over a filestore in memory, for the contract. */
import { createLog } from '../../src/base/log.js';
import type { FuseDriver } from '../../src/fuse/driver.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { MemoryFilestore } from '../helpers/memory-filestore.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import type { PosixRoot } from './posix.js';

const log = createLog('warn', (line) => {
  process.stderr.write(`${line}\n`);
});

/** @param slow the filestore answers in a later turn of the loop */
export async function mountVfs(driver: FuseDriver, name: string, slow: boolean): Promise<PosixRoot> {
  const mountPoint = tempDir(`posix-${name}`);
  const vfs = createVfs(new MemoryFilestore({ slow }), { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, log });
  const mounted = await driver.mount(vfs, {
    mountPoint,
    source: 'memory',
    subtype: 'odoo-swiftfs-test',
    allowOther: true,
    defaultPermissions: true,
    requestDeadlineMs: 30_000,
    log,
  });
  vfs.attach(mounted);
  return {
    path: mountPoint,
    close: async () => {
      try {
        await mounted.unmount('clean');
      } catch (error) {
        await mounted.unmount('detach');
        throw error;
      } finally {
        removeDir(mountPoint);
      }
    },
  };
}
