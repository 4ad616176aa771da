/** Where a mount's control socket is: a name made of the mount point, so that it is found without asking anybody. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { FilestoreError, messageOf } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { controlDirectory, isRoot, type Host } from '../config/host.js';

const SUFFIX = '.sock';

/** @param mountPoint absolute path. Hashed, because a socket's path ends at 107 bytes (sun_path) and a mount point's does not */
export function socketPath(directory: string, mountPoint: string): string {
  return `${directory}/${createHash('sha256').update(mountPoint).digest('hex').slice(0, 24)}${SUFFIX}`;
}

export function isSocketName(name: string): boolean {
  return /^[0-9a-f]{24}\.sock$/.test(name);
}

/**
 * Makes the directory, private to its user. In /tmp somebody else could have made it first: then it is refused.
 * @throws FilestoreError not-permitted
 */
export function ensureControlDirectory(directory: string, uid: number): void {
  try {
    makeDirectory(directory, 0o700);
  } catch (error) {
    throw new FilestoreError('not-permitted', `control directory ${directory}: ${messageOf(error)}`, { cause: error });
  }
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0) {
    throw new FilestoreError(
      'not-permitted',
      `control directory ${directory} belongs to somebody else or others may write to it; remove it, or set XDG_RUNTIME_DIR`,
    );
  }
}

/** Where sockets of mounts may be that this user can ask: the user's own place, and for root those of all users too. */
export function controlDirectories(host: Host): readonly string[] {
  const own = controlDirectory(host);
  if (isRoot(host)) return [own, ...userDirectories()];
  // The same user has XDG_RUNTIME_DIR in a session and none in a service.
  const elsewhere = [`/run/user/${host.uid}/odoo-swiftfs`, `/tmp/odoo-swiftfs-${host.uid}`];
  return [own, ...elsewhere.filter((directory) => directory !== own && isOf(host.uid, directory)), controlDirectory({ ...host, uid: 0 })];
}

/** In /tmp somebody else could have made it. */
function isOf(uid: number, directory: string): boolean {
  try {
    const stat = lstatSync(directory);
    return stat.isDirectory() && stat.uid === uid;
  } catch {
    // Not there, or not to be looked at.
    return false;
  }
}

function userDirectories(): readonly string[] {
  return [
    ...namesIn('/run/user').map((name) => `/run/user/${name}/odoo-swiftfs`),
    ...namesIn('/tmp')
      .filter((name) => /^odoo-swiftfs-\d+$/.test(name))
      .map((name) => `/tmp/${name}`),
  ];
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // No such place on this machine.
    return [];
  }
}
