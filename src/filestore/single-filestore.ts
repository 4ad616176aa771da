import type { Answer } from '../base/maybe-promise.js';
import { BaseFilestore } from './base-filestore.js';
import { DatabaseFiles } from './database-files.js';
import type { RunningFilestore } from './filestore-options.js';
import type { OpenFile, OpenMode, Requester, Stat, TakeNames } from './filestore.js';
import type { OpenDatabase, SharedParts } from './open-database.js';

/** One database's directory. */
export class SingleFilestore extends BaseFilestore implements RunningFilestore {
  readonly #opened: OpenDatabase;
  readonly #files: DatabaseFiles;

  constructor(shared: SharedParts, opened: OpenDatabase) {
    super(shared);
    this.#opened = opened;
    this.#files = new DatabaseFiles(opened.db);
  }

  protected opened(): OpenDatabase[] {
    return [this.#opened];
  }

  protected databasePath(path: string): string {
    return path;
  }

  lookup(path: string, requester: Requester): Answer<Stat | undefined> {
    // The mount point stays whatever happens to the database: the kernel, which looks at it on the way to every file, need not ask for it each time.
    if (path === '') return { ...this.#opened.db.directoryStat(''), validMs: this.#opened.db.trustMs };
    return this.#files.lookup(path, requester);
  }

  list(path: string, requester: Requester): Answer<TakeNames> {
    return this.#files.list(path, requester);
  }

  open(path: string, mode: OpenMode, requester: Requester): Answer<OpenFile> {
    return this.#files.open(path, mode, requester);
  }

  create(path: string, options: { mode: number; exclusive: boolean; read: boolean }, requester: Requester): Answer<OpenFile> {
    return this.#files.create(path, options, requester);
  }

  mkdir(path: string, _mode: number, requester: Requester): Answer<void> {
    return this.#files.mkdir(path, requester);
  }

  rmdir(path: string, requester: Requester): Answer<void> {
    return this.#files.rmdir(path, requester);
  }

  unlink(path: string, requester: Requester): Answer<void> {
    return this.#files.unlink(path, requester);
  }

  rename(from: string, to: string, options: { noReplace: boolean }, requester: Requester): Answer<void> {
    return this.#files.rename(from, to, options.noReplace, requester);
  }

  setTimes(path: string, mtimeMs: number): void {
    this.#files.setTimes(path, mtimeMs);
  }

  setMode(): void {
    // Modes are options of the mount: chmod succeeds and changes nothing, as Odoo's copies need.
  }

  truncate(path: string, sizeBytes: number, requester: Requester): Answer<void> {
    return this.#files.truncate(path, sizeBytes, requester);
  }
}
