/** What must be true of a mount point before anything is started. The driver checks again what only the kernel knows. */
import { opendirSync, statSync } from 'node:fs';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';

export type MountPointState = 'empty' | 'has-files' | 'dead-mount';

/**
 * @returns `dead-mount` when a daemon died there and left its mount
 * @throws FilestoreError bad-config: missing, or not a directory
 */
export function checkMountPoint(mountPoint: string): MountPointState {
  try {
    if (!statSync(mountPoint).isDirectory()) throw new FilestoreError('bad-config', `mount point ${mountPoint} is not a directory; name one`);
    const directory = opendirSync(mountPoint);
    try {
      return directory.readSync() === null ? 'empty' : 'has-files';
    } finally {
      directory.closeSync();
    }
  } catch (error) {
    if (error instanceof FilestoreError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOTCONN') return 'dead-mount';
    if (kindOf(error) === 'not-found') throw new FilestoreError('bad-config', `mount point ${mountPoint} does not exist; run: mkdir -p ${mountPoint}`);
    throw new FilestoreError('bad-config', `mount point ${mountPoint} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}
