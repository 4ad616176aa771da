/** The contract over real kernel mounts of the vfs: every way to the kernel of our own, and a filestore that answers at once or later. */
import { createKernelDriver } from '../../src/fuse/kernel-driver.js';
import { posixContract } from './posix.js';
import { mountVfs } from './posix-mounts.js';

const ring = createKernelDriver();
const device = createKernelDriver({ transport: 'device' });
const pure = createKernelDriver({ transport: 'pure' });

posixContract('a kernel mount (io_uring) of a filestore that answers at once', () => mountVfs(ring, 'ring', false));
posixContract('a kernel mount (io_uring) of a filestore that answers later', () => mountVfs(ring, 'ring', true));
posixContract('a kernel mount (addon) of a filestore that answers at once', () => mountVfs(device, 'device', false));
posixContract('a kernel mount (addon) of a filestore that answers later', () => mountVfs(device, 'device', true));
posixContract('a kernel mount (pure Node)', () => mountVfs(pure, 'pure', false));
