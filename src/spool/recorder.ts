/**
 * What the spool knows, on the disk and in memory: every change is a record in the journal and is applied to the memory at once.
 *
 * INVARIANT: memory changes in the tick in which the record was appended, so both always say the same (`Spool.noteDirectory` apart).
 * ORDER of an end: record; sync of the journal; only then the sealed file is removed. Otherwise a power cut could bring back the record
 * without its bytes.
 */
import { basename } from 'node:path';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import type { Journal } from './journal.js';
import type { JournalReserve } from './journal-reserve.js';
import type { MoveRecord, SealRecord, SpoolRecord, Unnumbered } from './records.js';
import { encodeRecord } from './records.js';
import { SealsUnderWay } from './seals-under-way.js';
import type { Pending } from './spool.js';
import type { RecordedState } from './spool-state.js';

/** Records nobody waits for are synced this long after the first of them: within 100 ms (docs/DURABILITY.md) with the sync itself. */
const LAZY_SYNC_MS = 50;
/** After a sync that failed: until one succeeds the journal counts as failing, and nobody else may come for long. */
const RETRY_SYNC_MS = 1_000;
/** The journal is rewritten when it has this many dead records, and they are more than so many times the living ones. */
const DEAD_RECORDS_MIN = 4096;
const DEAD_TO_ALIVE = 4;

interface RecorderParts {
  readonly state: RecordedState;
  readonly journal: Journal;
  /** Of the journal, for messages. */
  readonly journalPath: string;
  readonly reserve: JournalReserve;
  /** Removes a sealed file that nothing refers to any more. */
  readonly removeFile: (file: string) => void;
  readonly log: Log;
}

export class Recorder {
  readonly #state: RecordedState;
  readonly #journal: Journal;
  readonly #journalPath: string;
  readonly #reserve: JournalReserve;
  readonly #removeFile: (file: string) => void;
  readonly #log: Log;
  /** Seals that stand in the write-ahead log and are not recorded yet. */
  readonly underWay = new SealsUnderWay();
  /** Sealed files that no record names any more; removed once that is durable. */
  #doomed: string[] = [];
  /** Paths for which something was ended by a record that is not synced yet, with its sequence number. */
  readonly #ended = new Map<string, number>();
  #lazySync: NodeJS.Timeout | undefined;
  #retrySync: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ state, journal, journalPath, reserve, removeFile, log }: RecorderParts) {
    this.#state = state;
    this.#journal = journal;
    this.#journalPath = journalPath;
    this.#reserve = reserve;
    this.#removeFile = removeFile;
    this.#log = log;
  }

  /** Files that are no longer named wait for a sync. */
  get hasDoomed(): boolean {
    return this.#doomed.length > 0;
  }

  /** As {@link Spool.mayRise}. */
  mayRise(path: string): boolean {
    return this.#ended.has(path);
  }

  /**
   * Appends and applies in one tick.
   * @param options.keepFile the sealed file of what it ends is somebody else's from now on
   * @throws FilestoreError no-space, unavailable; then nothing has changed
   */
  record(unnumbered: Unnumbered<SpoolRecord>, options: { keepFile: boolean } = { keepFile: false }): SpoolRecord {
    if (this.#isClosed) throw new FilestoreError('unavailable', 'the spool is closed');
    for (const { path, sequence: of } of this.underWay.overtakenBy(unnumbered)) {
      this.#append({ type: 'release', sequence: this.#state.nextSequence(), path, of });
      this.underWay.end(path, of);
    }
    const record = { ...unnumbered, sequence: this.#state.nextSequence() } as SpoolRecord;
    const endedPath = this.#endedBy(record);
    this.#append(record);
    if (endedPath !== undefined) this.#ended.set(endedPath, record.sequence);
    const ended = this.#state.apply(record);
    if (ended !== undefined && !options.keepFile) this.#doomed.push(ended.file);
    this.#compactIfWorthIt();
    return record;
  }

  /** As {@link record}, of what makes something pending. @returns that */
  recordPending(unnumbered: Unnumbered<SealRecord | MoveRecord>): Pending {
    const record = this.record(unnumbered);
    const path = unnumbered.type === 'move' ? unnumbered.to : unnumbered.path;
    const pending = this.#state.pending.get(path);
    if (pending?.sequence !== record.sequence) throw new FilestoreError('internal', `${displayName(path)}: its record changed nothing`);
    return pending;
  }

  /** What an undone record had ended is pending again. Its file is still there: doomed files go after a successful sync only. */
  revive(before: Pending): void {
    const { path, sizeBytes, sha1, md5, mtimeMs, sealedAtMs } = before;
    this.record({ type: 'seal', path, file: basename(before.file), sizeBytes, sha1, md5, mtimeMs, sealedAtMs });
    this.#doomed = this.#doomed.filter((file) => file !== before.file);
  }

  /** Everything recorded before the call survives a power cut. @throws FilestoreError no-space, unavailable */
  async sync(): Promise<void> {
    const doomed = this.#doomed;
    const ended = [...this.#ended];
    this.#doomed = [];
    try {
      await this.#journal.sync();
    } catch (error) {
      this.#doomed = [...doomed, ...this.#doomed];
      this.#retrySyncSoon();
      throw error;
    }
    for (const [path, sequence] of ended) if (this.#ended.get(path) === sequence) this.#ended.delete(path);
    for (const file of doomed) this.#removeFile(file);
    this.#reserve.refill();
  }

  /**
   * After a failed sync nobody may hear "done", so the record is taken back, unless something newer stands there already.
   * @throws as {@link sync}
   */
  async syncOrUndo(undo: () => void): Promise<void> {
    try {
      await this.sync();
    } catch (error) {
      try {
        undo();
      } catch (undoError) {
        this.#log.error('spool.undo-failed', {
          journal: this.#journalPath,
          reason: messageOf(undoError),
          remedy: 'a write that was answered with an error may still be published; check the disk of spool_dir',
        });
      }
      throw error;
    }
  }

  /** Nobody waits for it. */
  syncSoon(): void {
    if (this.#lazySync !== undefined || this.#isClosed) return;
    this.#lazySync = setTimeout(() => {
      this.#lazySync = undefined;
      this.sync().catch((error: unknown) => {
        this.#log.error('spool.sync-failed', { journal: this.#journalPath, reason: messageOf(error) });
      });
    }, LAZY_SYNC_MS);
    this.#lazySync.unref();
  }

  /** Nothing is recorded any more; what was, is synced. @throws as {@link sync} */
  async close(): Promise<void> {
    // Before the last sync: a later one would be of a file that is closed by then.
    this.#isClosed = true;
    clearTimeout(this.#lazySync);
    clearTimeout(this.#retrySync);
    try {
      await this.sync();
    } finally {
      await this.#journal.close();
    }
  }

  #append(record: SpoolRecord): void {
    try {
      this.#appendLine(encodeRecord(record), isEnd(record));
    } catch (error) {
      if (this.#journal.isFailing) this.#retrySyncSoon();
      throw error;
    }
  }

  /** @param mayUseReserve for what others may have left no room for */
  #appendLine(line: string, mayUseReserve: boolean): void {
    for (;;) {
      try {
        return this.#journal.append(line);
      } catch (error) {
        if (!mayUseReserve || kindOf(error) !== 'no-space' || !this.#reserve.giveUp()) throw error;
      }
    }
  }

  /** For which path a record ends something that Swift's word stands for from then on. */
  #endedBy(record: SpoolRecord): string | undefined {
    switch (record.type) {
      case 'told':
      case 'exhume':
      case 'release':
        return record.path;
      case 'alias':
        return this.#state.aliases.get(record.alias);
      default:
        return undefined;
    }
  }

  #retrySyncSoon(): void {
    if (this.#isClosed) return;
    this.#retrySync ??= setTimeout(() => {
      this.#retrySync = undefined;
      this.sync().catch((error: unknown) => {
        this.#log.debug('spool.sync-failed', { journal: this.#journalPath, reason: messageOf(error) });
      });
    }, RETRY_SYNC_MS).unref();
  }

  #compactIfWorthIt(): void {
    if (this.#journal.isCompacting) return;
    const dead = this.#journal.records - this.#state.aliveRecords;
    if (dead <= DEAD_RECORDS_MIN || dead <= DEAD_TO_ALIVE * this.#state.aliveRecords) return;
    this.#journal.compact().catch((error: unknown) => {
      this.#log.warn('spool.compaction-failed', { journal: this.#journalPath, reason: messageOf(error) });
    });
  }
}

/** Whether a record ends something, so that there is less on the disk, or in Swift, after it: what makes something has to find its own room. */
function isEnd(record: SpoolRecord): boolean {
  return record.type !== 'seal' && (record.type !== 'directories' || record.gone.length > 0);
}
