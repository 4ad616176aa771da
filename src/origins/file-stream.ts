/** The bytes of an open file on a disk that may hang. */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { FilestoreError, messageOf } from '../base/errors.js';
import type { PatientDisk } from './patient-disk.js';

const READ_CHUNK_BYTES = 256 * 1024;

export class FileStream extends Readable {
  readonly #disk: PatientDisk;
  readonly #handle: FileHandle;
  readonly #end: number;
  readonly #gone = new AbortController();
  #position: number;
  #reading: Promise<unknown> = Promise.resolve();

  /**
   * @param handle closed by the stream
   * @param end the byte after the last; a file that is shorter by then ends earlier
   */
  constructor(disk: PatientDisk, handle: FileHandle, start: number, end: number) {
    super({ highWaterMark: READ_CHUNK_BYTES });
    this.#disk = disk;
    this.#handle = handle;
    this.#position = start;
    this.#end = end;
  }

  override _read(): void {
    const length = Math.min(READ_CHUNK_BYTES, this.#end - this.#position);
    if (length <= 0) {
      this.push(null);
      return;
    }
    const read = (): Promise<{ bytesRead: number; buffer: Buffer }> => {
      const reading = this.#handle.read(Buffer.allocUnsafe(length), 0, length, this.#position);
      this.#reading = reading;
      return reading;
    };
    this.#disk.ask(read, this.#gone.signal).then(
      ({ bytesRead, buffer }) => {
        this.#position += bytesRead;
        this.push(bytesRead === 0 ? null : buffer.subarray(0, bytesRead));
      },
      (error: unknown) => this.destroy(error instanceof Error ? error : new FilestoreError('unavailable', messageOf(error))),
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#gone.abort();
    // Behind a read that hangs: its descriptor must not become another file's.
    const close = (): Promise<void> => this.#handle.close().catch(() => undefined);
    void this.#reading.then(close, close);
    callback(error);
  }
}
