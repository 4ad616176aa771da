/**
 * The bytes of a small file that is being written, in memory: most documents are written whole within a millisecond, and creating a file for them costs
 * more than all the rest. Nobody was told "done" before the seal, so nothing is lost with the process that could have been kept.
 */

/** Larger files go to the disk. */
export const SMALL_FILE_BYTES = 256 << 10;
const ALL_BYTES = 4 << 20;

/** What all files of a spool that are being written may take of the memory together. */
export class SmallBytesRoom {
  #leftBytes = ALL_BYTES;

  /** @returns false: there is none for so many more */
  take(bytes: number): boolean {
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#leftBytes += bytes;
  }
}

export class SmallBytes {
  readonly #room: SmallBytesRoom;
  #buffer = Buffer.alloc(0);
  #sizeBytes = 0;

  constructor(room: SmallBytesRoom) {
    this.#room = room;
  }

  /** As they are now: not to be kept over a change. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#sizeBytes);
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
    this.#room.give(this.#buffer.length);
    this.#buffer = Buffer.alloc(0);
    this.#sizeBytes = 0;
  }

  #reserve(sizeBytes: number): boolean {
    const had = this.#buffer.length;
    if (sizeBytes <= had) return true;
    if (sizeBytes > SMALL_FILE_BYTES) return false;
    // Most come in one piece: those get what they need, the others twice as much each time.
    const wanted = had === 0 ? sizeBytes : Math.min(SMALL_FILE_BYTES, Math.max(sizeBytes, 2 * had));
    if (!this.#room.take(wanted - had)) return false;
    const larger = Buffer.allocUnsafeSlow(wanted);
    this.#buffer.copy(larger, 0, 0, this.#sizeBytes);
    this.#buffer = larger;
    return true;
  }
}
