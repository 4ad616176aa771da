/**
 * The composition of a mount, in the one order that is right: locks (nobody else works there), the origin (opened before the mount hides
 * it), the store, the cache, the filestore (refuses a first mount it cannot serve), the file system, the kernel, the control socket.
 * What fails undoes what was done before it, so a refused start leaves nothing behind; the dead mount of a killed daemon stays until
 * everything that may fail or take long is done.
 */
import { opendir, stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { isInherited } from '../base/inherited-device.js';
import type { Log } from '../base/log.js';
import { fromUtf8 } from '../base/names.js';
import type { BlobCache } from '../cache/cache.js';
import { checkLogin } from '../config/check-login.js';
import { controlDirectory, type Host } from '../config/host.js';
import type { Settings } from '../config/options.js';
import { openControlServer } from '../control/control-server.js';
import { findMountAt } from '../control/find-mounts.js';
import { SUBTYPE } from '../control/mount-table.js';
import { ensureControlDirectory, socketPath } from '../control/socket-path.js';
import { containerName } from '../filestore/container-name.js';
import type { FilestoreParts, FilestoreSettings, RunningFilestore } from '../filestore/filestore-options.js';
import type { FuseDriver } from '../fuse/driver.js';
import { lookBelow } from '../fuse/below-dead-mounts.js';
import { canonicalMountPoint, checkMountPoint } from '../fuse/mount-point.js';
import type { Origin } from '../origins/origin.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Owner } from '../vfs/attributes.js';
import type { Vfs } from '../vfs/vfs.js';
import { CacheLock } from './cache-lock.js';
import { warnOfLittleRoom } from './descriptor-room.js';
import { lockDirectory } from './directory-lock.js';
import { HeldBackLog } from './held-back-log.js';
import { namedMountPoint } from './inherited-mount-point.js';
import { assertOutside } from './outside-mount-point.js';
import { filestoreSettings, mountSource } from './part-settings.js';
import { rememberErrors, type RecentError } from './recent-errors.js';
import { RunningMount } from './running-mount.js';
import { MountGround } from './mount-ground.js';

/** How each part is made; tests put others in. */
export interface PartMakers {
  openOrigin(directory: string, settings: Settings, log: Log): Origin;
  createStore(settings: Settings, log: Log): StoreWithCounts;
  openCache(settings: Settings, mayWrite: () => boolean, log: Log): Promise<BlobCache>;
  openFilestore(settings: FilestoreSettings, parts: FilestoreParts): Promise<RunningFilestore>;
  createVfs(filestore: RunningFilestore, owner: Owner, log: Log): Vfs;
  createDriver(settings: Settings): Promise<FuseDriver>;
}

interface StoreWithCounts {
  readonly store: ObjectStore;
  /** Requests sent so far by method, for `status`. */
  counts(): Readonly<Record<string, number>>;
}

export interface MountRequest {
  readonly settings: Settings;
  /** Absolute; or `/dev/fd/N` from mount.fuse3, which has opened the device itself. */
  readonly mountPoint: string;
  readonly version: string;
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
}

/** What was done so far, undone last first. */
class Undo {
  readonly #steps: (() => void | Promise<void>)[] = [];

  add(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  /** Runs every step; the first error is thrown when all have run. */
  async run(): Promise<void> {
    const errors: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/**
 * Resolves when the mount answers.
 * @throws FilestoreError bad-config, invalid-name, bad-credentials, unavailable, forbidden, busy, not-permitted, no-space
 */
export async function startMount(request: MountRequest, makers: PartMakers): Promise<RunningMount> {
  const { database, containerPrefix } = request.settings;
  checkLogin(request.settings);
  checkPrefix(containerPrefix);
  // Throws for a name that can be no container, before anybody is asked.
  if (database !== undefined) containerName(containerPrefix, fromUtf8(database));
  const { log, recent } = rememberErrors(request.log, () => request.clock.nowMs());
  const ground = await readyMountPoint(request, log);
  const undo = new Undo();
  try {
    return await compose({ ...request, log }, recent, ground, makers, undo);
  } catch (error) {
    await undo.run().catch((failed: unknown) => request.log.warn('start-not-undone', { reason: String(failed) }));
    if (!(await ground.isDeadStill())) throw error;
    const stays = `${request.mountPoint} stays the dead mount of the daemon that was killed (ENOTCONN for programs) until a start succeeds`;
    throw new FilestoreError(kindOf(error), `${messageOf(error)}; ${stays}`, { cause: error });
  }
}

async function compose(
  request: MountRequest,
  recent: readonly RecentError[],
  ground: MountGround,
  makers: PartMakers,
  undo: Undo,
): Promise<RunningMount> {
  const { settings, clock, log } = request;
  const mountPoint = await namedMountPoint(request.mountPoint, [controlDirectory(request.host)]);
  await assertOutside(mountPoint, settings, true);

  const spoolLock = lockDirectory(settings.spoolDirectory, 'spool_dir');
  undo.add(() => spoolLock.release());
  const cacheLock = new CacheLock(settings.cacheDirectory, clock, log);
  undo.add(() => cacheLock.release());
  const openOrigin = (directory: string): Origin => makers.openOrigin(directory, settings, log);
  const origin = settings.origin === undefined ? undefined : await ground.openOrigin(settings.origin, openOrigin);
  if (origin !== undefined) undo.add(() => origin.close());
  // A start that is refused says why once: that Swift is away is no second thing to be told.
  const held = new HeldBackLog(log, ['swift.away', 'swift.back']);
  const { store, counts } = makers.createStore(settings, held);
  undo.add(() => store.close());
  // Its module is loaded before a start that may take a minute, in which the program's files may be replaced.
  const driver = await makers.createDriver(settings);
  const cache = await makers.openCache(settings, () => cacheLock.isHeld(), log);
  undo.add(() => cache.close());
  const filestore = await makers.openFilestore(filestoreSettings(settings), { store, cache, origin, log: held }).catch((error: unknown) => {
    throw ofSpool(error, settings.spoolDirectory);
  });
  undo.add(() => filestore.close());
  held.release();
  const vfs = makers.createVfs(filestore, ground.owner, log);
  const mounted = await driver.mount(vfs, {
    mountPoint: request.mountPoint,
    source: mountSource(settings),
    subtype: SUBTYPE,
    allowOther: settings.allowOther,
    defaultPermissions: settings.defaultPermissions,
    requestDeadlineMs: settings.requestDeadlineMs,
    log,
    ...ground.mountOptions,
  });
  undo.add(() => mounted.unmount('detach'));
  vfs.attach(mounted);

  const running = new LateMount();
  const control = await openControl(running, mountPoint, request.host, log);
  undo.add(() => control.close());
  const parts = { settings, mountPoint, version: request.version, clock, log, recentErrors: recent, cache, filestore, mounted };
  running.mount = new RunningMount({
    ...parts,
    cacheProblem: () => cacheLock.problem,
    isOriginAsked: () => origin?.isAsked === true,
    openFiles: () => vfs.openFiles,
    requestsToSwift: counts,
    close: () => undo.run(),
  });
  warnOfLittleRoom(log, settings.connections);
  // Behind the mount, which opens one that lies below it; and nobody waits, for its disk may hang.
  if (origin !== undefined) void warnOfEmptyOrigin(origin, log);
  log.info('serving', { mountPoint, driver: mounted.description, pid: process.pid });
  return running.mount;
}

/** What a disk said without a name is about the spool, which is all that is written at a start. */
function ofSpool(error: unknown, directory: string): unknown {
  const kind = kindOf(error);
  if (error instanceof FilestoreError || kind === 'internal') return error;
  const remedy = kind === 'no-space' ? 'make room on its disk' : 'check its disk and its permissions';
  return new FilestoreError(kind, `spool_dir ${directory}: ${messageOf(error)}; ${remedy}`, { cause: error });
}

/** Never rejects: an origin that cannot be listed may still be read. */
async function warnOfEmptyOrigin(origin: Origin, log: Log): Promise<void> {
  try {
    if ((await origin.list(''))?.length !== 0) return;
    log.warn('origin-empty', {
      origin: origin.description,
      meaning: 'what only the original directory has is not there; a disk that is mounted there later is not seen',
      remedy: 'mount its disk and start again; or leave origin out when all its files are in Swift',
    });
  } catch (error) {
    log.debug('origin-not-listed', { origin: origin.description, reason: messageOf(error) });
  }
}

/** The control socket is opened last but one, so that its failure is undone before anything believes that the mount runs. */
class LateMount {
  mount: RunningMount | undefined;

  get(): RunningMount {
    if (this.mount === undefined) throw new FilestoreError('unavailable', 'the mount is starting; ask again');
    return this.mount;
  }
}

/** A slash would end the container's name; any database shows whether the rest of it leaves room. */
function checkPrefix(prefix: string): void {
  if (prefix.includes('/'))
    throw new FilestoreError('bad-config', `container_prefix ${prefix}: a container's name has no slash; use a dash`);
  containerName(prefix, 'x');
}

/** Refuses a place where we serve already, and warns of files that nobody will see. Changes nothing there. */
async function readyMountPoint({ mountPoint, host, settings }: MountRequest, log: Log): Promise<MountGround> {
  // A device that was handed to us hides whose the mount point is: then ours.
  if (isInherited(mountPoint)) return MountGround.inherited(settings, host);
  const there = await findMountAt([controlDirectory(host)], mountPoint);
  if (there !== undefined && there.state !== 'dead') {
    const by = `${mountPoint} is mounted already by odoo-swiftfs`;
    throw new FilestoreError(
      'busy',
      there.state === 'silent' ? `${by}: ${there.reason}` : `${by} (pid ${there.status.pid}); run: odoo-swiftfs unmount ${mountPoint}`,
    );
  }
  const path = await canonicalMountPoint(mountPoint);
  await assertOutside(path, settings, false);
  const deadMounts = await checkMountPoint(path, SUBTYPE);
  const below = deadMounts === 0 ? await lookAt(path) : await lookBelow(path, deadMounts);
  if (settings.origin === undefined && below?.isEmpty === false) {
    log.warn('mount-hides-files', {
      mountPoint,
      cause: 'an older filestore, or written while nothing was mounted there',
      remedy: `to read them through the mount, start it with --origin ${mountPoint}; a mount point that only root may write to (and uid=, gid=) stays empty`,
    });
  }
  return new MountGround(path, deadMounts > 0, below, settings);
}

async function lookAt(directory: string): Promise<{ uid: number; gid: number; isEmpty: boolean }> {
  const { uid, gid } = await stat(directory);
  return { uid, gid, isEmpty: !(await hasFiles(directory)) };
}

/** A directory that may not be read is no reason to refuse. */
async function hasFiles(directory: string): Promise<boolean> {
  try {
    const entries = await opendir(directory);
    return (await entries.read().finally(() => entries.close())) !== null;
  } catch (error) {
    if (kindOf(error) === 'forbidden') return false;
    throw error;
  }
}

async function openControl(running: LateMount, mountPoint: string, host: Host, log: Log): Promise<{ close(): void }> {
  const directory = controlDirectory(host);
  ensureControlDirectory(directory, host.uid);
  const handlers = {
    status: () => running.get().status(),
    unmount: async ({ detach }: { detach: boolean }) => running.get().stop(detach ? 'detach' : 'refuse'),
  };
  return openControlServer(socketPath(directory, mountPoint), handlers, log);
}
