/**
 * The driver on the npm package fuse-native: an explicit choice, never the default (native-notes/fuse-native.md says why: a leak under many
 * clients, wrong times from utimens, no invalidation, no byte names, no idea of who asks).
 *
 * libfuse's threads wait while this loop answers, so nothing here may wait for the mount: unmounting is a child's work.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import type { DriverCapabilities, FuseDriver, Mounted, MountOptions } from './driver.js';
import { EIO, EPERM, errnoOf } from './errno.js';
import { ErrorReport } from './error-report.js';
import { endMountAtExit } from './exit-hook.js';
import type { Caller, FileSystem } from './file-system.js';
import type { NativeFuse, NativeFuseClass, NativeOperations } from './fuse-native-module.js';
import { loadFuseNative } from './fuse-native-module.js';
import { busyError } from './mount-holders.js';
import { canonicalMountPoint, checkMountPoint, clearDeadMounts } from './mount-point.js';
import { mountAt } from './mount-table.js';
import { unmountByCommand } from './mounting.js';
import { loadDevice } from './device.js';
import { PathOperations, pathOfNative } from './path-operations.js';

const CAPABILITIES: DriverCapabilities = { passthrough: false, invalidation: false, entryLifetimes: false, byteNames: false };

/**
 * libfuse options that fuse-native has no name for, slipped in behind the file system's name: whole writes instead of 4 KiB ones, no
 * `.fuse_hidden` files, our inode numbers, and no lifetimes, since it cannot take an entry back.
 */
const INJECTED = 'big_writes,hard_remove,use_ino,entry_timeout=0,attr_timeout=0,negative_timeout=0';
const WATCH_MS = 1_000;

export function createFuseNativeDriver(): FuseDriver {
  return {
    mount: async (fileSystem, options) => {
      const Fuse = loadFuseNative();
      const path = await canonicalMountPoint(options.mountPoint);
      if ((await checkMountPoint(path, options.subtype)) > 0) {
        options.log.warn('dead-mount-cleared', { mountPoint: path, reason: 'a daemon that served it was killed; it is mounted anew' });
        // libfuse takes no directory that does not answer.
        await clearDeadMounts(path, options.subtype, 0);
      }
      options.onUncovered?.();
      return mountNative(Fuse, fileSystem, options, path);
    },
  };
}

async function mountNative(Fuse: NativeFuseClass, fileSystem: FileSystem, options: MountOptions, path: string): Promise<Mounted> {
  const requests = new NativeRequests(options);
  const fuse = new Fuse(path, nativeOperations(new PathOperations(fileSystem), requests), {
    fsname: `${options.source.replaceAll(',', '_')},${INJECTED}`,
    subtype: options.subtype,
    allowOther: options.allowOther,
    defaultPermissions: options.defaultPermissions,
    // Its own deadline would hand a buffer back that a late answer still fills; ours does not (NativeRequests).
    timeout: false,
  });
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null || error === undefined) resolve();
      else reject(new FilestoreError('unavailable', `${path}: fuse-native cannot mount: ${error.message}`, { cause: error }));
    });
  });
  const own = await mountAt(path);
  const loaded = loadDevice();
  const hasEnded = endMountAtExit(() => ({ device: loaded.device, ring: undefined, fd: undefined, path, deviceNumber: own?.device }));

  let finish: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (finish = resolve));
  const end = (): void => {
    clearInterval(watch);
    hasEnded();
    letLoopGo(Fuse, fuse, finish);
  };
  // libfuse does not tell the end of a mount that somebody else unmounted.
  const watch = setInterval(() => {
    mountAt(path).then(
      (now) => now?.device !== own?.device && end(),
      () => undefined,
    );
  }, WATCH_MS).unref();

  return {
    capabilities: CAPABILITIES,
    description: 'fuse-native',
    invalidateEntry: () => undefined,
    endSharing: () => undefined,
    invalidateInode: () => undefined,
    get activeRequests() {
      return requests.active;
    },
    isHeld: false,
    ended,
    unmount: async (how) => {
      const args = how === 'detach' ? ['-l', path] : [path];
      const isRoot = process.geteuid?.() === 0;
      const outcome = isRoot
        ? await unmountByCommand('umount', args, path)
        : await unmountByCommand('fusermount', ['-u', ...(how === 'detach' ? ['-z'] : []), path], path);
      if (outcome === 'busy') throw await busyError(path);
      end();
      await ended;
    },
  };
}

/** `close` would run `fusermount -uz` and fail, the mount being gone; what is wanted of it is that its handle no longer holds the loop. */
function letLoopGo(Fuse: NativeFuseClass, fuse: NativeFuse, done: () => void): void {
  Fuse.unmount = (_path, unmounted) => unmounted(null);
  fuse.close(() => done());
}

/** Turns promises into results: one answer each, within the deadline. */
class NativeRequests {
  readonly #deadlineMs: number;
  readonly #errors: ErrorReport;
  active = 0;

  constructor(options: MountOptions) {
    this.#deadlineMs = options.requestDeadlineMs;
    this.#errors = new ErrorReport(options.log, options.onError);
  }

  /** @param work is told whether its answer is still wanted */
  run<T>(
    operation: string,
    work: (caller: Caller, isWanted: () => boolean) => Promise<T>,
    answer: (errno: number, value?: T) => void,
  ): void {
    const controller = new AbortController();
    let isAnswered = false;
    const once = (errno: number, value?: T): void => {
      if (isAnswered) return;
      isAnswered = true;
      clearTimeout(timer);
      answer(-errno, value);
    };
    const timer = setTimeout(() => {
      this.#errors.report(operation, new FilestoreError('unavailable', `no answer within ${this.#deadlineMs} ms`));
      once(EIO);
      controller.abort();
    }, this.#deadlineMs);
    this.active++;
    const caller: Caller = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, pid: 0, signal: controller.signal };
    work(caller, () => !isAnswered)
      .then(
        (value) => once(0, value),
        (error: unknown) => {
          if (!isAnswered && kindOf(error) !== 'not-found') this.#errors.report(operation, error);
          once(errnoOf(kindOf(error)));
        },
      )
      .finally(() => this.active--);
  }
}

function nativeOperations(ops: PathOperations, requests: NativeRequests): NativeOperations {
  const plain =
    (done: (result: number) => void) =>
    (errno: number): void =>
      done(errno);
  const counted =
    (done: (result: number) => void) =>
    (errno: number, count?: number): void =>
      done(errno === 0 ? (count ?? 0) : errno);
  const p = pathOfNative;
  return {
    getattr: (path, done) => requests.run('getattr', (c) => ops.getattr(c, p(path)), done),
    readdir: (path, done) => requests.run('readdir', (c) => ops.readdir(c, p(path)), done),
    open: (path, flags, done) => requests.run('open', (c) => ops.open(c, p(path), flags), done),
    create: (path, mode, done) => requests.run('create', (c) => ops.create(c, p(path), mode), done),
    mknod: (path, mode, _dev, done) => requests.run('mknod', (c) => ops.mknod(c, p(path), mode), plain(done)),
    read: (_path, fd, buffer, length, position, done) =>
      requests.run('read', (c, isWanted) => ops.read(c, fd, buffer.subarray(0, length), position, isWanted), counted(done)),
    write: (_path, fd, buffer, length, position, done) =>
      requests.run('write', (c) => ops.write(c, fd, buffer.subarray(0, length), position), counted(done)),
    flush: (_path, fd, done) => requests.run('flush', (c) => ops.flush(c, fd), plain(done)),
    fsync: (_path, _datasync, fd, done) => requests.run('fsync', (c) => ops.fsync(c, fd), plain(done)),
    release: (_path, fd, done) => requests.run('release', () => ops.release(fd), plain(done)),
    truncate: (path, sizeBytes, done) => requests.run('setattr', (c) => ops.setattr(c, p(path), { sizeBytes }), plain(done)),
    ftruncate: (path, fd, sizeBytes, done) => requests.run('setattr', (c) => ops.setattr(c, p(path), { sizeBytes }, fd), plain(done)),
    utimens: (path, atimeMs, mtimeMs, done) => requests.run('setattr', (c) => ops.setattr(c, p(path), { atimeMs, mtimeMs }), plain(done)),
    chmod: (path, mode, done) => requests.run('setattr', (c) => ops.setattr(c, p(path), { mode: mode & 0o7777 }), plain(done)),
    chown: (path, uid, gid, done) => requests.run('setattr', (c) => ops.chown(c, p(path), uid, gid), plain(done)),
    mkdir: (path, mode, done) => requests.run('mkdir', (c) => ops.mkdir(c, p(path), mode), plain(done)),
    unlink: (path, done) => requests.run('unlink', (c) => ops.unlink(c, p(path)), plain(done)),
    rmdir: (path, done) => requests.run('rmdir', (c) => ops.rmdir(c, p(path)), plain(done)),
    rename: (from, to, done) => requests.run('rename', (c) => ops.rename(c, p(from), p(to)), plain(done)),
    link: (_from, _to, done) => done(-EPERM),
    symlink: (_target, _path, done) => done(-EPERM),
    statfs: (_path, done) => requests.run('statfs', (c) => ops.statfs(c), done),
  };
}
