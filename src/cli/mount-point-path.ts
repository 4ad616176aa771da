/** The path by which the kernel knows a mount point, found without touching the mount: its daemon may be dead or hang. */
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FilestoreError, kindOf } from '../base/errors.js';
import { isInherited } from '../base/inherited-device.js';
import { readMountTable } from '../control/mount-table.js';

/** @throws FilestoreError bad-config when a directory above it does not exist */
export function mountPointPath(given: string): string {
  if (isInherited(given)) return given;
  const absolute = resolve(given);
  if (absolute === '/') return absolute;
  let parent: string;
  try {
    parent = realpathSync(dirname(absolute));
  } catch (error) {
    throw new FilestoreError('bad-config', `${given}: ${dirname(absolute)} cannot be reached (${kindOf(error)}); is the path right?`, {
      cause: error,
    });
  }
  const path = join(parent, basename(absolute));
  if (readMountTable().some((entry) => entry.mountPoint === path)) return path;
  return isSymbolicLink(path) ? realpathSync(path) : path;
}

function isSymbolicLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    // Missing, or a dead mount that the table has under another name: whoever uses it says so.
    return false;
  }
}
