/**
 * The file that a download fills, front to back. It lies under `tmp/` of the cache, or without a name elsewhere when the cache's disk has
 * no room or breaks on the way: then what is there already is copied over and the download goes on.
 */
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { kindOf } from '../base/errors.js';
import { openAnonymousFile } from './anonymous-file.js';
import { FILE_MODE } from './cache-layout.js';
import { readPartOf } from './fingerprint.js';

const writeAt: (fd: number, data: Uint8Array, offset: number, length: number, position: number) => Promise<{ bytesWritten: number }> =
  promisify(write);

/** Files up to this size are written synchronously: a hop through the thread pool costs more than the copy into the page cache. */
const SYNCHRONOUS_MAX_BYTES = 1024 * 1024;
const COPY_CHUNK_BYTES = 1024 * 1024;

export interface PartialFileOptions {
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
  #fd: number;
  #path: string | undefined;
  #writtenBytes = 0;
  /** Reads under way: a descriptor must not be closed (and its number reused) under them. */
  readonly #reads = new Set<Promise<Uint8Array>>();
  #toClose: number[] = [];

  /** @throws FilestoreError no-space when there is no room anywhere */
  constructor(options: PartialFileOptions) {
    this.#options = options;
    this.#path = options.path;
    this.#fd = this.#open();
  }

  /** Undefined: the file has no name. */
  get path(): string | undefined {
    return this.#path;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** @throws FilestoreError no-space when there is no room anywhere */
  async append(data: Uint8Array): Promise<void> {
    try {
      await this.#write(data);
    } catch (error) {
      if (this.#path === undefined) throw error;
      this.#options.onUnwritable(error);
      this.#moveAway();
      await this.#write(data);
    }
    this.#writtenBytes += data.length;
  }

  /** The bytes so far were wrong. */
  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#writtenBytes = 0;
  }

  /** @throws what read throws */
  async read(position: number, length: number): Promise<Uint8Array> {
    const read = readPartOf(this.#fd, position, length);
    this.#reads.add(read);
    try {
      return await read;
    } finally {
      this.#reads.delete(read);
      this.#closeWhatWaits();
    }
  }

  /** Resolves when no read is under way. */
  async settled(): Promise<void> {
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
  }

  /**
   * Hands the descriptor over: the file is whole, and no read is under way. It can only read (unless there is no descriptor to be had now):
   * a file that is held open for writing keeps its disk from being remounted read-only.
   */
  take(): number {
    const fd = this.#fd;
    this.#fd = -1;
    try {
      const readFd = openSync(`/proc/self/fd/${fd}`, 'r');
      closeSync(fd);
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

  async #write(data: Uint8Array): Promise<void> {
    const isSmall = this.#options.expectedBytes <= SYNCHRONOUS_MAX_BYTES;
    for (let done = 0; done < data.length;) {
      const position = this.#writtenBytes + done;
      if (isSmall) done += writeSync(this.#fd, data, done, data.length - done, position);
      else done += (await writeAt(this.#fd, data, done, data.length - done, position)).bytesWritten;
    }
  }

  #moveAway(): void {
    const fd = openAnonymousFile(this.#options.expectedBytes);
    const buffer = Buffer.allocUnsafe(Math.min(COPY_CHUNK_BYTES, Math.max(1, this.#writtenBytes)));
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
