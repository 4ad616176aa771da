/**
 * Requests by io_uring (native/fuse-ring.c): many come in one call into the addon, and their replies leave together. The device beside it goes
 * on bringing what the kernel never sends by a ring: INIT, FORGET, INTERRUPT.
 */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import type { FileSlice } from '../base/read-result.js';
import type { AddonTransport } from './addon-transport.js';
import type { DeviceRing, FuseDevice } from './device.js';
import { ENOENT } from './errno.js';
import { OP, REQUEST_BUFFER_BYTES } from './protocol.js';
import { RequestView } from './request.js';
import type { Ring, Transport } from './transport.js';
import { UNREADABLE } from './transport.js';

/** Requests answered before other work of the loop gets its turn. */
const BATCH = 64;
/** As the device's. To look at a flag in memory costs no system call, but the processor of a client that could run there. */
const LOOK_AGAIN_US = 80;
/**
 * Entries the kernel has at first, over all processors that are there; each queue gets more when half of its own are taken. What comes in one burst beyond
 * them is not looked for when entries are added (fuse_uring_do_register()), and waits for others of its processor to be answered: so there are many. An idle
 * one costs some 500 bytes, and 1 MiB of addresses.
 */
const ENTRIES = 4096;
const MIN_DEPTH = 16;
const MAX_DEPTH = 1024;
/** Instead, where addresses count as memory that is used (vm.overcommit_memory 2). */
const ENTRIES_WITHOUT_OVERCOMMIT = 256;
/** Several requests, one of which may be a WRITE of the largest size. */
const INBOX_BYTES = REQUEST_BUFFER_BYTES + (128 << 10);
const OUTBOX_BYTES = 64 << 10;
/** Longer replies are handed over one by one: to copy them twice would cost more. */
const SMALL_REPLY_BYTES = 256;

export class RingTransport implements Transport, Ring {
  readonly canPassThrough = true;
  readonly isReading = false;
  readonly ring = this;
  readonly #device: FuseDevice;
  readonly #fd: number;
  readonly #addon: AddonTransport;
  readonly #ring: DeviceRing;
  readonly #keepsAwake: boolean;
  readonly #outbox = Buffer.alloc(OUTBOX_BYTES);
  readonly #outWords = new Uint32Array(this.#outbox.buffer, this.#outbox.byteOffset, OUTBOX_BYTES >>> 2);
  #onRequest: (request: RequestView) => void = () => undefined;
  #onEnd: (errno: number) => void = () => undefined;
  #filledBytes = 0;
  #isAnswering = false;
  #isInUse = false;

  /**
   * @param keepsAwake whether the processors are kept awake while many requests come, where this process may do so
   * @returns undefined where this system makes no ring (its kernel is older, or a sandbox forbids it)
   */
  static create(device: FuseDevice, fd: number, addon: AddonTransport, keepsAwake: boolean): RingTransport | undefined {
    // A queue for each processor that may ever be there (Documentation/filesystems/fuse-io-uring.rst): in some virtual machines that is many more than are.
    const queues = processors('possible');
    if (queues === undefined) return undefined;
    const present = Math.min(queues, processors('present') ?? queues);
    const entries = readSetting('/proc/sys/vm/overcommit_memory') === '2' ? ENTRIES_WITHOUT_OVERCOMMIT : ENTRIES;
    const depth = Math.max(MIN_DEPTH, Math.min(MAX_DEPTH, Math.floor(entries / present)));
    const ring = device.ringPrepare(queues, present, depth);
    return typeof ring === 'number' ? undefined : new RingTransport(device, fd, addon, ring, keepsAwake);
  }

  private constructor(device: FuseDevice, fd: number, addon: AddonTransport, ring: DeviceRing, keepsAwake: boolean) {
    this.#device = device;
    this.#fd = fd;
    this.#addon = addon;
    this.#ring = ring;
    this.#keepsAwake = keepsAwake;
  }

  get name(): string {
    return this.#isInUse ? 'addon, io_uring' : this.#addon.name;
  }

  start(onRequest: (request: RequestView) => void, onEnd: (errno: number) => void): void {
    this.#onRequest = onRequest;
    this.#onEnd = onEnd;
    this.#addon.start((request) => {
      // The request that it interrupts may have come just before it, by the ring.
      if (this.#isInUse && request.opcode === OP.INTERRUPT) this.#device.ringTake(this.#ring);
      onRequest(request);
    }, onEnd);
  }

  use(): number {
    this.#isInUse = true;
    const inbox = new RequestView(INBOX_BYTES);
    const latency = this.#keepsAwake ? openLatency() : -1;
    const failed = this.#device.ringStart(
      this.#ring,
      this.#fd,
      inbox.bytes,
      this.#outbox,
      (result) => {
        if (result >= 0) return this.#answer(inbox, result);
        this.#onEnd(-result);
        return 0;
      },
      BATCH,
      LOOK_AGAIN_US,
      latency,
    );
    if (failed !== 0 && latency >= 0) closeSync(latency);
    return failed;
  }

  #answer(inbox: RequestView, bytes: number): number {
    this.#isAnswering = true;
    this.#filledBytes = 0;
    try {
      for (let at = 0; at < bytes; at += (inbox.length + 7) & ~7) {
        inbox.moveTo(at);
        this.#onRequest(inbox);
      }
    } finally {
      this.#isAnswering = false;
    }
    return this.#filledBytes;
  }

  reply(bytes: Buffer, length: number, words: Uint32Array): number {
    if (!this.#isInUse) return this.#addon.reply(bytes, length);
    const at = this.#filledBytes;
    if (this.#isAnswering && length <= SMALL_REPLY_BYTES && at + length <= OUTBOX_BYTES) {
      const out = this.#outWords;
      for (let from = 0, to = at >>> 2, end = (length + 3) >>> 2; from < end; from++, to++) out[to] = words[from] as number;
      this.#filledBytes = at + ((length + 7) & ~7);
      return 0;
    }
    const result = this.#device.ringReply(this.#ring, bytes, length);
    return result < 0 ? result : 0;
  }

  replyFromFile(bytes: Buffer, slice: FileSlice): number {
    if (!this.#isInUse) return this.#addon.replyFromFile(bytes, slice);
    const { fd, length, position, holder } = slice;
    const result = this.#device.ringReplyFromFile(this.#ring, bytes, fd, length, position, holder !== undefined);
    if (result === -ENOENT) return this.#addon.replyFromFile(bytes, slice);
    if (result === 0) return UNREADABLE;
    return result < 0 ? result : 0;
  }

  notify(bytes: Buffer): Promise<void> {
    return this.#addon.notify(bytes);
  }

  openBacking(fd: number): number {
    return this.#addon.openBacking(fd);
  }

  closeBacking(backingId: number): void {
    this.#addon.closeBacking(backingId);
  }

  share(ino: number, handle: number, openFlags: number): boolean {
    return this.#isInUse && this.#device.ringShare(this.#ring, ino, handle, openFlags) === 0;
  }

  unshare(ino: number): number | undefined {
    const handle = this.#device.ringUnshare(this.#ring, ino);
    return handle < 0 ? undefined : handle;
  }

  unusedShares(into: Float64Array): number {
    return this.#device.ringUnused(this.#ring, into);
  }

  stop(): void {
    this.#device.ringStop(this.#ring);
  }

  close(): void {
    this.stop();
    this.#addon.close();
  }
}

/** Root may open it; -1 for who may not, or where there is none. */
function openLatency(): number {
  try {
    return openSync('/dev/cpu_dma_latency', constants.O_WRONLY);
  } catch {
    return -1;
  }
}

/** @returns how many there are; undefined without /sys */
function processors(which: 'possible' | 'present'): number | undefined {
  const ranges = readSetting(`/sys/devices/system/cpu/${which}`);
  if (ranges === undefined) return undefined;
  let count = 0;
  for (const range of ranges.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    count += last - first + 1;
  }
  return count;
}

/** @returns undefined where the kernel shows none */
function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
