/**
 * The body of an answer as the filestore reads it: bytes are counted against Content-Length, and whatever breaks becomes `unavailable`.
 * INVARIANT: a body that ends without an error had all its bytes.
 */
import { Readable } from 'node:stream';
import { FilestoreError } from '../../base/errors.js';
import type { IncomingBody } from './incoming-body.js';
import type { RunningRequest } from './running-requests.js';
import { wireFailureOf } from './wire-failure.js';

interface AnswerBodySource {
  readonly incoming: IncomingBody;
  /** For messages: method, place, transaction. */
  readonly what: string;
  /** For the message of one that breaks off: what may be behind it. */
  readonly whyCut: string | undefined;
  readonly expectedBytes: number | undefined;
  readonly running: RunningRequest;
  readonly callerSignal: AbortSignal | undefined;
  /** Called exactly once, when the connection is free again or given up. */
  readonly release: () => void;
}

export class AnswerBody extends Readable {
  readonly #source: AnswerBodySource;
  #receivedBytes = 0;
  #released = false;
  #ended = false;

  constructor(source: AnswerBodySource) {
    super({ highWaterMark: 256 * 1024 });
    this.#source = source;
    source.incoming.into({ data: (chunk) => this.#take(chunk), end: () => this.#end(), error: (error) => this.#fail(error) });
  }

  override _read(): void {
    // Who waits for a slow reader is not stalled.
    this.#source.running.moved();
    this.#source.incoming.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#ended) this.#source.incoming.giveUp();
    this.#release();
    callback(error);
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#receivedBytes += chunk.length;
    this.#source.running.moved();
    if (!this.push(chunk)) this.#source.incoming.pause();
  }

  #end(): void {
    this.#ended = true;
    if (this.destroyed) return;
    const { expectedBytes } = this.#source;
    if (expectedBytes !== undefined && expectedBytes !== this.#receivedBytes) {
      this.#fail(new Error(`${this.#receivedBytes} of ${expectedBytes} bytes came`));
      return;
    }
    this.#release();
    this.push(null);
  }

  #fail(error: unknown): void {
    if (this.destroyed) return;
    const { what, whyCut, callerSignal } = this.#source;
    if (callerSignal?.aborted) return void this.destroy(new FilestoreError('interrupted', `${what}: given up by the caller`));
    const told = `${what}: ${wireFailureOf(error).message}${whyCut === undefined ? '' : `; ${whyCut}`}`;
    this.destroy(new FilestoreError('unavailable', told, { cause: error }));
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#source.running.ended();
    this.#source.release();
  }
}
