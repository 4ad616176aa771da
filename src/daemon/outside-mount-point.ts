/**
 * The daemon's own directories may not lie below its mount point: once it is mounted each access to them would be a request to the daemon
 * itself, which waits for it and can answer nothing any more. Not even SIGKILL ends that, only the kernel's own abort of the connection. Nor may they
 * lie in the origin, where they would be taken for databases; nor may the mount point, through which the origin would then be read. And the cache,
 * which clears its directory at will, may not do so in the spool's, nor around it.
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
  const { origin, spoolDirectory, cacheDirectory } = settings;
  const real = async (path: string): Promise<string> => (isThere ? resolve(path) : realPathOf(resolve(path)));
  if (isAtOrBelow(await real(spoolDirectory), await real(cacheDirectory))) {
    const where = resolve(spoolDirectory) === resolve(cacheDirectory) ? 'is the same directory as' : 'lies in';
    const remedy = 'give each a directory of its own, as with --cache-dir /var/cache/odoo-swiftfs';
    throw new FilestoreError(
      'bad-config',
      `spool_dir ${spoolDirectory} ${where} cache_dir ${cacheDirectory}, which may be emptied at any time; ${remedy}`,
    );
  }
  if (origin !== undefined) {
    const realOrigin = await real(origin);
    if (mountPoint !== realOrigin && isAtOrBelow(mountPoint, realOrigin)) {
      throw new FilestoreError(
        'bad-config',
        `the mount point ${mountPoint} lies below the origin ${origin}, which would be read through the mount itself; give as origin the directory whose files the mount is to show, as with --origin ${mountPoint}`,
      );
    }
  }
  const own = [
    ['spool_dir', settings.spoolDirectory],
    ['cache_dir', settings.cacheDirectory],
    ['log_file', settings.logFile],
  ] as const;
  for (const [option, directory] of own) {
    if (directory === undefined) continue;
    const refuse = (what: string): never => {
      const example = `--${option.replace('_', '-')} /var/lib/odoo-swiftfs${option === 'log_file' ? '/daemon.log' : ''}`;
      throw new FilestoreError('bad-config', `${option} ${directory} lies below ${what}; name a place outside, as with ${example}`);
    };
    const path = isThere ? undefined : await realPathOf(resolve(directory));
    const isBelow = (place: string): boolean => isAtOrBelow(resolve(directory), place) || (path !== undefined && isAtOrBelow(path, place));
    if (isBelow(mountPoint)) refuse(`the mount point ${mountPoint}, which would hide it from the daemon itself`);
    if (origin !== undefined && isBelow(resolve(origin))) refuse(`the origin ${origin}, where it would be taken for a database`);
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
