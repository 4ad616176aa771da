/**
 * A file being written: in memory while it is small, then under `staging/`. Private to its writer until it is sealed; what a crash leaves of it is
 * removed at the next start, for nobody was told "done". One that is sealed in memory comes to the disk when somebody needs it there (late-files.ts).
 *
 * INVARIANT: bytes that are sealed, or handed over to the cache, never change. A write after that (before a second close through a duplicated
 * descriptor) goes to a copy.
 */
import { closeSync, constants, copyFileSync, ftruncateSync, openSync, renameSync, unlink } from 'node:fs';
import type { FileDigest } from '../base/file-digest.js';
import { BytesDigest, digestFile, RunningDigest } from '../base/file-digest.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { diskError, FILE_MODE, fsyncFile, readAllSync, unlinkQuietly, writeAllSync } from './disk-calls.js';
import type { DiskRoom } from './disk-room.js';
import type { SmallBytesRoom } from './small-bytes.js';
import { SmallBytes } from './small-bytes.js';
import type { StagingFile } from './spool.js';

/** What a staging file needs of its spool. */
export interface StagingGround {
  /** A path under `staging/` that nobody has. */
  readonly nextPath: () => string;
  /** Makes the folders anew, where somebody removed them under the daemon. */
  readonly makeFolders: () => void;
  /** What it may take of the disk. */
  readonly room: DiskRoom;
  readonly smallRoom: SmallBytesRoom;
}

/** What the disk said to its writer. A size that its file system does not have is no fault of the disk. */
function changeError(error: unknown, doing: string): FilestoreError {
  if (kindOf(error) !== 'too-large') return diskError(error, doing);
  return new FilestoreError('too-large', `${doing}: ${messageOf(error)}`, { cause: error });
}

export class DiskStagingFile implements StagingFile {
  readonly #ground: StagingGround;
  /** Its bytes, while they are in memory; the disk has nothing of it then. */
  #small: SmallBytes | undefined;
  #path = '';
  /** Under `sealed/`, for when its bytes come to the disk. */
  #sealedPath: string | undefined;
  #fd = -1;
  readonly #whenOnDisk: ((fd: number) => void)[] = [];
  #sizeBytes: number;
  /** Runs along as long as the bytes come front to back. */
  #running: RunningDigest | undefined;
  /** Of the file as it was read, or of the bytes in memory; holds until the next change. */
  #read: FileDigest | undefined;
  /** Counts changes, so that a reading knows whether one came in between. */
  #changes = 0;
  /** Its bytes, and its file, are the spool's or the cache's. */
  #isSealed = false;
  #isOpen = true;
  #failure: FilestoreError | undefined;

  /**
   * @param filled a file that is there already; undefined makes an empty one
   * @throws FilestoreError no-space, unavailable
   */
  constructor(ground: StagingGround, filled?: { path: string; sizeBytes: number }) {
    this.#ground = ground;
    this.#sizeBytes = filled?.sizeBytes ?? 0;
    if (filled === undefined) this.#small = new SmallBytes(ground.smallRoom);
    else this.#open(filled.path, 'r+');
  }

  get sizeBytes(): number {
    return this.#small?.bytes.length ?? this.#sizeBytes;
  }

  get isInMemory(): boolean {
    return this.#small !== undefined;
  }

  /** What it takes of the memory for small files. */
  get memoryBytes(): number {
    return this.#small?.roomBytes ?? 0;
  }

  file(): { readonly fd: number; readonly path: string } {
    if (this.#small !== undefined) this.#toDisk(this.#small);
    return { fd: this.#fd, path: this.#path };
  }

  handOver(): string | undefined {
    if (this.#isSealed) return undefined;
    const { path } = this.file();
    this.#isSealed = true;
    return path;
  }

  whenOnDisk(tell: (fd: number) => void): void {
    if (this.#small === undefined) tell(this.#fd);
    else this.#whenOnDisk.push(tell);
  }

  copyTo(target: Uint8Array, position: number): void {
    if (this.#small === undefined) {
      readAllSync(this.#fd, target, position);
      return;
    }
    const end = position + target.length;
    if (end > this.sizeBytes) throw new FilestoreError('corrupt', `a file of ${this.sizeBytes} bytes was read up to ${end}`);
    target.set(this.#small.bytes.subarray(position, end));
  }

  /** For the spool: all of them, of a file that is not large. Not to be kept over a change. @throws what the disk says */
  bytes(): Uint8Array {
    if (this.#small !== undefined) return this.#small.bytes;
    const bytes = Buffer.allocUnsafe(this.#sizeBytes);
    this.copyTo(bytes, 0);
    return bytes;
  }

  write(offset: number, data: Uint8Array): number {
    this.#beforeChange();
    this.#ground.room.take(data.length);
    if (this.#small !== undefined) {
      if (this.#small.write(offset, data)) return data.length;
      this.#growOnDisk(this.#small);
    }
    try {
      writeAllSync(this.#fd, data, offset);
    } catch (error) {
      this.#running = undefined;
      this.#cutBack();
      throw changeError(error, `cannot write ${this.#path}`);
    }
    if (this.#running?.sizeBytes === offset) this.#running.update(data);
    else this.#running = undefined;
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + data.length);
    return data.length;
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes === this.sizeBytes) return;
    this.#beforeChange();
    if (this.#small !== undefined) {
      if (this.#small.truncate(sizeBytes)) return;
      this.#growOnDisk(this.#small);
    }
    try {
      ftruncateSync(this.#fd, sizeBytes);
    } catch (error) {
      throw changeError(error, `cannot set the size of ${this.#path}`);
    }
    this.#running = sizeBytes === 0 ? new RunningDigest() : undefined;
    this.#sizeBytes = sizeBytes;
  }

  async digest(): Promise<FileDigest> {
    if (this.#running !== undefined) return this.#running.peek();
    if (this.#read !== undefined) return this.#read;
    if (this.#small !== undefined) {
      this.#read = new BytesDigest(this.#small.bytes);
      return this.#read;
    }
    for (;;) {
      const changesBefore = this.#changes;
      let digest: FileDigest;
      try {
        digest = await digestFile(this.#path, this.#fd);
      } catch (error) {
        throw diskError(error, `cannot read ${this.#path}`);
      }
      // A write may have come while the file was read: then what was read is no file that ever was.
      if (this.#changes !== changesBefore) continue;
      this.#read = digest;
      return digest;
    }
  }

  async discard(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#small !== undefined) {
      // Sealed, its bytes are the spool's.
      if (!this.#isSealed) this.#free(this.#small);
      return;
    }
    closeSync(this.#fd);
    this.#fd = -1;
    if (this.#isSealed) return;
    await new Promise<void>((resolve) => unlink(this.#path, () => resolve()));
  }

  /** For the spool: gives the file its sealed name, in memory or on the disk. Not durable yet, and still the writer's until `markSealed`. */
  moveTo(path: string): void {
    if (this.#isSealed) this.#detach();
    this.#assertGood();
    if (this.#small !== undefined) {
      this.#sealedPath = path;
      return;
    }
    this.#rename(path);
  }

  /** For the spool: a name under `torn/`; `discard` leaves it. */
  setAsideAs(path: string): void {
    this.moveTo(path);
    this.file();
    this.#isSealed = true;
  }

  /** For the spool: from here on the bytes belong to the journal. */
  markSealed(): void {
    this.#isSealed = true;
  }

  /** For the spool: puts sealed bytes to where they belong, also after `discard`. @throws FilestoreError no-space, unavailable; then they are still in memory */
  comeToDisk(): void {
    if (this.#small === undefined) return;
    this.#toDisk(this.#small);
    if (!this.#isOpen) closeSync(this.#fd);
  }

  /** For the spool: nothing refers to the sealed bytes any more, which are in memory; who has the file open keeps them. */
  disown(): void {
    this.#isSealed = false;
    this.#sealedPath = undefined;
    this.#whenOnDisk.length = 0;
    if (!this.#isOpen && this.#small !== undefined) this.#free(this.#small);
  }

  /** A failed fsync may have lost bytes that a second one would not miss: this file can be sealed no more. */
  async fsync(): Promise<void> {
    this.#assertGood();
    const { fd } = this.file();
    try {
      await fsyncFile(fd);
    } catch (error) {
      this.#failure = diskError(error, `cannot sync ${this.#path}`);
      throw this.#failure;
    }
  }

  #open(path: string, flags: 'wx+' | 'r+'): void {
    try {
      this.#fd = this.#withFolders(() => openSync(path, flags, FILE_MODE));
      this.#path = path;
    } catch (error) {
      throw diskError(error, `cannot open ${path}`);
    }
  }

  /** @throws FilestoreError no-space, unavailable; then the bytes are where they were */
  #toDisk(small: SmallBytes): void {
    const { bytes } = small;
    this.#open(this.#ground.nextPath(), 'wx+');
    try {
      writeAllSync(this.#fd, bytes, 0);
    } catch (error) {
      closeSync(this.#fd);
      // What is left there a start removes.
      unlinkQuietly(this.#path);
      throw diskError(error, `cannot write ${this.#path}`);
    }
    try {
      if (this.#sealedPath !== undefined) this.#rename(this.#sealedPath);
    } catch (error) {
      closeSync(this.#fd);
      unlinkQuietly(this.#path);
      throw error;
    }
    this.#sizeBytes = bytes.length;
    this.#small = undefined;
    this.#free(small);
    for (const tell of this.#whenOnDisk.splice(0)) tell(this.#fd);
  }

  /** Whoever has been given the digest may ask for its other sum later. */
  #settleDigest(): void {
    if (this.#read instanceof BytesDigest) this.#read.settle();
  }

  #free(small: SmallBytes): void {
    this.#settleDigest();
    small.free();
  }

  #rename(path: string): void {
    try {
      this.#withFolders(() => renameSync(this.#path, path));
    } catch (error) {
      throw diskError(error, `cannot seal ${this.#path}`);
    }
    this.#path = path;
  }

  #withFolders<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw error;
      this.#ground.makeFolders();
      return work();
    }
  }

  /** It gets more than the memory has for it. */
  #growOnDisk(small: SmallBytes): void {
    const running = new RunningDigest();
    running.update(small.bytes);
    this.#toDisk(small);
    this.#running = running;
  }

  #assertGood(): void {
    if (!this.#isOpen) throw new FilestoreError('internal', `${this.#path} was discarded`);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #beforeChange(): void {
    if (!this.#isOpen) throw new FilestoreError('internal', `${this.#path} was discarded`);
    this.#settleDigest();
    this.#read = undefined;
    this.#changes++;
    if (this.#isSealed) this.#detach();
  }

  /** Part of a write that failed may be in the file. */
  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#sizeBytes);
    } catch {
      // Its digest is then that of a longer file, which no seal takes.
    }
  }

  /** Goes on with a copy of the sealed bytes (a reflink where the disk can). */
  #detach(): void {
    this.file();
    this.#sealedPath = undefined;
    const copy = this.#ground.nextPath();
    try {
      this.#ground.room.take(this.#sizeBytes);
      copyFileSync(`/proc/self/fd/${this.#fd}`, copy, constants.COPYFILE_FICLONE);
      const fd = openSync(copy, 'r+');
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      throw new FilestoreError(diskError(error, '').kind, `cannot copy ${this.#path} to write on: ${messageOf(error)}`, { cause: error });
    }
    this.#path = copy;
    this.#isSealed = false;
    this.#failure = undefined;
  }
}
