/**
 * The driver on the kernel's own protocol: mounts /dev/fuse by the addon or in pure Node and runs a {@link Session} over it.
 * INVARIANT: this process never makes a synchronous call on its own mount; it would wait for itself.
 */
import { writeFile } from 'node:fs/promises';
import { FilestoreError, messageOf } from '../base/errors.js';
import { inheritedDescriptor } from '../base/inherited-device.js';
import { AddonTransport } from './addon-transport.js';
import type { FuseDevice } from './device.js';
import { loadDevice } from './device.js';
import type { FuseDriver, Mounted, MountOptions } from './driver.js';
import type { FileSystem } from './file-system.js';
import { endMountAtExit } from './exit-hook.js';
import { busyError } from './mount-holders.js';
import { canonicalMountPoint, checkMountPoint, clearCovered } from './mount-point.js';
import { mountAt } from './mount-table.js';
import type { MountedDevice } from './mounting.js';
import { mountDevice } from './mounting.js';
import { Notifications } from './notifications.js';
import { PureTransport } from './pure-transport.js';
import { switchRingOn } from './ring-switch.js';
import { RingTransport } from './ring-transport.js';
import { Session } from './session.js';
import type { Transport } from './transport.js';

interface KernelDriverOptions {
  /** Left out: the addon when it can be loaded, by io_uring where this system offers it. `device`: the addon, and no io_uring. */
  readonly transport?: 'device' | 'pure';
  /** By io_uring: the processors are kept awake while many requests come. Default false. */
  readonly keepsAwake?: boolean;
}

/** The cache's open files, those of Odoo's workers, connections: what a daemon comes to have open. Of the kernel's memory 64 KiB. */
const DESCRIPTORS = 8192;
const INIT_MS = 15_000;
const ENDED_MS = 10_000;
const READ_AHEAD_KIB = '1024';

/** @throws (from `mount`) FilestoreError unavailable when the addon is asked for and cannot be loaded */
export function createKernelDriver(options: KernelDriverOptions = {}): FuseDriver {
  return {
    mount: async (fileSystem, mountOptions) => {
      const device = chooseDevice(options.transport, mountOptions);
      device?.reserveDescriptors(DESCRIPTORS);
      const usesRing = device !== undefined && options.transport !== 'device';
      const way: Way = { device, usesRing, keepsAwake: options.keepsAwake ?? false };
      const inherited = inheritedDescriptor(mountOptions.mountPoint);
      if (inherited !== undefined)
        return serve(fileSystem, mountOptions, way, mountOptions.mountPoint, { fd: inherited, unmount: undefined });
      const path = await canonicalMountPoint(mountOptions.mountPoint);
      const dead = await checkMountPoint(path, mountOptions.subtype);
      if (usesRing && switchRingOn()) mountOptions.log.info('io-uring-switched-on', { set: 'fuse.enable_uring=Y' });
      const mounted = await mountDevice(device, path, mountOptions);
      if (dead > 0)
        mountOptions.log.warn('dead-mount-cleared', { mountPoint: path, reason: 'a daemon that served it was killed; it is mounted anew' });
      return serve(fileSystem, mountOptions, way, path, mounted);
    },
  };
}

function chooseDevice(transport: KernelDriverOptions['transport'], { log }: MountOptions): FuseDevice | undefined {
  if (transport === 'pure') return undefined;
  const loaded = loadDevice();
  if (loaded.device !== undefined) return loaded.device;
  if (transport !== undefined) throw new FilestoreError('unavailable', `the native addon was asked for: ${loaded.reason}`);
  log.info('addon-missing', { reason: loaded.reason, effect: 'the kernel is read in pure Node, which is slower' });
  return undefined;
}

/** How the kernel is read. */
interface Way {
  readonly device: FuseDevice | undefined;
  /** By io_uring, if the kernel offers it at INIT. */
  readonly usesRing: boolean;
  readonly keepsAwake: boolean;
}

function transportOf({ device, usesRing, keepsAwake }: Way, fd: number): Transport {
  if (device === undefined) return new PureTransport(fd);
  const addon = new AddonTransport(device, fd);
  return (usesRing ? RingTransport.create(device, fd, addon, keepsAwake) : undefined) ?? addon;
}

async function serve(fileSystem: FileSystem, options: MountOptions, way: Way, path: string, mounted: MountedDevice): Promise<Mounted> {
  const { device } = way;
  const transport = transportOf(way, mounted.fd);
  const session = new Session(fileSystem, transport, {
    requestDeadlineMs: options.requestDeadlineMs,
    log: options.log,
    ...(options.onError !== undefined && { onError: options.onError }),
  });
  const isOurMount = mounted.unmount !== undefined;
  const own = isOurMount ? await mountAt(path) : undefined;
  const hasEnded = endMountAtExit(() => ({
    device,
    ring: session.hasRing ? transport.ring : undefined,
    fd: mounted.fd,
    path: isOurMount ? path : undefined,
    deviceNumber: own?.device,
  }));
  const notifications = new Notifications(transport, session.locks);
  let clearing: Promise<void> | undefined;
  // Once: a second time might find what lay below.
  const clearBelow = (): Promise<void> => (clearing ??= clearCoveredMount(path, mounted, options));
  const ended = session.ended.then(async () => {
    hasEnded();
    notifications.close();
    await clearBelow();
  });
  session.start();
  try {
    await within(
      session.initialized,
      INIT_MS,
      () => new FilestoreError('unavailable', `${path}: the kernel did not begin within ${INIT_MS} ms`),
    );
  } catch (error) {
    if (mounted.unmount !== undefined) await mounted.unmount('detach').catch(() => undefined);
    transport.close();
    throw error;
  }
  const negotiated = await session.initialized;
  if (own !== undefined) void raiseReadAhead(own.device);
  options.log.debug('mounted', { mountPoint: path, transport: transport.name, protocol: `7.${negotiated.minor}` });
  return {
    capabilities: { passthrough: negotiated.hasPassthrough, invalidation: true, entryLifetimes: true, byteNames: true },
    description: `kernel (${transport.name})`,
    invalidateEntry: (parent, name) => notifications.entry(parent, name),
    invalidateInode: (ino) => notifications.inode(ino),
    endSharing: (ino) => session.shared.end(ino),
    get activeRequests() {
      return session.activeRequests;
    },
    get isHeld() {
      return transport.isReading;
    },
    ended,
    unmount: async (how) => {
      await unmount(path, mounted, session, ended, how);
      await clearBelow();
    },
  };
}

async function unmount(
  path: string,
  mounted: MountedDevice,
  session: Session,
  ended: Promise<void>,
  how: 'clean' | 'detach',
): Promise<void> {
  if (mounted.unmount === undefined) {
    // The mount belongs to mount.fuse3, which left it to us without the right to end it: with the device gone it is dead until `umount`.
    session.end(0);
    await ended;
    return;
  }
  const outcome = await mounted.unmount(how);
  if (outcome === 'busy') throw await busyError(path);
  if (outcome === 'not-mounted') session.end(0);
  // Detached with files open, the mount lives on until they are closed.
  else if (how === 'detach') return;
  const elsewhere = 'another place still shows it: a bind mount, or a mount namespace of its own (a container); unmount it there';
  await within(ended, ENDED_MS, () => new FilestoreError('unavailable', `${path} is unmounted here, and ${elsewhere}`));
}

async function clearCoveredMount(path: string, { covered }: MountedDevice, { log }: MountOptions): Promise<void> {
  if (covered === undefined) return;
  await clearCovered(path, covered).catch((error: unknown) =>
    log.warn('dead-mount-left', { mountPoint: path, reason: messageOf(error), remedy: `run: umount -l ${path}` }),
  );
}

async function within<T>(promise: Promise<T>, limitMs: number, late: () => FilestoreError): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(late()), limitMs)));
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** One READ of 1 MiB instead of eight of 128 KiB; root only, and only a matter of speed. */
async function raiseReadAhead(device: string): Promise<void> {
  await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, READ_AHEAD_KIB).catch(() => undefined);
}
