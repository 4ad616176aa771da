/**
 * Room for the journal on a disk that others have filled to its last byte: a file of no use but for its blocks, which are given up, a part at a time, when a record
 * that ends something finds no room. Without it nothing could be deleted there, and who makes room on a local disk does so by deleting.
 *
 * Our own writes leave more than that free (disk-room.ts). One for each database; it stays over an end, for the next start may come on a full disk.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, constants, openSync, statSync, truncateSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { FILE_MODE, unlinkQuietly, writeAllSync } from './disk-calls.js';

const RESERVE_BYTES = 256 << 10;
/** Some hundred records. What others take of it is gone, so it is not given up at once. */
const PART_BYTES = 64 << 10;
const REFILL_MS = 10_000;

export class JournalReserve {
  readonly #path: string;
  readonly #hasRoom: (bytes: number) => boolean;
  readonly #log: Log;
  #isWhole: boolean;
  #triedMs = -Infinity;

  /** @param hasRoom whether the disk has plenty of room for so many bytes */
  constructor(path: string, hasRoom: (bytes: number) => boolean, log: Log) {
    this.#path = path;
    this.#hasRoom = hasRoom;
    this.#log = log;
    this.#isWhole = this.#sizeBytes() >= RESERVE_BYTES;
  }

  /** @returns whether there was something to give up: then the disk may have room for what it refused */
  giveUp(): boolean {
    const sizeBytes = this.#sizeBytes();
    if (sizeBytes === 0) return false;
    this.#isWhole = false;
    this.#triedMs = performance.now();
    try {
      truncateSync(this.#path, Math.max(0, sizeBytes - PART_BYTES));
      this.#log.debug('spool.reserve-given-up', { reserve: this.#path, leftBytes: Math.max(0, sizeBytes - PART_BYTES) });
      return true;
    } catch (error) {
      this.#log.debug('spool.reserve-kept', { reserve: this.#path, reason: messageOf(error) });
      return false;
    }
  }

  /** Makes it when it is not whole and there is plenty of room; to be called now and then. Throws nothing. */
  refill(): void {
    if (this.#isWhole || performance.now() - this.#triedMs < REFILL_MS) return;
    this.#triedMs = performance.now();
    try {
      if (!this.#hasRoom(RESERVE_BYTES)) return;
      const { O_CREAT, O_WRONLY } = constants;
      const fd = openSync(this.#path, O_WRONLY | O_CREAT, FILE_MODE);
      try {
        // Nothing that a file system could make small.
        writeAllSync(fd, randomFillSync(Buffer.allocUnsafe(RESERVE_BYTES)), 0);
        this.#isWhole = true;
      } finally {
        closeSync(fd);
        if (!this.#isWhole) unlinkQuietly(this.#path);
      }
    } catch (error) {
      this.#log.debug('spool.reserve-not-made', { reserve: this.#path, reason: messageOf(error) });
    }
  }

  #sizeBytes(): number {
    try {
      return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    } catch {
      return 0;
    }
  }
}
