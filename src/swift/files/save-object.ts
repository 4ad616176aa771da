/** An object's bytes to a local file, held against their MD5 where Swift tells it. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writev, writevSync } from 'node:fs';
import { cut } from '../../base/buffer-list.js';
import { FilestoreError } from '../../base/errors.js';
import type { ObjectRead } from '../../store/object-store.js';

/** Written in one call. */
const BATCH_BYTES = 1 << 20;
/** Read ahead of the disk. */
const WAITING_MAX_BYTES = 8 << 20;

/**
 * @param file made, or emptied, by this call
 * @throws FilestoreError corrupt when the bytes are not those of the ETag (the file is left as it is); what the body and the disk throw
 */
export async function saveObject({ info, body }: ObjectRead, file: string, flags: 'w' | 'wx' = 'w'): Promise<void> {
  let fd: number;
  try {
    fd = openSync(file, flags, 0o666);
  } catch (error) {
    body.on('error', () => undefined).destroy();
    throw error;
  }
  try {
    const md5 = await new Promise<string>((resolve, reject) => new Writer(fd, body, resolve, reject));
    if (info.md5 !== undefined && info.md5 !== md5) {
      throw new FilestoreError('corrupt', `what came for ${file} has MD5 ${md5}, Swift's object has ${info.md5}; try again`);
    }
  } finally {
    closeSync(fd);
  }
}

class Writer {
  readonly #fd: number;
  readonly #body: ObjectRead['body'];
  readonly #resolve: (md5: string) => void;
  readonly #reject: (error: unknown) => void;
  readonly #md5 = createHash('md5');
  #batch: Buffer[] = [];
  #batchBytes = 0;
  #isWriting = false;
  #hasEnded = false;
  #error: unknown;

  constructor(fd: number, body: ObjectRead['body'], resolve: (md5: string) => void, reject: (error: unknown) => void) {
    this.#fd = fd;
    this.#body = body;
    this.#resolve = resolve;
    this.#reject = reject;
    body.on('data', (chunk: Buffer) => this.#take(chunk));
    body.on('end', () => {
      this.#hasEnded = true;
      if (!this.#isWriting) this.#write();
    });
    body.on('error', (error) => this.#fail(error));
  }

  #take(chunk: Buffer): void {
    this.#md5.update(chunk);
    this.#batch.push(chunk);
    this.#batchBytes += chunk.length;
    if (this.#batchBytes >= BATCH_BYTES && !this.#isWriting) this.#write();
    if (this.#batchBytes >= WAITING_MAX_BYTES) this.#body.pause();
  }

  /** What has come since the last write; at the end of a small object at once, else beside what comes. */
  #write(): void {
    if (this.#error !== undefined) {
      this.#reject(this.#error);
      return;
    }
    const bytes = this.#batchBytes;
    const batch = this.#batch;
    [this.#batch, this.#batchBytes] = [[], 0];
    if (this.#hasEnded && bytes <= BATCH_BYTES) {
      try {
        let rest: readonly Uint8Array[] = batch;
        while (rest.length > 0) rest = cut(rest, writevSync(this.#fd, rest));
        this.#resolve(this.#md5.digest('hex'));
      } catch (error) {
        this.#fail(error);
      }
      return;
    }
    this.#isWriting = true;
    this.#writeOn(batch);
  }

  #writeOn(rest: readonly Uint8Array[]): void {
    writev(this.#fd, rest, (error, written) => {
      const left = error === null ? cut(rest, written) : [];
      if (error === null && left.length > 0) {
        this.#writeOn(left);
        return;
      }
      this.#isWriting = false;
      if (error !== null) this.#fail(error);
      else if (this.#error !== undefined || this.#hasEnded || this.#batchBytes >= BATCH_BYTES) this.#write();
      if (this.#batchBytes < WAITING_MAX_BYTES) this.#body.resume();
    });
  }

  /** Told when nothing uses the descriptor any more. */
  #fail(error: unknown): void {
    this.#error ??= error;
    this.#body.destroy();
    if (!this.#isWriting) this.#reject(this.#error);
  }
}
