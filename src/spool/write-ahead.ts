/**
 * The write-ahead log: a small file is durable as soon as its bytes and its record stand here, by one fdatasync of a file that never grows, in place of three
 * fsyncs of which each makes the file system write its own journal. The sealed file and the spool's journal follow without haste, a segment at a time.
 *
 * INVARIANT: what a segment holds is durable elsewhere before the segment is used again, and nothing is put into one that is being settled.
 * It is a short cut and never the only way: where it has no room, or failed, the caller syncs the file itself.
 */
import { messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { draftEntry } from './ahead-entry.js';
import type { AheadEntry, EntryDraft } from './ahead-entry.js';
import type { AheadCopy } from './ahead-segment.js';
import { AheadSegment } from './ahead-segment.js';
import { fsyncDirectory } from './disk-calls.js';

export const AHEAD_SEGMENT_BYTES = 4 << 20;
/** A segment holds at least so many of the largest files that are taken. */
const FILES_IN_SEGMENT = 16;
/** A segment that could not be settled is tried again after so long. */
const RETRY_MS = 1_000;

interface WriteAheadParts {
  readonly directory: string;
  readonly paths: readonly [string, string];
  readonly segmentBytes: number;
  /** Whether the disk has room for so many bytes that are not needed. */
  readonly hasRoom: (bytes: number) => boolean;
  /** Makes the files and the records of a segment durable where they belong. */
  readonly settle: (copies: readonly AheadCopy[]) => Promise<void>;
  readonly log: Log;
}

/** An entry on its way to the record in the journal. */
export interface AheadTicket {
  readonly sequence: number;
  /** Rejects when the disk failed: then nobody may be told "done". */
  readonly durable: Promise<void>;
  /** The journal has the record, or one that takes it back: the segment need not wait for it any more. Idempotent. */
  end(): void;
}

interface Half {
  readonly segment: AheadSegment;
  /** Entries without their record in the journal. */
  open: number;
  /** Called when the last of them has it. */
  quiet: (() => void) | undefined;
  isSettling: boolean;
  /** When settling failed last; `performance.now()`. */
  failedMs: number | undefined;
}

export class WriteAhead {
  readonly #parts: WriteAheadParts;
  #halves: readonly [Half, Half] | undefined;
  #current: 0 | 1 = 0;
  #making: Promise<void> | undefined;
  #isUsable = true;
  readonly #settling = new Set<Promise<void>>();

  constructor(parts: WriteAheadParts) {
    this.#parts = parts;
  }

  /** Whether a file of this size may be taken: asked before anything is prepared for `put`. */
  takes(sizeBytes: number): boolean {
    if (!this.#isUsable || sizeBytes > this.#parts.segmentBytes / FILES_IN_SEGMENT) return false;
    if (this.#halves === undefined) this.#makeSoon();
    return this.#halves !== undefined;
  }

  /**
   * @param bytesOf the file's bytes, asked for when there is room
   * @returns undefined when there is no room now; then the lines of the entry are not durable either
   */
  put(entry: AheadEntry, bytesOf: () => Uint8Array): AheadTicket | undefined {
    const draft = draftEntry(entry);
    const half = this.#halfFor(draft);
    if (half === undefined) return undefined;
    let durable: Promise<void>;
    try {
      durable = half.segment.put(draft, bytesOf()).catch((error: unknown) => {
        this.#fail(error);
        throw error;
      });
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
    // Whoever gives up before it is known waits for it no more.
    durable.catch(() => undefined);
    half.open++;
    let isOpen = true;
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      half.open--;
      if (half.open === 0) half.quiet?.();
    };
    return { sequence: entry.seal.sequence, durable, end };
  }

  /** Settles both segments and removes them; what could not be settled is kept for the next start. */
  async close(): Promise<void> {
    this.#isUsable = false;
    await this.#making;
    await Promise.all(this.#settling);
    for (const half of this.#halves ?? []) {
      if (!half.segment.isEmpty) await this.#settle(half);
      half.segment.close(!half.segment.isEmpty);
    }
    this.#halves = undefined;
  }

  /** The current half, or the other one when that is full and the other one empty. */
  #halfFor(draft: EntryDraft): Half | undefined {
    if (this.#halves === undefined) return undefined;
    const current = this.#halves[this.#current];
    if (!current.isSettling && current.segment.fits(draft)) return current;
    this.#settleSoon(current);
    const next = this.#current === 0 ? 1 : 0;
    const other = this.#halves[next];
    if (other.segment.isEmpty && other.segment.fits(draft)) {
      this.#current = next;
      return other;
    }
    this.#settleSoon(other);
    return undefined;
  }

  #settleSoon(half: Half): void {
    if (half.isSettling || half.segment.isEmpty) return;
    if (half.failedMs !== undefined && performance.now() - half.failedMs < RETRY_MS) return;
    const run = this.#settle(half).finally(() => this.#settling.delete(run));
    this.#settling.add(run);
  }

  async #settle(half: Half): Promise<void> {
    half.isSettling = true;
    try {
      if (half.open > 0) await new Promise<void>((resolve) => (half.quiet = resolve));
      await this.#parts.settle(half.segment.copies);
      half.segment.clear();
      half.failedMs = undefined;
    } catch (error) {
      half.failedMs = performance.now();
      this.#parts.log.error('spool.ahead-not-settled', {
        directory: this.#parts.directory,
        reason: messageOf(error),
        remedy: 'what it holds is safe, and is tried again; check the disk of spool_dir',
      });
    } finally {
      half.quiet = undefined;
      half.isSettling = false;
    }
  }

  #makeSoon(): void {
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
  }

  async #make(): Promise<void> {
    const { directory, paths, segmentBytes, hasRoom } = this.#parts;
    const made: AheadSegment[] = [];
    try {
      if (!hasRoom(paths.length * segmentBytes)) return;
      for (const path of paths) made.push(await AheadSegment.create(path, segmentBytes));
      await fsyncDirectory(directory);
      const [first, second] = made.map((segment): Half => ({ segment, open: 0, quiet: undefined, isSettling: false, failedMs: undefined }));
      if (first !== undefined && second !== undefined) this.#halves = [first, second];
    } catch (error) {
      this.#fail(error);
      for (const segment of made) segment.close(false);
    }
  }

  /** A file whose fsync failed is not trusted again (see `journal.ts`); its entries stay until they are settled. */
  #fail(error: unknown): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    this.#parts.log.warn('spool.ahead-failed', {
      directory: this.#parts.directory,
      reason: messageOf(error),
      remedy: 'writes go on, each with fsyncs of its own; check the disk of spool_dir, then restart',
    });
    for (const half of this.#halves ?? []) this.#settleSoon(half);
  }
}
