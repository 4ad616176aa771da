/** The contract over real kernel mounts of the vfs: both ways to the kernel, and a filestore that answers at once or later. */
import { createKernelDriver } from '../../src/fuse/kernel-driver.js';
import { posixContract } from './posix.js';
import { mountVfs } from './posix-mounts.js';

const addon = createKernelDriver({ transport: 'addon' });
const pure = createKernelDriver({ transport: 'pure' });

posixContract('a kernel mount (addon) of a filestore that answers at once', () => mountVfs(addon, 'addon', false));
posixContract('a kernel mount (addon) of a filestore that answers later', () => mountVfs(addon, 'addon', true));
posixContract('a kernel mount (pure Node)', () => mountVfs(pure, 'pure', false));
