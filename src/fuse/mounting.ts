/**
 * From a directory to an open, mounted /dev/fuse, and back. Who may mount decides how:
 *
 *   CAP_SYS_ADMIN, addon        mount(2) and umount2(2)
 *   CAP_SYS_ADMIN, pure Node    mount(8) with the descriptor as its fd 3, umount(8)
 *   an ordinary user, addon     fusermount3, which sends the descriptor over a socket
 *   /dev/fd/N                   mounted already, by mount.fuse3 with drop_privileges: the descriptor is ours, the mount is not
 */
import { closeSync, constants, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { FilestoreError } from '../base/errors.js';
import type { FuseDevice } from './device.js';
import type { MountOptions } from './driver.js';
import { EACCES, EBUSY, EINVAL, ENODEV, ENOENT, EPERM } from './errno.js';
import { clearDeadMounts } from './mount-point.js';
import { mountAt } from './mount-table.js';
import { runCommand } from './run-command.js';

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const COMMAND_MS = 15_000;
const UNMOUNT_MS = 60_000;
/** What env(1) and the shells end with where a command is not there. */
const NOT_FOUND = 127;
const CAP_SYS_ADMIN_BIT = 1n << 21n;
/** st_mode's type bits of a directory in octal, for `rootmode=`. */
const ROOT_MODE = '40000';

type UnmountOutcome = 'done' | 'busy' | 'not-mounted';

/** An open device and how its mount ends. */
export interface MountedDevice {
  readonly fd: number;
  /** Undefined when the mount is not ours to end. */
  readonly unmount: ((how: 'clean' | 'detach') => Promise<UnmountOutcome>) | undefined;
  /** `major:minor` of a dead mount that lies below this one and has to be taken away after it. */
  readonly covered?: string | undefined;
}

/**
 * Mounts on a directory that `checkMountPoint` found fit. Between the end of a dead mount there and the new one lies as little as can be:
 *
 *   nobody looks below it         it is covered: nothing lies between
 *   the addon, as root            umount2(2), the look, mount(2) in one turn of the loop: under a millisecond
 *   otherwise                     two commands: umount or fusermount3, the look, mount or fusermount3
 *
 * @param path canonical
 * @throws FilestoreError busy, not-permitted, unavailable; what `onUncovered` throws
 */
export async function mountDevice(device: FuseDevice | undefined, path: string, options: MountOptions): Promise<MountedDevice> {
  if (await mayMount()) {
    const isDead = (await clearDeadMounts(path, options.subtype, 1)) > 0;
    const covered = isDead && options.onUncovered === undefined ? (await mountAt(path))?.device : undefined;
    if (device !== undefined) return { ...mountBySystemCall(device, path, isDead && covered === undefined, options), covered };
    if (covered === undefined) await clearDeadMounts(path, options.subtype, 0);
    return { ...(await mountByCommand(path, options)), covered };
  }
  if (device === undefined) {
    throw new FilestoreError(
      'not-permitted',
      `${path} cannot be mounted by an ordinary user without the native addon; build it with: sh native/build.sh, or mount from fstab with mount.fuse3 and drop_privileges`,
    );
  }
  return mountByFusermount(device, path, options);
}

async function mayMount(): Promise<boolean> {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(await readFile('/proc/self/status', 'utf8'));
  return effective !== null && (BigInt(`0x${effective[1] as string}`) & CAP_SYS_ADMIN_BIT) !== 0n;
}

/** The data of mount(2): Documentation/filesystems/fuse.rst. */
function mountData(fd: number, options: MountOptions): string {
  const parts = [`fd=${fd}`, `rootmode=${ROOT_MODE}`, `user_id=${process.geteuid?.() ?? 0}`, `group_id=${process.getegid?.() ?? 0}`];
  if (options.allowOther) parts.push('allow_other');
  if (options.defaultPermissions) parts.push('default_permissions');
  return parts.join(',');
}

function cannotOpenDevice(errno: number, cause?: unknown): FilestoreError {
  if (errno === ENOENT || errno === ENODEV) {
    return new FilestoreError(
      'unavailable',
      '/dev/fuse is not there: load the kernel module (modprobe fuse) or give the container the device',
      { cause },
    );
  }
  return new FilestoreError('not-permitted', `/dev/fuse cannot be opened (errno ${errno}); it should have mode 0666, or run as root`, {
    cause,
  });
}

function cannotMount(path: string, errno: number, detail = ''): FilestoreError {
  const remedy =
    errno === EPERM || errno === EACCES
      ? 'CAP_SYS_ADMIN is needed (in a container: --cap-add SYS_ADMIN --device /dev/fuse)'
      : 'see dmesg for the reason';
  return new FilestoreError(
    errno === EPERM || errno === EACCES ? 'not-permitted' : 'unavailable',
    `${path} cannot be mounted (errno ${errno}${detail}): ${remedy}`,
  );
}

/** In one turn of the loop. @param hasToClear a dead mount has to go first */
function mountBySystemCall(device: FuseDevice, path: string, hasToClear: boolean, options: MountOptions): MountedDevice {
  const fd = device.openDevice();
  if (fd < 0) throw cannotOpenDevice(-fd);
  try {
    if (hasToClear) {
      const cleared = device.detachNow(path);
      if (cleared < 0)
        throw new FilestoreError(
          'not-permitted',
          `the dead mount at ${path} cannot be cleared (errno ${-cleared}); run: umount -l ${path}`,
        );
    }
    options.onUncovered?.();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const mounted = device.mount(options.source, path, `fuse.${options.subtype}`, MS_NOSUID | MS_NODEV, mountData(fd, options));
  if (mounted < 0) {
    closeSync(fd);
    throw cannotMount(path, -mounted);
  }
  return { fd, unmount: (how) => unmountBySystemCall(device, path, how) };
}

async function unmountBySystemCall(device: FuseDevice, path: string, how: 'clean' | 'detach'): Promise<UnmountOutcome> {
  const flags = UMOUNT_NOFOLLOW | (how === 'detach' ? MNT_DETACH : 0);
  const result = await new Promise<number>((resolve) => {
    const queued = device.unmount(path, flags, resolve);
    if (queued < 0) resolve(queued);
  });
  if (result === 0) return 'done';
  if (result === -EBUSY) return 'busy';
  if (result === -EINVAL || result === -ENOENT) return 'not-mounted';
  throw new FilestoreError('not-permitted', `${path} cannot be unmounted (errno ${-result}); run as root: umount ${path}`);
}

async function mountByCommand(path: string, options: MountOptions): Promise<MountedDevice> {
  let fd: number;
  try {
    fd = openSync('/dev/fuse', constants.O_RDWR);
  } catch (error) {
    throw cannotOpenDevice(Math.abs((error as NodeJS.ErrnoException).errno ?? 0), error);
  }
  const args = ['-i', '-t', `fuse.${options.subtype}`, '-o', `nosuid,nodev,${mountData(3, options)}`, '--', options.source, path];
  try {
    options.onUncovered?.();
    const outcome = await runCommand('mount', args, COMMAND_MS, [fd]);
    if (outcome.exitCode !== 0) throw new FilestoreError('unavailable', `${path} cannot be mounted: ${outcome.standardError}`);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, unmount: (how) => unmountByCommand('umount', [...(how === 'detach' ? ['-l'] : []), path], path) };
}

/** A child asks for the unmount, so that our loop is free to answer what the kernel still asks. */
export async function unmountByCommand(command: string, args: readonly string[], path: string): Promise<UnmountOutcome> {
  const outcome = await runCommand(command, args, UNMOUNT_MS);
  if (outcome.exitCode === 0) return 'done';
  if (/busy/i.test(outcome.standardError)) return 'busy';
  if (/not mounted|not found|no mount point/i.test(outcome.standardError)) return 'not-mounted';
  throw new FilestoreError('not-permitted', `${path} cannot be unmounted: ${outcome.standardError}`);
}

/** Not installed is no missing right, but as a /dev/fuse that is not there. @param said its standard error */
export function fusermountFailed(path: string, said: string, exitCode: number | null): FilestoreError {
  const kind = exitCode === NOT_FOUND ? 'unavailable' : 'not-permitted';
  return new FilestoreError(kind, `${path}: fusermount3 failed: ${said}${remedyOf(said, exitCode)}`);
}

/** What helps against what fusermount3 said, begun with a semicolon; empty where that is all that can be said. */
function remedyOf(said: string, exitCode: number | null): string {
  if (exitCode === NOT_FOUND) return '; install it: apt-get install fuse3';
  if (/allow_other/.test(said)) return '; set user_allow_other in /etc/fuse.conf';
  if (/open \/dev\/fuse: Permission denied/.test(said)) return '; as root: chmod 0666 /dev/fuse, or let root mount (with uid and gid)';
  return '';
}

/** fusermount3 (1): options are separated by commas, so those in a name are escaped. */
async function mountByFusermount(device: FuseDevice, path: string, options: MountOptions): Promise<MountedDevice> {
  const escape = (text: string): string => text.replace(/[\\,]/g, '\\$&');
  const parts = [`fsname=${escape(options.source)}`, `subtype=${escape(options.subtype)}`, 'nosuid', 'nodev'];
  if (options.allowOther) parts.push('allow_other');
  if (options.defaultPermissions) parts.push('default_permissions');
  const sockets = new Int32Array(2);
  const made = device.socketPair(sockets);
  if (made < 0) throw new FilestoreError('unavailable', `no socket for fusermount3 (errno ${-made})`);
  const [ours, theirs] = sockets as unknown as [number, number];
  try {
    // fusermount3 takes no directory that does not answer.
    await clearDeadMounts(path, options.subtype, 0);
    options.onUncovered?.();
    // env(1) sets the variable by which fusermount3 learns the socket, on top of what the process has.
    const args = ['_FUSE_COMMFD=3', 'fusermount3', '-o', parts.join(','), '--', path];
    const outcome = await runCommand('env', args, COMMAND_MS, [theirs]);
    if (outcome.exitCode !== 0) throw fusermountFailed(path, outcome.standardError, outcome.exitCode);
    const fd = device.receiveDescriptor(ours);
    if (fd < 0) throw new FilestoreError('unavailable', `${path}: fusermount3 sent no descriptor (errno ${-fd})`);
    return {
      fd,
      unmount: (how) => unmountByCommand('fusermount3', ['-u', ...(how === 'detach' ? ['-z'] : []), '--', path], path),
    };
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}
