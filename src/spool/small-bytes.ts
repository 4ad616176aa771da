/**
 * The bytes of a small file that is being written, in memory: most documents are written whole within a millisecond, and creating a file for them costs
 * more than all the rest. Nobody was told "done" before the seal, so nothing is lost with the process that could have been kept.
 */

/** Larger files go to the disk. */
export const SMALL_FILE_BYTES = 256 << 10;
const ALL_BYTES = 8 << 20;

/** Files of up to this many bytes use buffers that were used before: the pages of a fresh one cost more than the bytes. */
const BUFFER_BYTES = 64 << 10;
const SPARE_BUFFERS = 8;

/** The memory of all files of a spool that are being written. */
export class SmallBytesRoom {
  #leftBytes = ALL_BYTES;
  readonly #spare: Buffer[] = [];

  /** @returns a buffer of at least so many bytes, with anything in it; undefined when there is no room */
  take(bytes: number): Buffer | undefined {
    const length = Math.max(bytes, BUFFER_BYTES);
    if (length > this.#leftBytes) return undefined;
    this.#leftBytes -= length;
    return (length === BUFFER_BYTES ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(length);
  }

  /** Nobody reads it any more. */
  give(buffer: Buffer): void {
    this.#leftBytes += buffer.length;
    if (buffer.length === BUFFER_BYTES && this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffer);
  }
}

const NOTHING = Buffer.alloc(0);

export class SmallBytes {
  readonly #room: SmallBytesRoom;
  #buffer: Buffer = NOTHING;
  #sizeBytes = 0;

  constructor(room: SmallBytesRoom) {
    this.#room = room;
  }

  /** As they are now: not to be kept over a change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#sizeBytes);
  }

  /** What they take of the memory. */
  get roomBytes(): number {
    return this.#buffer.length;
  }

  /** @returns false when they would be too many; then nothing has changed */
  write(offset: number, data: Uint8Array): boolean {
    const end = offset + data.length;
    if (!this.#reserve(end)) return false;
    if (offset > this.#sizeBytes) this.#buffer.fill(0, this.#sizeBytes, offset);
    this.#buffer.set(data, offset);
    this.#sizeBytes = Math.max(this.#sizeBytes, end);
    return true;
  }

  /** @returns false when they would be too many; then nothing has changed */
  truncate(sizeBytes: number): boolean {
    if (!this.#reserve(sizeBytes)) return false;
    if (sizeBytes > this.#sizeBytes) this.#buffer.fill(0, this.#sizeBytes, sizeBytes);
    this.#sizeBytes = sizeBytes;
    return true;
  }

  /** They are not needed any more. */
  free(): void {
    this.#use(NOTHING);
    this.#sizeBytes = 0;
  }

  #reserve(sizeBytes: number): boolean {
    const had = this.#buffer.length;
    if (sizeBytes <= had) return true;
    if (sizeBytes > SMALL_FILE_BYTES) return false;
    // Most come in one piece; the others get twice as much each time.
    const larger = this.#room.take(Math.min(SMALL_FILE_BYTES, Math.max(sizeBytes, 2 * had)));
    if (larger === undefined) return false;
    this.#buffer.copy(larger, 0, 0, this.#sizeBytes);
    this.#use(larger);
    return true;
  }

  #use(buffer: Buffer): void {
    if (this.#buffer.length > 0) this.#room.give(this.#buffer);
    this.#buffer = buffer;
  }
}
