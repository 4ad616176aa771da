/**
 * Sealed files that are not under `sealed/` yet: their bytes are in the write-ahead log, where a start finds them, and in memory. To make a file takes
 * longer than all the rest of a small close(), and in a burst it holds up the next one; so it is made when it is needed there, or when the burst is over.
 *
 *   sealed ──(read, sent, settled; memory or time is up)──► on the disk          sealed ──(nothing refers to it)──► dropped
 */
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { DiskStagingFile } from './staging-file.js';

/** Of the memory for small files (small-bytes.ts): the other half is for those being written. */
const MOST_BYTES = 4 << 20;
const WAIT_MS = 250;
const RETRY_MS = 1_000;
/** Made in one turn of the loop. */
const AT_ONCE = 4;

export class LateFiles {
  readonly #log: Log;
  /** By the path they will have; the oldest first. */
  readonly #files = new Map<string, { readonly file: DiskStagingFile; readonly memoryBytes: number }>();
  #memoryBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param file sealed, in memory, and durable by the write-ahead log */
  add(path: string, file: DiskStagingFile): void {
    const { memoryBytes } = file;
    this.#files.set(path, { file, memoryBytes });
    this.#memoryBytes += memoryBytes;
    file.whenOnDisk(() => this.#forget(path));
    const isMuch = this.#memoryBytes > MOST_BYTES;
    if (isMuch) this.#stopTimer();
    this.#makeLater(isMuch ? 0 : WAIT_MS);
  }

  /** Puts it on the disk if it is not there. @throws FilestoreError no-space, unavailable */
  need(path: string): void {
    this.#files.get(path)?.file.comeToDisk();
  }

  /** @returns a copy of its bytes, undefined when it lies on the disk */
  bytesOf(path: string): Uint8Array | undefined {
    const late = this.#files.get(path);
    return late === undefined ? undefined : Uint8Array.from(late.file.bytes());
  }

  /** Nothing refers to it any more. @returns false when it is not here: then it lies on the disk */
  drop(path: string): boolean {
    const late = this.#files.get(path);
    if (late === undefined) return false;
    this.#forget(path);
    late.file.disown();
    return true;
  }

  /** What is still here stays in the write-ahead log. */
  close(): void {
    this.#stopTimer();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #forget(path: string): void {
    const late = this.#files.get(path);
    if (late !== undefined && this.#files.delete(path)) this.#memoryBytes -= late.memoryBytes;
  }

  #makeLater(waitMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#makeSome(), waitMs).unref();
  }

  #makeSome(): void {
    this.#timer = undefined;
    try {
      for (const path of [...this.#files.keys()].slice(0, AT_ONCE)) this.need(path);
      if (this.#files.size > 0) this.#makeLater(0);
    } catch (error) {
      // Nothing is lost: the log has it. Whoever needs the file is told.
      this.#log.debug('spool.file-not-made', { reason: messageOf(error) });
      this.#makeLater(RETRY_MS);
    }
  }
}
