/**
 * The native addon (its table is in native/fuse-device.c), or its absence. Only this module loads it. Every function answers what the system
 * call did, or a negative errno.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface FuseDevice {
  /** The table of descriptors holds so many soon, or as many as this process may open: it is made on a pool thread. */
  reserveDescriptors(count: number): number;
  openDevice(): number;
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  /** On a pool thread. */
  unmount(target: string, flags: number, done: (result: number) => void): number;
  /** For the exit hook only: waits. */
  detachNow(target: string): number;
  backingOpen(device: number, fd: number): number;
  backingClose(device: number, backingId: number): number;
  socketPair(into: Int32Array): number;
  receiveDescriptor(socket: number): number;
  reply(device: number, bytes: Buffer, length: number): number;
  /** @returns 0 when nothing was written, because the file did not give its bytes; `isWhole`: fewer than `length` are too few */
  replyFromFile(device: number, bytes: Buffer, fd: number, length: number, position: number, isWhole: boolean): number;
  /** @returns the reader, or a negative errno */
  start(
    device: number,
    buffer: Buffer,
    onBytes: (lengthOrNegativeErrno: number) => void,
    batch: number,
    /** Where the last sleep was shorter than this many microseconds, the device is looked at for as long before the next. */
    lookAgainUs: number,
  ): DeviceReader | number;
  stop(reader: DeviceReader): number;
  /**
   * Makes a ring and its memory; touches no device.
   * @param deepQueues the first queues, which begin with `depth` entries; the others with few
   * @returns it, or a negative errno
   */
  ringPrepare(queues: number, deepQueues: number, depth: number): DeviceRing | number;
  /**
   * Once INIT has been answered. Requests lie in `inbox` behind one another, each at a multiple of eight, and replies are left in `outbox` in
   * the same way. @returns 0 or a negative errno
   */
  ringStart(
    ring: DeviceRing,
    device: number,
    inbox: Buffer,
    outbox: Buffer,
    /** @returns the bytes of replies in the outbox */
    onRequests: (bytesOrNegativeErrno: number) => number,
    batch: number,
    /** Where the last sleep was not longer than three times this, the next request is looked for so long, in microseconds. */
    lookAgainUs: number,
    /** Of /dev/cpu_dma_latency, the ring's own once it has started; -1 for none. */
    latency: number,
  ): number;
  /** Lets go of the device at once; the callback is not called any more. Idempotent. */
  ringStop(ring: DeviceRing): number;
  /** That open takes others of its node from now on. @returns 0 or a negative errno */
  ringShare(ring: DeviceRing, ino: number, handle: number, openFlags: number): number;
  /** @returns the handle when nothing has it open, 0 when something has, -ENOENT when the node was not shared */
  ringUnshare(ring: DeviceRing, ino: number): number;
  /** @returns how many shared nodes it found that nobody has opened since the last call */
  ringUnused(ring: DeviceRing, into: Float64Array): number;
  /** Answers the requests that have arrived, now. @returns 0 or a negative errno */
  ringTake(ring: DeviceRing): number;
  /** As `reply`; one to a request that came from the device goes there. */
  ringReply(ring: DeviceRing, bytes: Buffer, length: number): number;
  /** As `replyFromFile`; -ENOENT for a request that did not come through the ring. */
  ringReplyFromFile(ring: DeviceRing, bytes: Buffer, fd: number, length: number, position: number, isWhole: boolean): number;
}

declare const READER: unique symbol;
/** An opaque value of the addon. */
export interface DeviceReader {
  readonly [READER]: true;
}

declare const RING: unique symbol;
/** An opaque value of the addon. */
export interface DeviceRing {
  readonly [RING]: true;
}

const RELATIVE_PATHS = ['native/build/fuse-device.node', `native/prebuilt/linux-${process.arch}/fuse-device.node`];

type LoadedDevice = { readonly device: FuseDevice } | { readonly device: undefined; readonly reason: string };

/** Looks upwards from this module, so that it is found from the sources' build, from a test's build and from an installed package. */
export function loadDevice(): LoadedDevice {
  let directory = import.meta.dirname;
  for (let depth = 0; depth < 5; depth++) {
    for (const relative of RELATIVE_PATHS) {
      const path = join(directory, relative);
      if (!existsSync(path)) continue;
      try {
        return { device: createRequire(import.meta.url)(path) as FuseDevice };
      } catch (error) {
        return { device: undefined, reason: `${path} cannot be loaded: ${(error as Error).message}` };
      }
    }
    directory = dirname(directory);
  }
  return { device: undefined, reason: 'native/build/fuse-device.node is not there; build it with: sh native/build.sh' };
}
