/**
 * Room on the disk of the spool. Files being written may not take the last of it: the journal must still be able to say that something was deleted, and
 * a start must be able to open the spool.
 */
import { FilestoreError } from '../base/errors.js';
import { sizeOfSpoolDisk } from './disk-calls.js';

const RESERVE_BYTES = 4 << 20;
/** On a disk so small that the reserve is more than this part of it, the part. */
const RESERVE_PART = 1 / 16;
/** What is only of use, and not needed, may take this part of what is free. */
const SPARE_PART = 1 / 8;
/** Bytes written between two looks at the disk. */
const LOOK_EVERY_BYTES = 1 << 20;
const LOOK_EVERY_NAMES = 64;

export class DiskRoom {
  readonly #directory: string;
  readonly #makeRoom: (isRoom: () => boolean) => boolean;
  /** Bytes that may be written before the disk is looked at again. */
  #leftBytes = 0;
  /** Files that may be made before that. */
  #leftNames = 0;

  /** @param makeRoom frees what may be freed until `isRoom`, and says whether there is room */
  constructor(directory: string, makeRoom: (isRoom: () => boolean) => boolean) {
    this.#directory = directory;
    this.#makeRoom = makeRoom;
  }

  /** Called before bytes are written under `staging/`. @throws FilestoreError no-space, unavailable */
  take(bytes: number): void {
    if (this.#leftBytes < bytes) {
      let spareBytes = 0;
      const isRoom = (): boolean => (spareBytes = this.#spareBytes()) >= bytes;
      if (!this.#makeRoom(isRoom)) {
        throw new FilestoreError(
          'no-space',
          `the disk of spool_dir (${this.#directory}) is full; make room there: the last ${RESERVE_BYTES >> 20} MiB are kept for the journal`,
        );
      }
      this.#leftBytes = Math.min(spareBytes, Math.max(bytes, LOOK_EVERY_BYTES));
    }
    this.#leftBytes -= bytes;
  }

  /** Whether one more file can be made, behind the answer to its writer: not among the last of its inodes. */
  hasName(): boolean {
    if (this.#leftNames <= 0) {
      this.#leftNames = Math.min(LOOK_EVERY_NAMES, Math.floor(sizeOfSpoolDisk(this.#directory).freeNames / 4));
    }
    return this.#leftNames-- > 0;
  }

  /** Whether there is room for so many bytes of what is only of use, and not needed. */
  hasPlenty(bytes: number): boolean {
    return bytes <= this.#spareBytes() * SPARE_PART;
  }

  /** Whether the disk is so full that nothing may be written. */
  get isFull(): boolean {
    return this.#spareBytes() <= 0;
  }

  #spareBytes(): number {
    const { bytes, freeBytes } = sizeOfSpoolDisk(this.#directory);
    return freeBytes - Math.min(RESERVE_BYTES, bytes * RESERVE_PART);
  }
}
