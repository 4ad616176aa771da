/**
 * What the kernel is told to forget. Written by a pool thread, one at a time: the kernel makes an INVAL_ENTRY wait for a lookup in the same
 * directory, which waits for this very loop; written from the loop it would never return (measured).
 * The queue is bounded; what does not fit is dropped, and the lifetimes given with entries bound the harm.
 */
import { NOTIFY_INVAL_ENTRY, NOTIFY_INVAL_INODE, OUT_HEADER_BYTES, TWO_32 } from './protocol.js';
import type { Transport } from './transport.js';

const MAX_QUEUED = 10_000;

export class Notifications {
  readonly #transport: Transport;
  #queue: Buffer[] = [];
  #isSending = false;
  #isClosed = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** @param name a byte string */
  entry(parent: number, name: string): void {
    const bytes = notification(NOTIFY_INVAL_ENTRY, 16 + name.length + 1);
    putU64(bytes, OUT_HEADER_BYTES, parent);
    bytes.writeUInt32LE(name.length, OUT_HEADER_BYTES + 8);
    bytes.write(name, OUT_HEADER_BYTES + 16, 'latin1');
    this.#send(bytes);
  }

  /** Attributes and all pages: offset 0, length 0. */
  inode(ino: number): void {
    const bytes = notification(NOTIFY_INVAL_INODE, 24);
    putU64(bytes, OUT_HEADER_BYTES, ino);
    this.#send(bytes);
  }

  close(): void {
    this.#isClosed = true;
    this.#queue = [];
  }

  #send(bytes: Buffer): void {
    if (this.#isClosed || this.#queue.length >= MAX_QUEUED) return;
    this.#queue.push(bytes);
    if (!this.#isSending) this.#drain();
  }

  #drain(): void {
    const batch = this.#queue;
    this.#queue = [];
    const next = batch.length === 0 || this.#isClosed ? undefined : batch;
    this.#isSending = next !== undefined;
    if (next === undefined) return;
    const sendAll = async (): Promise<void> => {
      for (const bytes of next) if (!this.#isClosed) await this.#transport.notify(bytes);
    };
    // notify() never rejects.
    void sendAll().then(() => this.#drain());
  }
}

/** A fuse_out_header with unique 0: its error field holds the code. */
function notification(code: number, payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(OUT_HEADER_BYTES + payloadBytes);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeInt32LE(code, 4);
  return bytes;
}

function putU64(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32LE(value % TWO_32, offset);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), offset + 4);
}
