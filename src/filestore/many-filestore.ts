import { FilestoreError } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { displayName, joinPath } from '../base/names.js';
import { BaseFilestore } from './base-filestore.js';
import { DatabaseFiles } from './database-files.js';
import type { Databases } from './databases.js';
import type { RunningFilestore } from './filestore-options.js';
import { DIRECTORY_SIZE_BYTES, type OpenFile, type OpenMode, type Requester, type Stat, type TakeNames } from './filestore.js';
import type { DatabaseStatus } from './mount-status.js';
import type { OpenDatabase, SharedParts } from './open-database.js';

interface Place {
  readonly files: DatabaseFiles;
  readonly path: string;
}

/** The whole `filestore` directory. */
export class ManyFilestore extends BaseFilestore implements RunningFilestore {
  readonly #shared: SharedParts;
  readonly #databases: Databases;
  readonly #files = new WeakMap<OpenDatabase, DatabaseFiles>();
  readonly #startedMs = Date.now();

  constructor(shared: SharedParts, databases: Databases) {
    super(shared);
    this.#shared = shared;
    this.#databases = databases;
  }

  protected opened(): OpenDatabase[] {
    return this.#databases.all();
  }

  override get databases(): readonly DatabaseStatus[] {
    return [...super.databases, ...this.#databases.refused];
  }

  /** With what is still being dropped, which ends before the spools do. */
  protected override closeOpened(): Promise<void> {
    return this.#databases.close();
  }

  protected databasePath(path: string): string | undefined {
    const slash = path.indexOf('/');
    return slash < 0 ? undefined : path.slice(slash + 1);
  }

  protected override fullPath(database: string, path: string): string {
    return path === '' ? database : joinPath(database, path);
  }

  lookup(path: string, requester: Requester): Answer<Stat | undefined> {
    if (path === '') return this.#rootStat();
    return andThen(this.#place(path, requester), (place) => (place === undefined ? undefined : place.files.lookup(place.path, requester)));
  }

  list(path: string, requester: Requester): Answer<TakeNames> {
    if (path === '') return this.#listRoot();
    return andThen(this.#existing(path, requester), (place) => place.files.list(place.path, requester));
  }

  open(path: string, mode: OpenMode, requester: Requester): Answer<OpenFile> {
    return andThen(this.#existing(path, requester), (place) => place.files.open(place.path, mode, requester));
  }

  create(path: string, options: { mode: number; exclusive: boolean; read: boolean }, requester: Requester): Answer<OpenFile> {
    this.#assertInDatabase(path);
    return andThen(this.#existing(path, requester), (place) => place.files.create(place.path, options, requester));
  }

  mkdir(path: string, _mode: number, requester: Requester): Answer<void> {
    if (this.databasePath(path) === undefined) return this.#databases.mkdir(path, requester);
    return andThen(this.#existing(path, requester), (place) => place.files.mkdir(place.path, requester));
  }

  rmdir(path: string, requester: Requester): Answer<void> {
    if (this.databasePath(path) === undefined) return this.#databases.rmdir(path, requester);
    return andThen(this.#existing(path, requester), (place) => place.files.rmdir(place.path, requester));
  }

  unlink(path: string, requester: Requester): Answer<void> {
    return andThen(this.#existing(path, requester), (place) => place.files.unlink(place.path, requester));
  }

  async rename(from: string, to: string, options: { noReplace: boolean }, requester: Requester): Promise<void> {
    const [source, target] = [await this.#existing(from, requester), await this.#place(to, requester)];
    if (source.path === '' || target?.files !== source.files || target.path === '') {
      throw new FilestoreError(
        'cross-device',
        `${displayName(from)} to ${displayName(to)}: databases have containers of their own; the caller copies`,
      );
    }
    await source.files.rename(source.path, target.path, options.noReplace, requester);
  }

  setTimes(path: string, mtimeMs: number, requester: Requester): Answer<void> {
    // The databases' own directory has no times to keep: as with blobs it succeeds without effect, or rsync would fail at the end of its work.
    if (path === '') return undefined;
    return andThen(this.#existing(path, requester), (place) => place.files.setTimes(place.path, mtimeMs));
  }

  setMode(): void {
    // Modes are options of the mount: chmod succeeds and changes nothing, as Odoo's copies need.
  }

  truncate(path: string, sizeBytes: number, requester: Requester): Answer<void> {
    return andThen(this.#existing(path, requester), (place) => place.files.truncate(place.path, sizeBytes, requester));
  }

  async #listRoot(): Promise<TakeNames> {
    const names = [...(await this.#databases.names())].map((name) => ({ name, kind: 'directory' as const, stat: undefined }));
    return () => names;
  }

  #rootStat(): Stat {
    return {
      kind: 'directory',
      sizeBytes: DIRECTORY_SIZE_BYTES,
      mtimeMs: this.#startedMs,
      mode: this.#shared.settings.directoryMode,
      validMs: 60_000,
    };
  }

  #place(path: string, requester: Requester): Answer<Place | undefined> {
    const slash = path.indexOf('/');
    const database = slash < 0 ? path : path.slice(0, slash);
    return andThen(this.#databases.find(database, requester), (opened) => {
      if (opened === undefined) return undefined;
      let files = this.#files.get(opened);
      if (files === undefined) this.#files.set(opened, (files = new DatabaseFiles(opened.db)));
      return { files, path: slash < 0 ? '' : path.slice(slash + 1) };
    });
  }

  #existing(path: string, requester: Requester): Answer<Place> {
    return andThen(this.#place(path, requester), (place) => {
      if (place === undefined) throw new FilestoreError('not-found', `no database for ${displayName(path)}`);
      return place;
    });
  }

  #assertInDatabase(path: string): void {
    if (this.databasePath(path) === undefined) {
      throw new FilestoreError(
        'not-permitted',
        `${displayName(path)}: only databases' directories stand here; a file needs a database's directory above it`,
      );
    }
  }
}
