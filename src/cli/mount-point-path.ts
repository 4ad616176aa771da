/** The path by which the kernel knows a mount point, found without touching the mount: its daemon may be dead or hang. */
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { isInherited } from '../base/inherited-device.js';
import { readMountTable } from '../control/mount-table.js';

/** @throws FilestoreError bad-config when a directory above it cannot be looked into; invalid-argument for a variable of the shell that is not set */
export function mountPointPath(given: string): string {
  if (isInherited(given)) return given;
  if (given === '') throw new FilestoreError('invalid-argument', 'MOUNTPOINT is empty; give the path of a directory');
  const absolute = resolve(given);
  if (absolute === '/') return absolute;
  let parent: string;
  try {
    parent = realpathSync(dirname(absolute));
  } catch (error) {
    // Nothing is there: whoever uses it says so.
    if (['not-found', 'not-directory'].includes(kindOf(error))) return absolute;
    throw new FilestoreError('bad-config', `${given}: ${dirname(absolute)} cannot be looked into: ${messageOf(error)}`, { cause: error });
  }
  const path = join(parent, basename(absolute));
  if (readMountTable().some((entry) => entry.mountPoint === path)) return path;
  if (!isSymbolicLink(path)) return path;
  if (!existsSync(path)) throw new FilestoreError('bad-config', `${given} is a link that leads nowhere; make what it names, or remove it`);
  return realpathSync(path);
}

function isSymbolicLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    // Missing, or a dead mount that the table has under another name: whoever uses it says so.
    return false;
  }
}
