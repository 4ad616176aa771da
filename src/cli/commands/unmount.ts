/** `unmount MOUNTPOINT`: the daemon publishes what is pending and ends; a mount whose daemon died is taken away. */
import { FilestoreError } from '../../base/errors.js';
import { isRoot, thisHost } from '../../config/host.js';
import { clearDeadMount } from '../../control/clear-dead-mount.js';
import { requestUnmount } from '../../control/control-client.js';
import { findMountAt } from '../../control/find-mounts.js';
import { ourMounts, readMountTable } from '../../control/mount-table.js';
import { controlDirectories } from '../../control/socket-path.js';
import { mountPointPath } from '../mount-point-path.js';
import { print } from '../output.js';

const MOST_LAYERS = 16;

async function isDead(mountPoint: string): Promise<boolean> {
  return (await findMountAt(controlDirectories(thisHost()), mountPoint))?.state === 'dead';
}

export async function unmountCommand(given: string, detach: boolean): Promise<void> {
  const host = thisHost();
  const mountPoint = mountPointPath(given);
  // A command that stands below the mount would hold it busy itself.
  process.chdir('/');
  const found = await findMountAt(controlDirectories(host), mountPoint);
  switch (found?.state) {
    case undefined:
      throw new FilestoreError('not-found', `${mountPoint}: no mount of odoo-swiftfs is there; see odoo-swiftfs status`);
    case 'dead':
      // A daemon that covered the dead mount of another may have been killed too.
      for (let layers = 0; layers < MOST_LAYERS && (await isDead(mountPoint)); layers += 1) await clearDeadMount(mountPoint, isRoot(host));
      print(`${mountPoint}: its daemon was dead; unmounted. The next start publishes what its spool holds.`);
      return;
    case 'silent':
      throw new FilestoreError('unavailable', `${mountPoint}: ${found.reason}`);
    case 'alive': {
      const left = await requestUnmount(found.socket, detach);
      // A mount that mount.fuse3 made for the daemon is not the daemon's to take away.
      if (ourMounts(readMountTable()).some((entry) => entry.mountPoint === mountPoint)) await clearDeadMount(mountPoint, isRoot(host));
      print(`${mountPoint}: unmounted${left > 0 ? `; ${left} pending, kept in ${found.status.spoolDirectory} for the next start` : ''}`);
    }
  }
}
