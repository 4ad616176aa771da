/** Builds requests as the kernel sends them, and a transport that keeps the replies. */
import type { FileSlice } from '../../../src/base/read-result.js';
import { readSlice } from '../../../src/base/read-result.js';
import { RequestView } from '../../../src/fuse/request.js';
import type { Transport } from '../../../src/fuse/transport.js';
import { UNREADABLE } from '../../../src/fuse/transport.js';

let lastUnique = 0;

/** Little-endian fields one after another. */
class Fields {
  readonly #parts: Buffer[] = [];

  u32(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(4);
      part.writeUInt32LE(value >>> 0);
      this.#parts.push(part);
    }
    return this;
  }

  u64(...values: number[]): this {
    for (const value of values) {
      const part = Buffer.alloc(8);
      part.writeBigInt64LE(BigInt(value));
      this.#parts.push(part);
    }
    return this;
  }

  name(...names: string[]): this {
    for (const name of names) this.#parts.push(Buffer.from(`${name}\0`, 'latin1'));
    return this;
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }

  build(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export const fields = (): Fields => new Fields();

/** @returns a whole request: fuse_in_header and its payload */
export function message(opcode: number, ino: number, payload: Fields = fields(), unique = (lastUnique += 2)): Buffer {
  const body = payload.build();
  const header = fields()
    .u32(40 + body.length, opcode)
    .u64(unique, ino)
    .u32(1000, 1001, 4242, 0)
    .build();
  return Buffer.concat([header, body]);
}

const uniqueOf = (request: Buffer): number => request.readUInt32LE(8);

interface Reply {
  readonly unique: number;
  /** Positive. */
  readonly errno: number;
  readonly payload: Buffer;
}

export class FakeTransport implements Transport {
  readonly name = 'fake';
  readonly canPassThrough = true;
  readonly isReading = false;
  readonly replies: Reply[] = [];
  readonly backings: number[] = [];
  readonly closedBackings: number[] = [];
  /** What the next replies answer: 0, or a negative errno. */
  nextResult = 0;
  isClosed = false;
  nextBackingId = 1;
  #onRequest: (request: RequestView) => void = () => undefined;
  #onEnd: (errno: number) => void = () => undefined;
  #onReply: () => void = () => undefined;

  start(onRequest: (request: RequestView) => void, onEnd: (errno: number) => void): void {
    this.#onRequest = onRequest;
    this.#onEnd = onEnd;
  }

  /** Hands a request over in a buffer that is spoilt right after, as the next request would. */
  send(request: Buffer, length = request.length): void {
    const view = new RequestView(Math.max(128, (request.length + 7) & ~3));
    request.copy(view.bytes);
    view.length = length;
    this.#onRequest(view);
    view.bytes.fill(0xee);
  }

  end(errno: number): void {
    this.#onEnd(errno);
  }

  reply(bytes: Buffer, length: number): number {
    if (this.nextResult !== 0) return this.nextResult;
    const copy = Buffer.from(bytes.subarray(0, length));
    if (copy.readUInt32LE(0) !== length) throw new Error('the header names another length than is written');
    this.replies.push({ unique: copy.readUInt32LE(8), errno: Math.abs(copy.readInt32LE(4)), payload: copy.subarray(16) });
    this.#onReply();
    return 0;
  }

  replyFromFile(bytes: Buffer, slice: FileSlice): number {
    const filled = readSlice(slice, bytes, 16);
    if (filled === undefined) return UNREADABLE;
    bytes.writeUInt32LE(16 + filled, 0);
    return this.reply(bytes, 16 + filled);
  }

  notify(): Promise<void> {
    return Promise.resolve();
  }

  openBacking(fd: number): number {
    this.backings.push(fd);
    return this.nextBackingId;
  }

  closeBacking(backingId: number): void {
    this.closedBackings.push(backingId);
  }

  close(): void {
    this.isClosed = true;
  }

  replyTo(request: Buffer): Reply | undefined {
    return this.replies.find((reply) => reply.unique === uniqueOf(request));
  }

  async waitForReply(request: Buffer): Promise<Reply> {
    // A session's own timers do not keep a process alive; this one does.
    const alive = setInterval(() => undefined, 1000);
    try {
      for (;;) {
        const reply = this.replyTo(request);
        if (reply !== undefined) return reply;
        await new Promise<void>((resolve) => (this.#onReply = resolve));
      }
    } finally {
      clearInterval(alive);
    }
  }
}
