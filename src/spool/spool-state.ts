/**
 * What the journal's records add up to. Every change goes through `apply`, at start and in life alike, so replay cannot differ from
 * what was in memory; but for directories that were found while nothing could be recorded.
 *
 * INVARIANT: a path is pending or has a tombstone, never both.
 */
import { join } from 'node:path';
import { unreachable } from '../base/errors.js';
import type { SpoolRecord } from './records.js';
import { encodeRecord, JOURNAL_VERSION } from './records.js';
import type { Pending, SpoolState, Tombstone } from './spool.js';

export class RecordedState implements SpoolState {
  readonly pending = new Map<string, Pending>();
  readonly tombstones = new Map<string, Tombstone>();
  readonly directories = new Map<string, number>();
  readonly deeperDirectories = new Set<string>();
  readonly unrecordedDirectories = new Map<string, number>();
  readonly aliases = new Map<string, string>();
  readonly #sealedDirectory: string;
  #pendingBytes = 0;
  #sequence = 0;

  constructor(sealedDirectory: string) {
    this.#sealedDirectory = sealedDirectory;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** How many records a compacted journal would have. */
  get aliveRecords(): number {
    return this.pending.size + this.tombstones.size + this.directories.size + this.aliases.size;
  }

  nextSequence(): number {
    return ++this.#sequence;
  }

  /** @returns the pending object that the record ended, if it did */
  apply(record: SpoolRecord): Pending | undefined {
    this.#sequence = Math.max(this.#sequence, record.sequence);
    switch (record.type) {
      case 'start':
        return undefined;
      case 'seal': {
        const { path, sizeBytes, sha1, md5, mtimeMs, sealedAtMs, sequence } = record;
        const file = join(this.#sealedDirectory, record.file);
        return this.#setPending({ path, file, sizeBytes, sha1, md5, mtimeMs, sealedAtMs, sequence });
      }
      case 'move': {
        const moved = this.pending.get(record.from);
        if (moved?.sequence !== record.of) return undefined;
        this.#dropPending(record.from);
        if (record.buriedAtMs !== undefined) {
          const { from: path, buriedAtMs: deletedAtMs, sequence } = record;
          this.tombstones.set(path, { path, deletedAtMs, owedToSwift: true, sequence });
        }
        // A rename is the last word on its target, as a close is.
        const sealedAtMs = record.buriedAtMs ?? moved.sealedAtMs;
        return this.#setPending({ ...moved, path: record.to, sealedAtMs, sequence: record.sequence });
      }
      case 'release':
        return this.pending.get(record.path)?.sequence === record.of ? this.#dropPending(record.path) : undefined;
      case 'bury': {
        const { path, deletedAtMs, owedToSwift, sequence, dueAtMs } = record;
        this.tombstones.set(path, { path, deletedAtMs, owedToSwift, sequence, ...(dueAtMs === undefined ? {} : { dueAtMs }) });
        return this.#dropPending(path);
      }
      case 'told': {
        const told = this.tombstones.get(record.path);
        if (told?.sequence !== record.of) return undefined;
        if (record.keep) this.tombstones.set(record.path, { ...told, owedToSwift: false });
        else this.tombstones.delete(record.path);
        return undefined;
      }
      case 'exhume':
        this.tombstones.delete(record.path);
        return undefined;
      case 'directories':
        for (const path of record.gone) {
          this.directories.delete(path);
          this.deeperDirectories.delete(path);
          this.unrecordedDirectories.delete(path);
        }
        for (const [path, mtimeMs] of record.made) {
          this.#setDirectory(path, mtimeMs);
          this.unrecordedDirectories.delete(path);
        }
        return undefined;
      case 'alias':
        if (record.path === null) this.aliases.delete(record.alias);
        else this.aliases.set(record.alias, record.path);
        return undefined;
      default:
        return unreachable(record);
    }
  }

  /**
   * The lines of a journal that says the same in as few records as can be. What stands is taken note of now; the lines are made as they
   * are asked for, so the state may go on changing meanwhile.
   */
  snapshot(): { readonly records: number; readonly lines: Iterable<string> } {
    const sequence = this.#sequence;
    const tombstones = [...this.tombstones.values()];
    const pending = [...this.pending.values()];
    const directories = [...this.directories];
    const aliases = [...this.aliases];
    const directoryOf = this.#sealedDirectory.length + 1;
    function* lines(): Iterable<string> {
      yield encodeRecord({ type: 'start', sequence, version: JOURNAL_VERSION });
      for (const tombstone of tombstones) yield encodeRecord({ type: 'bury', ...tombstone });
      for (const object of pending) yield encodeRecord({ type: 'seal', ...object, file: object.file.slice(directoryOf) });
      for (const made of directories) yield encodeRecord({ type: 'directories', sequence, gone: [], made: [made] });
      for (const [alias, path] of aliases) yield encodeRecord({ type: 'alias', sequence, alias, path });
    }
    return { records: 1 + tombstones.length + pending.length + directories.length + aliases.length, lines: lines() };
  }

  /** A directory is there of which no record could be written; it is unrecorded until one is applied. */
  noteUnrecorded(path: string, mtimeMs: number): void {
    this.#setDirectory(path, mtimeMs);
    this.unrecordedDirectories.set(path, mtimeMs);
  }

  #setDirectory(path: string, mtimeMs: number): void {
    this.directories.set(path, mtimeMs);
    if (path.includes('/')) this.deeperDirectories.add(path);
  }

  #setPending(object: Pending): Pending | undefined {
    const before = this.#dropPending(object.path);
    this.tombstones.delete(object.path);
    this.pending.set(object.path, object);
    this.#pendingBytes += object.sizeBytes;
    return before;
  }

  #dropPending(path: string): Pending | undefined {
    const object = this.pending.get(path);
    if (object === undefined) return undefined;
    this.pending.delete(path);
    this.#pendingBytes -= object.sizeBytes;
    return object;
  }
}
