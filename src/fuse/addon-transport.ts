/** /dev/fuse by the addon: polled on the main loop, without threads; one callback scope a wake-up, one system call a reply. */
import { closeSync, write } from 'node:fs';
import type { FileSlice } from '../base/read-result.js';
import type { DeviceReader, FuseDevice } from './device.js';
import { REQUEST_BUFFER_BYTES } from './protocol.js';
import { RequestView } from './request.js';
import type { Transport } from './transport.js';
import { UNREADABLE } from './transport.js';

/** Requests answered before other work of the loop gets its turn. */
const BATCH = 64;
/**
 * A client that works through many names asks again sooner than a thread sleeps and is woken. Where the last sleep was shorter than this,
 * the device is looked at for as long before the next.
 */
const LOOK_AGAIN_US = 50;

export class AddonTransport implements Transport {
  readonly name = 'addon';
  readonly isReading = false;
  readonly canPassThrough = true;
  readonly #device: FuseDevice;
  readonly #fd: number;
  #reader: DeviceReader | undefined;
  #isClosed = false;

  /** @param fd of /dev/fuse, mounted; the transport owns it */
  constructor(device: FuseDevice, fd: number) {
    this.#device = device;
    this.#fd = fd;
  }

  start(onRequest: (request: RequestView) => void, onEnd: (errno: number) => void): void {
    const request = new RequestView(REQUEST_BUFFER_BYTES);
    const reader = this.#device.start(
      this.#fd,
      request.bytes,
      (result) => {
        if (result < 0) {
          this.#reader = undefined;
          onEnd(-result);
          return;
        }
        request.length = result;
        onRequest(request);
      },
      BATCH,
      LOOK_AGAIN_US,
    );
    if (typeof reader === 'number') onEnd(-reader);
    else this.#reader = reader;
  }

  reply(bytes: Buffer, length: number): number {
    const result = this.#device.reply(this.#fd, bytes, length);
    return result < 0 ? result : 0;
  }

  replyFromFile(bytes: Buffer, slice: FileSlice): number {
    const { fd, length, position, holder } = slice;
    const result = this.#device.replyFromFile(this.#fd, bytes, fd, length, position, holder !== undefined);
    if (result === 0) return UNREADABLE;
    return result < 0 ? result : 0;
  }

  notify(bytes: Buffer): Promise<void> {
    return writeOnPoolThread(this.#fd, bytes);
  }

  openBacking(fd: number): number {
    return this.#device.backingOpen(this.#fd, fd);
  }

  closeBacking(backingId: number): void {
    this.#device.backingClose(this.#fd, backingId);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#reader !== undefined) this.#device.stop(this.#reader);
    this.#reader = undefined;
    closeSync(this.#fd);
  }
}

/** Never fails: an entry the kernel does not know (ENOENT) and an unmounted device (ENODEV) are as good as told. */
export function writeOnPoolThread(fd: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => write(fd, bytes, 0, bytes.length, null, () => resolve()));
}
