/**
 * Makes a written file what is owed to Swift.
 *
 * ORDER, the short way: bytes and record into the write-ahead log; sync of that; record; answer; the file in `sealed/` (late-files.ts).
 * The long way: rename; fsync of the file and of the directory (side by side: until the record nothing refers to them); record; sync of
 * the journal; answer. Either way a kill in between leaves a file that no record names, and nobody was told "done".
 */
import { join } from 'node:path';
import { FilestoreError, messageOf } from '../base/errors.js';
import type { FileDigest } from '../base/file-digest.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import type { AheadCopy } from './ahead-segment.js';
import { diskError, fsyncDirectory } from './disk-calls.js';
import type { DiskRoom } from './disk-room.js';
import { GroupSync } from './group-sync.js';
import type { Journal } from './journal.js';
import type { LateFiles } from './late-files.js';
import type { Recorder } from './recorder.js';
import type { SealEntry } from './records.js';
import { syncCopies } from './sealed-copies.js';
import type { Pending } from './spool.js';
import type { SpoolLayout } from './spool-layout.js';
import type { RecordedState } from './spool-state.js';
import type { DiskStagingFile } from './staging-file.js';
import type { AheadTicket } from './write-ahead.js';
import { WriteAhead } from './write-ahead.js';

interface SealerParts {
  readonly layout: SpoolLayout;
  readonly state: RecordedState;
  readonly journal: Journal;
  readonly recorder: Recorder;
  readonly late: LateFiles;
  readonly room: DiskRoom;
  /** Of a segment of the write-ahead log. */
  readonly segmentBytes: number;
  /** Makes names under `sealed/` and `torn/` unique over restarts. */
  readonly firstFileNumber: number;
  readonly log: Log;
  readonly nowMs: () => number;
}

/** A seal that went into the write-ahead log. */
interface SealAhead {
  readonly ticket: AheadTicket;
  /** Of the journal when the entry was written: a journal that was rewritten since may lack the record. */
  readonly generation: number;
}

export class Sealer {
  readonly #layout: SpoolLayout;
  readonly #state: RecordedState;
  readonly #journal: Journal;
  readonly #recorder: Recorder;
  readonly #late: LateFiles;
  readonly #room: DiskRoom;
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #sealedNames: GroupSync;
  readonly #ahead: WriteAhead;
  #fileNumber: number;

  constructor(parts: SealerParts) {
    this.#layout = parts.layout;
    this.#state = parts.state;
    this.#journal = parts.journal;
    this.#recorder = parts.recorder;
    this.#late = parts.late;
    this.#room = parts.room;
    this.#log = parts.log;
    this.#nowMs = parts.nowMs;
    this.#fileNumber = parts.firstFileNumber;
    this.#sealedNames = new GroupSync(() => fsyncDirectory(parts.layout.sealed));
    this.#ahead = new WriteAhead({
      directory: parts.layout.root,
      paths: parts.layout.ahead,
      segmentBytes: parts.segmentBytes,
      hasRoom: (bytes) => parts.room.hasPlenty(bytes),
      settle: (copies) => this.#settle(copies),
      log: parts.log,
    });
  }

  /** For a file under `sealed/` or `torn/`. */
  nextFileName(digest: FileDigest): string {
    return `${String(++this.#fileNumber).padStart(12, '0')}-${digest.sha1}`;
  }

  /** As {@link Spool.seal}. */
  async seal(file: DiskStagingFile, path: string, digest: FileDigest, mtimeMs: number, isWanted = (): boolean => true): Promise<Pending> {
    const recorder = this.#recorder;
    if (file.sizeBytes !== digest.sizeBytes) {
      throw new FilestoreError('internal', `${displayName(path)}: sealed with the digest of other bytes`);
    }
    const assertWanted = (): void => {
      if (!isWanted()) throw new FilestoreError('stale', `${displayName(path)} belongs to another file by now`);
    };
    // In the turn of the entry: what made it unwanted before that has a lower number, and would not end it at a start.
    assertWanted();
    const name = this.nextFileName(digest);
    const { sha1, sizeBytes } = digest;
    const entry = { type: 'seal', path, file: name, sizeBytes, sha1, mtimeMs, sealedAtMs: this.#nowMs() } as const;
    const ahead = this.#putAhead(entry, file);
    try {
      file.moveTo(join(this.#layout.sealed, name));
      // Of bytes in memory it is taken now, while the disk is at work.
      const seal = { ...entry, md5: digest.md5 };
      const isAhead = ahead !== undefined && (await this.#isDurable(ahead));
      if (!isAhead) await this.#makeDurable(file, path);
      assertWanted();
      const isCounted = ahead !== undefined && recorder.underWay.end(path, ahead.ticket.sequence);
      const before = this.#state.pending.get(path);
      const pending = recorder.recordPending(seal);
      file.markSealed();
      if (file.isInMemory) this.#late.add(pending.file, file);
      if (!isAhead || !isCounted || this.#journal.generation !== ahead.generation || this.#journal.isCompacting)
        await recorder.syncOrUndo(() => this.#undo(pending, before));
      else if (recorder.hasDoomed) recorder.syncSoon();
      return pending;
    } catch (error) {
      // A start would find the entry, and no record that it came to nothing.
      if (ahead !== undefined) await this.#takeBack(path, ahead.ticket.sequence);
      throw error;
    } finally {
      if (ahead !== undefined) {
        recorder.underWay.end(path, ahead.ticket.sequence);
        ahead.ticket.end();
      }
    }
  }

  close(): Promise<void> {
    return this.#ahead.close();
  }

  /** @returns undefined when the file has to go the long way */
  #putAhead(seal: Omit<SealEntry, 'sequence'>, file: DiskStagingFile): SealAhead | undefined {
    if (!this.#ahead.takes(file.sizeBytes) || !this.#room.hasName()) return undefined;
    const lines = this.#journal.takeLoose();
    if (lines === undefined) return undefined;
    const { generation } = this.#journal;
    const entry = { seal: { ...seal, sequence: this.#state.nextSequence() }, lines };
    const ticket = this.#ahead.put(entry, () => file.bytes());
    if (ticket === undefined) return undefined;
    this.#recorder.underWay.begin(seal.path, ticket.sequence);
    return { ticket, generation };
  }

  /** @returns false when the entry may or may not be on the disk, and the file has to go the long way as well */
  async #isDurable({ ticket }: SealAhead): Promise<boolean> {
    try {
      await ticket.durable;
      return true;
    } catch {
      this.#recorder.syncSoon();
      return false;
    }
  }

  async #makeDurable(file: DiskStagingFile, path: string): Promise<void> {
    try {
      await Promise.all([file.fsync(), this.#sealedNames.request()]);
    } catch (error) {
      throw diskError(error, `cannot make ${displayName(path)} durable`);
    }
  }

  async #takeBack(path: string, sequence: number): Promise<void> {
    try {
      this.#recorder.record({ type: 'release', path, of: sequence });
      await this.#recorder.sync();
    } catch (error) {
      this.#log.warn('spool.undo-failed', {
        journal: this.#layout.journal,
        reason: messageOf(error),
        remedy: 'a write that was answered with an error may still be published; check the disk of spool_dir',
      });
    }
  }

  /** What a segment of the write-ahead log holds is durable where it belongs: the files, their names, their records. */
  async #settle(copies: readonly AheadCopy[]): Promise<void> {
    for (const { seal } of copies) this.#late.need(join(this.#layout.sealed, seal.file));
    await syncCopies(this.#layout, copies);
    await Promise.all([this.#sealedNames.request(), this.#recorder.sync()]);
  }

  #undo(pending: Pending, before: Pending | undefined): void {
    if (this.#state.pending.get(pending.path)?.sequence !== pending.sequence) return;
    if (before === undefined) this.#recorder.record({ type: 'release', path: pending.path, of: pending.sequence });
    else this.#recorder.revive(before);
  }
}
