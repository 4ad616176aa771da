/**
 * One of the two files of the write-ahead log. Its blocks were written once, when it was made, so that an fdatasync has nothing to do but the bytes: no
 * length, no name and no block map changes.
 *
 *   empty ──put…──► filling ──(the other one takes over)──► settling ──► empty
 */
import { randomInt } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { FilestoreError } from '../base/errors.js';
import type { EntryDraft } from './ahead-entry.js';
import { encodeEntry, PAGE_BYTES } from './ahead-entry.js';
import { fdatasyncFile, FILE_MODE, fsyncFile, unlinkQuietly, writeAllSync, writeFile, writePiecesSync } from './disk-calls.js';
import { GroupSync } from './group-sync.js';
import type { SealEntry } from './records.js';

const ZEROS_LENGTH = 256 << 10;

/** A file whose bytes stand in a segment. */
export interface AheadCopy {
  readonly seal: SealEntry;
  readonly fd: number;
  /** Where its bytes begin. */
  readonly position: number;
}

export class AheadSegment {
  readonly #path: string;
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #group: GroupSync;
  readonly #copies: AheadCopy[] = [];
  #lap = newLap();
  #end = 0;
  /** Of the first sync that failed: the next one may succeed without the pages that this one lost. */
  #failure: Promise<void> | undefined;

  private constructor(path: string, fd: number, sizeBytes: number) {
    this.#path = path;
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
    this.#group = new GroupSync(() => this.#sync());
  }

  /** Makes the file. Its name is durable once its directory is synced. @throws what the disk says */
  static async create(path: string, sizeBytes: number): Promise<AheadSegment> {
    const { O_CREAT, O_RDWR, O_TRUNC } = constants;
    const fd = openSync(path, O_RDWR | O_CREAT | O_TRUNC, FILE_MODE);
    try {
      const zeros = Buffer.alloc(ZEROS_LENGTH);
      for (let left = sizeBytes; left > 0;) left -= (await writeFile(fd, zeros.subarray(0, left))).bytesWritten;
      await fsyncFile(fd);
      return new AheadSegment(path, fd, sizeBytes);
    } catch (error) {
      closeSync(fd);
      unlinkQuietly(path);
      throw error;
    }
  }

  get isEmpty(): boolean {
    return this.#end === 0;
  }

  get copies(): readonly AheadCopy[] {
    return this.#copies;
  }

  fits(draft: EntryDraft): boolean {
    return this.#end + draft.length <= this.#sizeBytes;
  }

  /** @param bytes the file's. @returns when they, and all that was put before, are durable. @throws what the disk says */
  put(draft: EntryDraft, bytes: Uint8Array): Promise<void> {
    writePiecesSync(this.#fd, encodeEntry(draft, this.#lap, bytes), this.#end);
    this.#copies.push({ seal: draft.seal, fd: this.#fd, position: this.#end + draft.bytesAt });
    this.#end += draft.length;
    return this.#group.request();
  }

  #sync(): Promise<void> {
    if (this.#failure !== undefined) return this.#failure;
    const run = this.#syncNamed();
    run.catch(() => {
      this.#failure = run;
    });
    return run;
  }

  async #syncNamed(): Promise<void> {
    await fdatasyncFile(this.#fd);
    if (fstatSync(this.#fd).nlink === 0) throw new FilestoreError('unavailable', `${this.#path} was removed`);
  }

  /** All of it is durable elsewhere: a start finds nothing here. */
  clear(): void {
    writeAllSync(this.#fd, Buffer.alloc(PAGE_BYTES), 0);
    this.#copies.length = 0;
    this.#lap = newLap();
    this.#end = 0;
  }

  /** @param keep what it holds is durable nowhere else */
  close(keep: boolean): void {
    closeSync(this.#fd);
    // On a disk that turned read-only it stays: a start takes nothing from it, and removes it.
    if (!keep) unlinkQuietly(this.#path);
  }
}

function newLap(): number {
  return randomInt(1 << 30);
}
