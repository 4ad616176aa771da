/**
 * Opens the databases that this machine has served, by what their folders in the spool say of them: at the start, and again later what could not be opened
 * then (refused-again.ts).
 *
 *    record ─────────────────────────────► that database, also where a drop of it is to be carried on
 *    no record, bytes wait for Swift ────► the database that the folder is named for, whether or not Swift has it
 *    no record, nothing waits ───────────► that one, if Swift or the origin has it
 */
import { FilestoreError } from '../base/errors.js';
import { databaseOfFolder } from '../spool/spool-layout.js';
import { isDontKnow } from './ask-swift.js';
import type { DatabaseRecord } from './database-record.js';
import type { FilestoreSettings } from './filestore-options.js';
import { hasSpoolFolder, holdsWrites, recordedDatabases, recordIn } from './open-database.js';
import type { RefusedDatabase, RefusedDatabases } from './refused-databases.js';

/** What was learnt of one before it could not be opened. */
type Known = Pick<DatabaseRecord, 'exists' | 'account'>;

interface RecordedDatabasesParts {
  readonly settings: FilestoreSettings;
  readonly refused: RefusedDatabases;
  /** Opens what a record says. */
  readonly open: (record: DatabaseRecord) => Promise<void>;
  /** Opens one that exists. */
  readonly reopen: (database: string) => Promise<unknown>;
  /** Whether Swift or the origin has it. @throws unavailable when nobody can tell */
  readonly isThere: (database: string) => Promise<boolean>;
  /** Undefined where its name can be no container's. */
  readonly containerOf: (database: string) => string | undefined;
  /** The containers of the account are to be gone through again. */
  readonly discoverAgain: () => void;
}

export class RecordedDatabases {
  readonly #parts: RecordedDatabasesParts;

  constructor(parts: RecordedDatabasesParts) {
    this.#parts = parts;
  }

  /** Of the start: those that cannot be opened are refused. */
  async openAll(): Promise<void> {
    const { settings, open, reopen } = this.#parts;
    for (const recorded of recordedDatabases(settings)) {
      try {
        if ('error' in recorded) throw recorded.error;
        if (recorded.record !== undefined) await open(recorded.record);
        else await reopen(databaseIn(recorded.folder));
      } catch (error) {
        const record = 'record' in recorded ? recorded.record : undefined;
        const database = record?.database ?? databaseOfFolder(recorded.folder);
        this.refuse({ folder: recorded.folder, hasFolder: true, database }, error, record);
      }
    }
  }

  refuse(refused: Pick<RefusedDatabase, 'folder' | 'hasFolder' | 'database'>, error: unknown, known?: Known): void {
    const container = refused.database === undefined ? undefined : this.#parts.containerOf(refused.database);
    this.#parts.refused.add({ ...refused, container, account: known?.account, exists: known?.exists ?? true }, error);
  }

  /** @returns false while nobody can tell whether there is still such a database. @throws what opening it throws */
  async openAgain({ folder, hasFolder, database }: RefusedDatabase): Promise<boolean> {
    const { settings, open, reopen, discoverAgain } = this.#parts;
    const record = recordIn(settings, folder);
    if (record !== undefined) await open(record);
    // The disk of the spool was taken away rather than the record, and what waits with it.
    else if (hasFolder && !hasSpoolFolder(settings, folder)) return false;
    // There was none, or it was moved away: then the container says which database it was.
    else if (database === undefined) discoverAgain();
    // Also where Swift does not know it: it may have been made while that was away.
    else if (holdsWrites(settings, folder)) await reopen(database);
    else return this.#openIfThere(database);
    return true;
  }

  async #openIfThere(database: string): Promise<boolean> {
    const { isThere, reopen } = this.#parts;
    try {
      if (!(await isThere(database))) return true;
    } catch (error) {
      if (!isDontKnow(error)) throw error;
      return false;
    }
    await reopen(database);
    return true;
  }
}

/** @throws FilestoreError bad-config where the name of a folder without a record does not tell its database */
function databaseIn(folder: string): string {
  const database = databaseOfFolder(folder);
  if (database !== undefined) return database;
  const remedy = 'restore it from a backup';
  throw new FilestoreError('bad-config', `the spool's folder ${folder} has no record.json, and files wait there; ${remedy}`);
}
