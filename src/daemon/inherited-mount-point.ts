/**
 * mount.fuse3 with drop_privileges mounts first and gives us the device as `/dev/fd/N`; it does not say where. The kernel cannot be asked
 * which mount a device belongs to, so the newest mount of ours that no daemon serves is taken for it. The answer only names things
 * (`status`, `unmount`); serving does not need it.
 */
import { isInherited } from '../base/inherited-device.js';
import { findMounts } from '../control/find-mounts.js';
import { readMountTable } from '../control/mount-table.js';

/** @returns the path as given when it cannot be told */
export async function namedMountPoint(mountPoint: string, controlDirectories: readonly string[]): Promise<string> {
  if (!isInherited(mountPoint)) return mountPoint;
  // Not asked itself: it answers nothing before we serve it.
  const nobodyTells = (): Promise<'dead'> => Promise.resolve('dead');
  const unserved = (await findMounts(controlDirectories, readMountTable(), nobodyTells)).flatMap((mount) =>
    mount.state === 'dead' ? [mount.mountPoint] : [],
  );
  return unserved.at(-1) ?? mountPoint;
}
