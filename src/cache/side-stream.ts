/**
 * A reader that jumps far ahead of a running download does not wait for it: it gets a request of its own from where it looks, and goes on
 * reading there. The kernel's read-ahead asks a little out of order, so what has just come is kept for a moment. A stream that nobody reads
 * holds a connection, so it ends soon.
 */
import type { Readable } from 'node:stream';
import { addAbortSignal } from 'node:stream';
import { FilestoreError, messageOf } from '../base/errors.js';
import type { FillSource } from './cache.js';
import { discardBody } from './receive-body.js';
import { TrickleWatch } from './trickle-watch.js';

/** Bytes kept behind the newest, and the gap ahead that is read through rather than asked for anew. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const STREAMS_MAX = 4;
const IDLE_MS = 2_000;
/** Bodies that one reader has break off under him before he waits for the download itself. */
const TRIES_MAX = 3;

class SideStream {
  readonly #body: Readable;
  readonly #chunks: AsyncIterator<unknown>;
  #kept: { readonly start: number; readonly data: Uint8Array }[] = [];
  #start: number;
  #end: number;
  /** Reads run one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #reads = 0;
  #idle: NodeJS.Timeout | undefined;
  /** Runs while somebody waits for it: a body that trickles would hold him, and all who try again, for as long as the download takes. */
  readonly #trickle: TrickleWatch;
  readonly #onIdle: () => void;

  /** @param onIdle called when nobody has read from it for a while */
  constructor(body: Readable, start: number, onIdle: () => void) {
    this.#body = body;
    this.#onIdle = onIdle;
    this.#chunks = body[Symbol.asyncIterator]();
    this.#start = start;
    this.#end = start;
    this.#trickle = new TrickleWatch(
      () => this.#end,
      (error) => body.destroy(error),
    );
  }

  covers(offset: number): boolean {
    return offset >= this.#start && offset <= this.#end + WINDOW_BYTES;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    clearTimeout(this.#idle);
    if (this.#reads++ === 0) this.#trickle.start();
    const read = this.#last.then(() => this.#read(offset, length));
    this.#last = read.catch(() => undefined);
    try {
      return await read;
    } finally {
      if (--this.#reads === 0) {
        this.#trickle.stop();
        this.#idle = setTimeout(this.#onIdle, IDLE_MS).unref();
      }
    }
  }

  close(): void {
    clearTimeout(this.#idle);
    discardBody(this.#body);
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    while (this.#end < offset + length) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new FilestoreError('unavailable', `the body ended at byte ${this.#end}`);
      const data = next.value as Uint8Array;
      this.#kept.push({ start: this.#end, data });
      this.#end += data.length;
      this.#drop(Math.min(offset, this.#end - WINDOW_BYTES));
    }
    if (offset < this.#start) throw new FilestoreError('unavailable', `byte ${offset} has passed`);
    const part = Buffer.allocUnsafe(length);
    for (const { start, data } of this.#kept) {
      const from = Math.max(start, offset);
      const to = Math.min(start + data.length, offset + length);
      if (from < to) part.set(data.subarray(from - start, to - start), from - offset);
    }
    return part;
  }

  #drop(before: number): void {
    let count = 0;
    for (const { start, data } of this.#kept) {
      if (start + data.length > before) break;
      count++;
      this.#start = start + data.length;
    }
    this.#kept.splice(0, count);
  }
}

export class SideStreams {
  readonly #signal: AbortSignal;
  /** Least recently used first. */
  #streams: SideStream[] = [];
  #isClosed = false;

  /** @param signal ends all of them */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /**
   * @param length all of it lies within the object
   * @throws FilestoreError unavailable, not-found
   */
  async read(source: FillSource, offset: number, length: number): Promise<Uint8Array> {
    const known = this.#streams.find((stream) => stream.covers(offset));
    if (known !== undefined) {
      try {
        this.#use(known);
        return await known.read(offset, length);
      } catch {
        this.#end(known);
      }
    }
    for (let tries = 1; ; tries++) {
      const stream = await this.#open(source, offset);
      try {
        return await stream.read(offset, length);
      } catch (error) {
        this.#end(stream);
        if (this.#isClosed || tries === TRIES_MAX)
          throw new FilestoreError('unavailable', `${source.description}: ${messageOf(error)}`, { cause: error });
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.close();
    this.#streams = [];
  }

  async #open(source: FillSource, offset: number): Promise<SideStream> {
    const opened = await source.open(offset, this.#signal);
    if (opened === undefined) throw new FilestoreError('not-found', `${source.description} does not have it any more`);
    const stream: SideStream = new SideStream(addAbortSignal(this.#signal, opened.body), offset, () => this.#end(stream));
    this.#use(stream);
    return stream;
  }

  #use(stream: SideStream): void {
    this.#streams = [...this.#streams.filter((other) => other !== stream), stream];
    while (this.#streams.length > STREAMS_MAX) this.#streams.shift()?.close();
  }

  #end(stream: SideStream): void {
    stream.close();
    this.#streams = this.#streams.filter((other) => other !== stream);
  }
}
