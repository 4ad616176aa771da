/**
 * What a serving process must do when it ends by process.exit() or an uncaught error. Not for the usual way down, which is
 * `Mounted.unmount`.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, writeFileSync } from 'node:fs';
import type { FuseDevice } from './device.js';
import type { Ring } from './transport.js';

const UNMOUNT_MS = 5_000;

interface ServedMount {
  /** Undefined when the addon does not serve it. */
  readonly device: FuseDevice | undefined;
  /** Where it is served by io_uring. */
  readonly ring: Ring | undefined;
  /** Of /dev/fuse, when it is ours to close. */
  readonly fd: number | undefined;
  /** Undefined when the mount is not ours to end. */
  readonly path: string | undefined;
  /** `major:minor` of the mount. */
  readonly deviceNumber: string | undefined;
}

/** Of this process. */
const served = new Set<() => ServedMount>();

/**
 * One listener for all of them: Node takes more than ten for a leak.
 * @param mount asked when the process ends
 * @returns to be called when the mount has ended before
 */
export function endMountAtExit(mount: () => ServedMount): () => void {
  if (served.size === 0) process.on('exit', endAll);
  served.add(mount);
  return () => {
    if (served.delete(mount) && served.size === 0) process.off('exit', endAll);
  };
}

function endAll(): void {
  // What fails for one leaves the others no less to be ended.
  for (const mount of served) quietly(() => endMount(mount()));
}

/**
 * Aborts the connection first, so that nothing waits any more for a loop that has stopped, then detaches the mount. With the addon, closing
 * the device aborts, with a ring a moment after it. In pure Node the reading threads hold the device and Node waits for them at exit: only the abort
 * frees them.
 */
function endMount(mount: ServedMount): void {
  const { device, ring, fd, path, deviceNumber } = mount;
  // What this thread would carry out for the ring is the kernel's from now on: an unmount waits for it.
  quietly(() => ring?.stop());
  if (device !== undefined && fd !== undefined) quietly(() => closeSync(fd));
  if (device === undefined || ring !== undefined) abortConnection(deviceNumber);
  if (path === undefined) {
    // A device that mount.fuse3 handed over: not ours to unmount, and in pure Node its readers would be waited for without end.
    if (device === undefined) process.kill(process.pid, 'SIGKILL');
    return;
  }
  // Not by this thread where a ring was: the kernel asks it to forget the ring.
  if (device !== undefined && ring === undefined && device.detachNow(path) >= 0) return;
  const detached = spawnSync('umount', ['-i', '-c', '-l', path], { timeout: UNMOUNT_MS, stdio: 'ignore' });
  if (detached.status !== 0) spawnSync('fusermount3', ['-u', '-z', '--', path], { timeout: UNMOUNT_MS, stdio: 'ignore' });
}

/** /sys/fs/fuse/connections/MINOR/abort (Documentation/filesystems/fuse.rst); there only where fusectl is mounted. */
function abortConnection(deviceNumber: string | undefined): void {
  const minor = deviceNumber?.split(':')[1];
  if (minor !== undefined) quietly(() => writeFileSync(`/sys/fs/fuse/connections/${minor}/abort`, '1'));
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    // The process ends anyway.
  }
}
