/**
 * The daemon's own directories may not lie below its mount point: once it is mounted each access to them would be a request to the daemon
 * itself, which waits for it and can answer nothing any more. Not even SIGKILL ends that, only the kernel's own abort of the connection.
 */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FilestoreError } from '../base/errors.js';
import type { Settings } from '../config/options.js';

/**
 * To be called before anything is opened or made there.
 * @param mountPoint canonical
 * @param isThere whether the mount is there already: then a path that leads through it must not be asked, nobody answers
 * @throws FilestoreError bad-config
 */
export async function assertOutside(mountPoint: string, settings: Settings, isThere: boolean): Promise<void> {
  const own = [
    ['spool_dir', settings.spoolDirectory],
    ['cache_dir', settings.cacheDirectory],
  ] as const;
  for (const [option, directory] of own) {
    if (isAtOrBelow(resolve(directory), mountPoint) || (!isThere && isAtOrBelow(await realPathOf(resolve(directory)), mountPoint))) {
      throw new FilestoreError(
        'bad-config',
        `${option} ${directory} lies below the mount point ${mountPoint}, which would hide it from the daemon itself; name a directory outside, as with --${option.replace('_', '-')} /var/lib/odoo-swiftfs`,
      );
    }
  }
}

/** Of what may not be there yet, or not answer: then as far as it can be told. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPathOf(parent), basename(path));
  }
}

function isAtOrBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
