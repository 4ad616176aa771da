/** The contract over real kernel mounts of the vfs: both ways to the kernel, and a filestore that answers at once or later. */
import { createLog } from '../../src/base/log.js';
import { createKernelDriver } from '../../src/fuse/kernel-driver.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { MemoryFilestore } from '../helpers/memory-filestore.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { posixContract, type PosixRoot } from './posix.js';

const log = createLog('warn', (line) => {
  process.stderr.write(`${line}\n`);
});

async function mountMemory(transport: 'addon' | 'pure', slow: boolean): Promise<PosixRoot> {
  const mountPoint = tempDir(`posix-${transport}`);
  const vfs = createVfs(new MemoryFilestore({ slow }), { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, log });
  const mounted = await createKernelDriver({ transport }).mount(vfs, {
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

posixContract('a kernel mount (addon) of a filestore that answers at once', () => mountMemory('addon', false));
posixContract('a kernel mount (addon) of a filestore that answers later', () => mountMemory('addon', true));
posixContract('a kernel mount (pure Node)', () => mountMemory('pure', false));
