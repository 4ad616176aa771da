/**
 * What the kernel is told to forget. Written by a pool thread, one at a time: the kernel makes an INVAL_ENTRY wait for a lookup in the same
 * directory, which waits for this very loop; written from the loop it would never return (measured). What would wait for a request that we know of
 * is held back until that is answered (kernel-locks.ts).
 * The queue is bounded; what does not fit is dropped, and the lifetimes given with entries bound the harm.
 */
import type { KernelLocks } from './kernel-locks.js';
import { NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, OUT_HEADER_BYTES, TWO_32 } from './protocol.js';
import type { Transport } from './transport.js';

const MAX_QUEUED = 10_000;

class Notification {
  /** Whose lock, or whose pages, it needs. */
  readonly ino: number;
  readonly bytes: Buffer;
  #isTold = false;
  #waiting: (() => void)[] | undefined;

  constructor(ino: number, bytes: Buffer) {
    this.ino = ino;
    this.bytes = bytes;
  }

  /** The kernel has it, or takes no more. */
  told(): void {
    this.#isTold = true;
    for (const go of this.#waiting ?? []) go();
    this.#waiting = undefined;
  }

  untilTold(): Promise<void> {
    if (this.#isTold) return Promise.resolve();
    return new Promise((resolve) => (this.#waiting ??= []).push(resolve));
  }
}

export class Notifications {
  readonly #transport: Transport;
  readonly #locks: KernelLocks;
  #queue: Notification[] = [];
  /** By what they wait for. */
  readonly #heldBack = new Map<number, Notification[]>();
  #heldBackCount = 0;
  #isSending = false;
  #isClosed = false;

  constructor(transport: Transport, locks: KernelLocks) {
    this.#transport = transport;
    this.#locks = locks;
    locks.onFree = (ino) => this.#bringBack(ino);
  }

  /** @param name a byte string */
  entry(parent: number, name: string): void {
    const bytes = message(NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
    putU64(bytes, OUT_HEADER_BYTES, parent);
    bytes.writeUInt32LE(name.length, OUT_HEADER_BYTES + 8);
    bytes.write(name, OUT_HEADER_BYTES + 16, 'latin1');
    this.#send(new Notification(parent, bytes));
  }

  /** Attributes and all pages: offset 0, length 0. @returns what waits until the kernel was told; undefined when that is dropped */
  inode(ino: number): (() => Promise<void>) | undefined {
    const bytes = message(NOTIFY_INVAL_INODE, 24);
    putU64(bytes, OUT_HEADER_BYTES, ino);
    const notification = new Notification(ino, bytes);
    return this.#send(notification) ? () => notification.untilTold() : undefined;
  }

  close(): void {
    this.#isClosed = true;
    for (const left of [this.#queue, ...this.#heldBack.values()].flat()) left.told();
    this.#queue = [];
    this.#heldBack.clear();
  }

  /** @returns false when it is dropped */
  #send(notification: Notification): boolean {
    if (this.#isClosed || this.#queue.length + this.#heldBackCount >= MAX_QUEUED) return false;
    this.#queue.push(notification);
    if (!this.#isSending) this.#drain();
    return true;
  }

  #holdBack(notification: Notification): void {
    const others = this.#heldBack.get(notification.ino) ?? [];
    this.#heldBack.set(notification.ino, others);
    others.push(notification);
    this.#heldBackCount++;
  }

  #bringBack(ino: number): void {
    const held = this.#heldBack.get(ino);
    if (held === undefined) return;
    this.#heldBack.delete(ino);
    this.#heldBackCount -= held.length;
    this.#queue.push(...held);
    if (!this.#isSending) this.#drain();
  }

  #drain(): void {
    const batch = this.#queue;
    this.#queue = [];
    const next = batch.length === 0 || this.#isClosed ? undefined : batch;
    this.#isSending = next !== undefined;
    if (next === undefined) return;
    const sendAll = async (): Promise<void> => {
      for (const notification of next) {
        if (!this.#isClosed && this.#locks.isHeld(notification.ino)) {
          this.#holdBack(notification);
          continue;
        }
        if (!this.#isClosed) await this.#transport.notify(notification.bytes);
        notification.told();
      }
    };
    // notify() never rejects.
    void sendAll().then(() => this.#drain());
  }
}

/** A fuse_out_header with unique 0: its error field holds the code. */
function message(code: number, payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(OUT_HEADER_BYTES + payloadBytes);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(code, 4);
  return bytes;
}

function putU64(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32LE(value % TWO_32, offset);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), offset + 4);
}
