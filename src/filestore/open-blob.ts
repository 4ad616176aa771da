/** Open files whose bytes do not change: a whole verified file on this disk, a download being followed, an object read by ranges. */
import { FilestoreError, messageOf } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { Patience } from '../base/patience.js';
import type { ReadResult, SliceHolder } from '../base/read-result.js';
import { untilAborted } from '../base/until-aborted.js';
import type { CachedFile, Fill, HeldFile } from '../cache/cache.js';
import type { OpenFile, Stat } from './filestore.js';

const NOTHING = new Uint8Array(0);

function sliceOf(file: CachedFile, offset: number, length: number, holder: SliceHolder): ReadResult {
  const left = file.sizeBytes - offset;
  return left <= 0 ? NOTHING : { fd: file.fd, position: offset, length: Math.min(length, left), holder };
}

abstract class ReadOnlyFile {
  readonly #stat: Stat;

  constructor(stat: Stat) {
    this.#stat = stat;
  }

  stat(): Stat {
    return this.#stat;
  }

  write(): number {
    throw new FilestoreError('bad-handle', 'opened for reading only');
  }

  truncate(): void {
    throw new FilestoreError('bad-handle', 'opened for reading only');
  }

  setTimes(): void {
    // The time of a content name is BLOB_MTIME_MS, whatever anybody sets.
  }

  flush(): void {
    // Nothing was written.
  }

  fsync(): void {
    // Nothing was written.
  }
}

/**
 * A blob with a verified copy on this disk, the cache's or a sealed file. It is looked at when bytes are read, not when it is opened: the kernel has the pages of a popular
 * blob and reads nothing. A copy that was changed meanwhile is replaced by a verified one: what is read once stays in the kernel's pages.
 */
export class HeldBlob extends ReadOnlyFile implements OpenFile, SliceHolder {
  readonly immutable = true;
  readonly streaming = false;
  readonly wholeBytes: number;
  readonly #reopen: (signal: AbortSignal) => Promise<HeldFile>;
  #held: HeldFile;
  #isReleased = false;

  constructor(held: HeldFile, stat: Stat, reopen: (signal: AbortSignal) => Promise<HeldFile>) {
    super(stat);
    this.wholeBytes = held.sizeBytes;
    this.#held = held;
    this.#reopen = reopen;
  }

  /** The kernel reads from it without asking again, so it is looked at here. */
  get passthroughFd(): number | undefined {
    return this.#held.isIntact() ? this.#held.fd : undefined;
  }

  readNow(offset: number, length: number): ReadResult | undefined {
    return this.#held.isIntact() ? sliceOf(this.#held, offset, length, this) : undefined;
  }

  async read(offset: number, length: number, signal: AbortSignal): Promise<ReadResult> {
    const now = this.readNow(offset, length);
    if (now !== undefined) return now;
    const changed = this.#held;
    const hashing = changed.isIntactByHash();
    if (!(await untilAborted(hashing, signal, () => new FilestoreError('interrupted', 'given up while the copy was hashed'))))
      await this.#replace(changed, signal);
    return this.#isReleased ? NOTHING : sliceOf(this.#held, offset, length, this);
  }

  async #replace(spoilt: HeldFile, signal: AbortSignal): Promise<void> {
    const file = await this.#reopen(signal);
    if (this.#isReleased || this.#held !== spoilt) file.close();
    else {
      this.#held = file;
      spoilt.close();
    }
  }

  /** A bad sector, or a file cut short in this moment. */
  readElsewhere(offset: number, length: number, signal: AbortSignal): Promise<ReadResult> {
    this.#held.reject();
    return this.read(offset, length, signal);
  }

  release(): void {
    this.#isReleased = true;
    this.#held.close();
  }
}

/** A small blob that came this moment: its verified bytes, while its file is still being written. */
export class FreshBlob extends ReadOnlyFile implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = true;
  readonly streaming = false;
  readonly wholeBytes: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, stat: Stat) {
    super(stat);
    this.wholeBytes = bytes.length;
    this.#bytes = bytes;
  }

  read(offset: number, length: number): ReadResult {
    return this.readNow(offset, length);
  }

  readNow(offset: number, length: number): ReadResult {
    return this.#bytes.subarray(offset, offset + length);
  }

  release(): void {
    // The cache has it by now, or had no room.
  }
}

/** How a download is followed. */
interface StreamOptions {
  /** How long a read waits while no bytes come. */
  readonly timeoutMs: number;
  /** Damaged bytes came of it before: none is served until all are here and verified. */
  readonly isDoubted: boolean;
  /** Told once of a download that failed. */
  readonly onFailure: (error: unknown) => void;
  /** What is read from once all bytes are here. */
  readonly whole: (file: HeldFile) => HeldBlob;
}

/**
 * A blob above `stream_above`, served while it downloads: the one exception to "verified before the first byte". Its last bytes wait for the hash. When
 * that is wrong, every further read fails, it is not cached, and the next who opens it gets no byte before all are verified.
 */
export class StreamedFile extends ReadOnlyFile implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = true;
  readonly streaming = true;
  readonly #fill: Fill;
  readonly #sizeBytes: number;
  readonly #options: StreamOptions;
  readonly #arrived: Promise<void>;
  #whole: HeldBlob | undefined;
  #released = false;

  constructor(fill: Fill, stat: Stat, options: StreamOptions) {
    super(stat);
    this.#fill = fill;
    this.#sizeBytes = stat.sizeBytes;
    this.#options = options;
    this.#arrived = fill.whole.then((file) => {
      if (this.#released) file.close();
      else this.#whole = options.whole(file);
    });
    this.#arrived.catch(options.onFailure);
  }

  read(offset: number, length: number, signal: AbortSignal): Answer<ReadResult> {
    const left = this.#sizeBytes - offset;
    if (left <= 0) return NOTHING;
    const wanted = Math.min(length, left);
    if (this.#whole !== undefined) return this.#whole.readNow(offset, wanted) ?? this.#whole.read(offset, wanted, signal);
    return this.#part(offset, wanted, signal);
  }

  release(): void {
    this.#released = true;
    this.#whole?.release();
    this.#fill.leave();
  }

  async #part(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const { timeoutMs, isDoubted } = this.#options;
    const patience = new Patience(signal, timeoutMs, () => this.#fill.receivedBytes);
    try {
      if (isDoubted) await this.#allHere(patience.signal);
      const part = await this.#fill.readPart(offset, length, patience.signal);
      // Where the file turns out to have another size than its reader was told, this is not its end.
      if (offset + length >= this.#sizeBytes) await this.#allHere(patience.signal);
      return part;
    } catch (error) {
      if (patience.isLate && !signal.aborted)
        throw new FilestoreError('unavailable', `no bytes came within ${timeoutMs} ms (read_timeout)`, { cause: error });
      throw error;
    } finally {
      patience.end();
    }
  }

  /** All bytes are here and verified. @throws FilestoreError interrupted; what ended the download */
  #allHere(signal: AbortSignal): Promise<void> {
    return untilAborted(this.#arrived, signal, () => new FilestoreError('interrupted', 'given up before all bytes were here'));
  }
}

/** An object whose hash nobody knows (somebody else's large object): read by ranges, never cached. */
export class RangedFile extends ReadOnlyFile implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = false;
  readonly streaming = true;
  readonly #sizeBytes: number;
  readonly #get: (start: number, end: number, signal: AbortSignal) => Promise<Uint8Array>;

  constructor(stat: Stat, get: (start: number, end: number, signal: AbortSignal) => Promise<Uint8Array>) {
    super(stat);
    this.#sizeBytes = stat.sizeBytes;
    this.#get = get;
  }

  async read(offset: number, length: number, signal: AbortSignal): Promise<ReadResult> {
    const end = Math.min(offset + length, this.#sizeBytes);
    if (offset >= end) return NOTHING;
    try {
      return await this.#get(offset, end, signal);
    } catch (error) {
      throw error instanceof FilestoreError ? error : new FilestoreError('unavailable', messageOf(error), { cause: error });
    }
  }

  release(): void {
    // Nothing is held.
  }
}
