/**
 * The native addon (native/fuse-device.c), or its absence. Only this module loads it. Every function answers what the system call did, or a
 * negative errno.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface FuseDevice {
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
}

declare const READER: unique symbol;
/** An opaque value of the addon. */
export interface DeviceReader {
  readonly [READER]: true;
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
