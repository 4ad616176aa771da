/**
 * What this machine remembers of a database, in `SPOOL_DIR/v1/DATABASE/record.json` (0600): enough to serve it when Swift is away,
 * and to know that a dropped one stays dropped.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FilestoreError, kindOf } from '../base/errors.js';
import { DIRECTORY_MODE, fsyncDirectorySync } from '../spool/disk-calls.js';
import { makeDurableDirectory } from '../spool/durable-directory.js';

const FORMAT = 1;

export interface DatabaseRecord {
  /** Byte string. */
  readonly database: string;
  readonly container: string;
  /** Whether its directory exists. */
  readonly exists: boolean;
  /** Swift confirmed the container at least once since the database was made. */
  readonly bound: boolean;
  /** The account in which it was then (`ObjectStore.account`); absent: not known. */
  readonly account?: string;
  /** It was dropped once: what the origin has of it belongs to the dropped one and stays hidden. */
  readonly originHidden: boolean;
  /** When it was dropped here. */
  readonly droppedAtMs?: number;
  /** What this node marked the container with at its last drop, with `nodes: many`. */
  readonly dropMark?: string | undefined;
  /** Of a drop with `nodes: many`, and absent else: whether the container has been marked, so that without a mark it is another one. */
  readonly dropMarked?: boolean | undefined;
  /** Of a mount of one database: another node has dropped it, and nothing needs a container since. */
  readonly endedElsewhere?: boolean;
  /** With `nodes: many`: found in Swift, and this machine has not registered there yet. Where it is gone by then, another node has dropped it. */
  readonly isFound?: boolean;
  readonly madeAtMs: number;
}

/** @returns undefined when there is none. @throws FilestoreError bad-config when it cannot be read or is of a newer format */
export function readRecord(file: string): DatabaseRecord | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(file, error);
  }
  const value = parse(text);
  if (value === undefined)
    throw new FilestoreError(
      'bad-config',
      `${file} is damaged; restore it from a backup, or move it away: the database is then found again by its container`,
    );
  if (value.format !== FORMAT)
    throw new FilestoreError(
      'bad-config',
      `${file} was written by another version (format ${String(value.format)}); use that version or another spool_dir`,
    );
  return value;
}

/** Reads it in another thread, for who may not wait for a disk. @throws as `readRecord` when the disk does not give it */
export async function readRecordBeforehand(file: string): Promise<void> {
  await readFile(file).catch((error: unknown) => {
    if (kindOf(error) !== 'not-found') throw unreadable(file, error);
  });
}

function unreadable(file: string, cause: unknown): FilestoreError {
  return new FilestoreError('bad-config', `${file} cannot be read; check the owner of spool_dir`, { cause });
}

/** @returns undefined for what is no record of any version */
function parse(text: string): (DatabaseRecord & { readonly format: number }) | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isRecord = typeof value === 'object' && value !== null && 'format' in value;
    return isRecord ? (value as DatabaseRecord & { readonly format: number }) : undefined;
  } catch {
    return undefined;
  }
}

/** Durable when it returns. What stands there already is not written again: a start on a full disk can do without. */
function writeRecord(file: string, record: DatabaseRecord): void {
  const text = JSON.stringify({ format: FORMAT, ...record });
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  makeDurableDirectory(dirname(file), DIRECTORY_MODE);
  const temporary = `${file}.new`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, file);
  fsyncDirectorySync(dirname(file));
}

/** The record as it is now, on disk and in memory. */
export class RecordFile {
  readonly #file: string;
  #record: DatabaseRecord;

  /** Written before anything else: the database exists from then on. */
  constructor(file: string, record: DatabaseRecord) {
    this.#file = file;
    this.#record = record;
    writeRecord(file, record);
  }

  get current(): DatabaseRecord {
    return this.#record;
  }

  /** Changes it, durably. A database that is made again has no container yet that anybody confirmed. */
  update(change: Partial<DatabaseRecord>): void {
    const isMadeAgain = change.exists === true && !this.#record.exists;
    this.#record = { ...this.#record, ...(isMadeAgain ? { bound: false } : {}), ...change };
    writeRecord(this.#file, this.#record);
  }

  /** As if the database had never been served from here. */
  forget(): void {
    rmSync(this.#file, { force: true });
  }
}
