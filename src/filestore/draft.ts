/**
 * Bytes that are being changed: a staging file, perhaps begun over the bytes a name had before. What was handed over for publishing is frozen;
 * the next write goes to a copy, so that nothing under a PUT, in the spool or in the cache ever changes.
 *
 *    over(base) ──write──► staging ──freeze──► frozen ──write──► staging (a copy) …
 */
import type { Answer } from '../base/maybe-promise.js';
import { unreadable, type FileSlice, type ReadResult, type SliceHolder } from '../base/read-result.js';
import type { Spool, StagingFile } from '../spool/spool.js';

/** Bytes that a draft starts from, and that its readers see until something is written. */
export interface DraftBase {
  readonly fd: number;
  readonly sizeBytes: number;
  /** Its disk did not give the bytes: it is not handed out again unless it is found to be whole. */
  reject?(): void;
  close(): void;
}

export class Draft implements SliceHolder {
  readonly #spool: Spool;
  #base: DraftBase | undefined;
  #staging: StagingFile | undefined;
  #frozen = false;
  /** Handed over and still being read. */
  readonly #held = new Set<StagingFile>();
  #thawing: Promise<StagingFile> | undefined;
  /** Grows with each change: who awaited something compares it. */
  #version = 0;

  /** @param base undefined: the file starts empty */
  constructor(spool: Spool, base?: DraftBase) {
    this.#spool = spool;
    this.#base = base;
    if (base === undefined) this.#staging = spool.createStaging();
  }

  get sizeBytes(): number {
    return this.#staging?.sizeBytes ?? this.#base?.sizeBytes ?? 0;
  }

  get version(): number {
    return this.#version;
  }

  /** The file with the bytes as they are, or undefined while nothing was written over the base. */
  get staging(): StagingFile | undefined {
    return this.#staging;
  }

  read(offset: number, length: number): FileSlice {
    const left = Math.max(0, this.sizeBytes - offset);
    const slice = { fd: this.#fd(), position: offset, length: Math.min(length, left) };
    return this.#staging === undefined ? { ...slice, holder: this } : slice;
  }

  /** Who has it open keeps the copy that he has; who opens it next gets another. @throws FilestoreError unavailable */
  readElsewhere(): Promise<ReadResult> {
    this.#base?.reject?.();
    return Promise.reject(unreadable());
  }

  write(offset: number, data: Uint8Array): Answer<number> {
    this.#version++;
    if (this.#staging !== undefined && !this.#frozen) return this.#staging.write(offset, data);
    const kept = Uint8Array.prototype.slice.call(data);
    return this.#thaw().then((staging) => {
      // Again: who captured the version while we copied has not seen these bytes.
      this.#version++;
      return staging.write(offset, kept);
    });
  }

  truncate(sizeBytes: number): Answer<void> {
    this.#version++;
    if (this.#staging !== undefined && !this.#frozen) return this.#staging.truncate(sizeBytes);
    if (sizeBytes === 0 && this.#thawing === undefined) {
      this.#replace(this.#spool.createStaging());
      return undefined;
    }
    return this.#thaw().then((staging) => {
      this.#version++;
      staging.truncate(sizeBytes);
    });
  }

  /**
   * Freezes the bytes as they are and keeps their descriptor open while `work` runs, whatever is written meanwhile.
   * @param staging what `staging` returned, in the same turn of the loop
   */
  async withFrozen<T>(staging: StagingFile, work: () => Promise<T>): Promise<T> {
    this.#frozen = true;
    this.#held.add(staging);
    try {
      return await work();
    } finally {
      this.#held.delete(staging);
      if (this.#staging !== staging) await staging.discard();
    }
  }

  async close(): Promise<void> {
    this.#base?.close();
    this.#base = undefined;
    const staging = this.#staging;
    this.#staging = undefined;
    if (staging !== undefined && !this.#held.has(staging)) await staging.discard();
  }

  #thaw(): Promise<StagingFile> {
    this.#thawing ??= this.#copy().finally(() => (this.#thawing = undefined));
    return this.#thawing;
  }

  async #copy(): Promise<StagingFile> {
    // By descriptor: the path may have moved into the spool or the cache meanwhile.
    const base = this.#staging === undefined ? this.#base : undefined;
    try {
      const staging = await this.#spool.createStagingFrom(`/proc/self/fd/${this.#fd()}`);
      this.#replace(staging);
      return staging;
    } catch (error) {
      // Where it is the base that cannot be read, who opens the file next gets another one.
      base?.reject?.();
      throw error;
    }
  }

  #fd(): number {
    return this.#staging?.file().fd ?? this.#base?.fd ?? -1;
  }

  #replace(staging: StagingFile): void {
    const old = this.#staging;
    this.#staging = staging;
    this.#frozen = false;
    // The old one's file belongs to the spool or the cache now; only its descriptor ends. A failure to close loses nothing.
    if (old !== undefined && !this.#held.has(old)) void old.discard().catch(() => undefined);
    this.#base?.close();
    this.#base = undefined;
  }
}
