/**
 * The file that a download fills, front to back. It lies under `tmp/` of the cache, or without a name elsewhere when the cache's disk has
 * no room or breaks on the way: then what is there already is copied over and the download goes on.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync, writev, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { kindOf } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { openAnonymousFile } from './anonymous-file.js';
import { cut } from './buffer-list.js';
import { FILE_MODE } from './cache-layout.js';
import { readPartOf } from './fingerprint.js';

const writeAll: (fd: number, data: readonly Uint8Array[], position: number) => Promise<{ bytesWritten: number }> = promisify(writev);

/** Files up to this size are written by one synchronous call, when all of it is here: a hop through the thread pool costs more than the copy into the page cache. */
const SYNCHRONOUS_MAX_BYTES = 1024 * 1024;
/**
 * Of larger ones so much is written at once, from a multiple of it on: the kernel keeps what came by one call in larger pieces, up to the 2 MiB of a huge page. Reads of
 * those are half as fast again as of what came in 64 KiB, and 7 % faster than of what came in mebibytes.
 */
const WRITE_BYTES = 2 * 1024 * 1024;

interface PartialFileOptions {
  /** A free name under `tmp/`; undefined when the disk has no room for the whole. */
  readonly path: string | undefined;
  readonly expectedBytes: number;
  /** Makes the folders again, when they are gone. */
  readonly makeFolders: () => void;
  /** Told why the cache's disk could not be used. */
  readonly onUnwritable: (error: unknown) => void;
}

export class PartialFile {
  readonly #options: PartialFileOptions;
  readonly #isSmall: boolean;
  #fd: number;
  #path: string | undefined;
  /** In the file. */
  #writtenBytes = 0;
  /** Behind them: not in the file yet. */
  #tail: Uint8Array[] = [];
  #tailBytes = 0;
  /** Reads under way: a descriptor must not be closed (and its number reused) under them. */
  readonly #reads = new Set<Promise<Uint8Array>>();
  #toClose: number[] = [];

  /** @throws FilestoreError no-space when there is no room anywhere */
  constructor(options: PartialFileOptions) {
    this.#options = options;
    this.#isSmall = options.expectedBytes <= SYNCHRONOUS_MAX_BYTES;
    this.#path = options.path;
    this.#fd = this.#open();
  }

  get expectedBytes(): number {
    return this.#options.expectedBytes;
  }

  /** Undefined: the file has no name. */
  get path(): string | undefined {
    return this.#path;
  }

  /** What can be read. */
  get receivedBytes(): number {
    return this.#writtenBytes + this.#tailBytes;
  }

  /** The bytes of a small file, which stay in memory until `finish`; undefined for a large one. */
  get inMemory(): Uint8Array | undefined {
    if (!this.#isSmall || this.#writtenBytes > 0) return undefined;
    const [first] = this.#tail;
    return this.#tail.length === 1 ? first : Buffer.concat(this.#tail);
  }

  /**
   * @param data kept: not to be changed afterwards
   * @throws FilestoreError no-space when there is no room anywhere
   */
  append(data: Uint8Array): Answer<void> {
    this.#tail.push(data);
    this.#tailBytes += data.length;
    if (this.#isSmall || this.#tailBytes < WRITE_BYTES) return undefined;
    return this.#write(this.#tailBytes - (this.receivedBytes % WRITE_BYTES));
  }

  /** @param length no more than what was received. @throws what read throws */
  async read(position: number, length: number): Promise<Uint8Array> {
    const behind = this.#readTail(position, length);
    if (behind?.length === length) return behind;
    const read = readPartOf(this.#fd, position, length - (behind?.length ?? 0));
    this.#reads.add(read);
    try {
      return behind === undefined ? await read : Buffer.concat([await read, behind]);
    } finally {
      this.#reads.delete(read);
      this.#closeWhatWaits();
    }
  }

  /** Resolves when all of it is in the file and no read is under way. @throws FilestoreError no-space when there is no room anywhere */
  async finish(): Promise<void> {
    await this.#write(this.#tailBytes);
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
  }

  /**
   * Hands the descriptor over: the file is whole (`finish`). It can only read (unless there is no descriptor to be had now):
   * a file that is held open for writing keeps its disk from being remounted read-only.
   */
  take(): number {
    const fd = this.#fd;
    this.#fd = -1;
    try {
      const readFd = openSync(`/proc/self/fd/${fd}`, 'r');
      // A read that began in this turn may still use it.
      this.#toClose.push(fd);
      this.#closeWhatWaits();
      return readFd;
    } catch {
      return fd;
    }
  }

  discard(): void {
    if (this.#fd < 0) return;
    this.#toClose.push(this.#fd);
    this.#fd = -1;
    this.#closeWhatWaits();
    this.#unlink();
  }

  #open(): number {
    const { expectedBytes, makeFolders, onUnwritable } = this.#options;
    const path = this.#path;
    if (path === undefined) return openAnonymousFile(expectedBytes);
    try {
      return openSync(path, 'wx+', FILE_MODE);
    } catch (error) {
      try {
        if (kindOf(error) !== 'not-found') throw error;
        makeFolders();
        return openSync(path, 'wx+', FILE_MODE);
      } catch (secondError) {
        onUnwritable(secondError);
        this.#path = undefined;
        return openAnonymousFile(expectedBytes);
      }
    }
  }

  /** @returns the part of a range that is not in the file yet */
  #readTail(position: number, length: number): Uint8Array | undefined {
    const from = Math.max(0, position - this.#writtenBytes);
    const to = position + length - this.#writtenBytes;
    return to <= 0 ? undefined : Buffer.concat(cut(this.#tail, from, to));
  }

  /** @param bytes of the tail */
  async #write(bytes: number): Promise<void> {
    const end = this.#writtenBytes + bytes;
    while (this.#writtenBytes < end) {
      try {
        const data = cut(this.#tail, 0, end - this.#writtenBytes);
        const at = this.#writtenBytes;
        const written = this.#isSmall ? writevSync(this.#fd, data, at) : (await writeAll(this.#fd, data, at)).bytesWritten;
        this.#writtenBytes += written;
        this.#tailBytes -= written;
        this.#tail = cut(this.#tail, written);
      } catch (error) {
        this.#moveAwayAfter(error);
      }
    }
  }

  /** @throws what went wrong when the file lies elsewhere already */
  #moveAwayAfter(error: unknown): void {
    if (this.#path === undefined) throw error;
    this.#options.onUnwritable(error);
    this.#moveAway();
  }

  #moveAway(): void {
    const fd = openAnonymousFile(this.#options.expectedBytes);
    const buffer = Buffer.allocUnsafe(Math.min(WRITE_BYTES, Math.max(1, this.#writtenBytes)));
    for (let position = 0; position < this.#writtenBytes;) {
      const length = readSync(this.#fd, buffer, 0, Math.min(buffer.length, this.#writtenBytes - position), position);
      if (length === 0) break;
      for (let done = 0; done < length;) done += writeSync(fd, buffer, done, length - done, position + done);
      position += length;
    }
    this.#toClose.push(this.#fd);
    this.#fd = fd;
    this.#unlink();
    this.#closeWhatWaits();
  }

  #unlink(): void {
    if (this.#path === undefined) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // What is left under tmp/ goes at the next start.
    }
    this.#path = undefined;
  }

  #closeWhatWaits(): void {
    if (this.#reads.size > 0) return;
    for (const fd of this.#toClose) closeSync(fd);
    this.#toClose = [];
  }
}
