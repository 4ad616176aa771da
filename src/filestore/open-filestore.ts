/**
 * The filestore of a mount: one database at its root, or databases as its first-level directories.
 *
 * A first mount needs Swift: it is refused with the reason. A container served before mounts degraded while Swift is away.
 */
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { contentSha1, displayName, fromUtf8, joinPath } from '../base/names.js';
import { untilAborted } from '../base/until-aborted.js';
import { ContainerLost } from './container-lost.js';
import { DatabaseFiles } from './database-files.js';
import { Databases } from './databases.js';
import type { FilestoreParts, FilestoreSettings, RunningFilestore } from './filestore-options.js';
import { DIRECTORY_SIZE_BYTES, type OpenFile, type OpenMode, type Requester, type Stat, type TakeNames, type Usage } from './filestore.js';
import type { DatabaseStatus } from './mount-status.js';
import { identify } from './own-registration.js';
import { assertNotBeside, containerName } from './container-name.js';
import { Changes, openDatabase, recordedDatabases, type OpenDatabase, type SharedParts } from './open-database.js';
import { StoreHealth } from './store-health.js';

/** df of a mount: object storage has no end that we could name. */
const TOTAL_BYTES = 2 ** 50;

/** Kinds after which a container that was served before is mounted all the same. */
const DEGRADED_KINDS = new Set(['unavailable', 'bad-credentials', 'forbidden']);

/**
 * How a start asks that can do without Swift: programs have ENOTCONN or a bare directory meanwhile, and what failed now is tried again behind the
 * mount.
 */
const IN_A_HURRY = { timeoutMs: 5_000, tries: 'few' } as const;

/** @throws FilestoreError when a first mount cannot be served: bad-credentials, forbidden, unavailable, busy, exists, invalid-name */
export async function openFilestore(settings: FilestoreSettings, parts: FilestoreParts): Promise<RunningFilestore> {
  const { store, cache, log } = parts;
  // Twice lookup_wait: a LOOKUP that meets the silence as it begins still ends within a second by default.
  const health = new StoreHealth(store, 2 * settings.lookupWaitMs, log);
  const shared: SharedParts = { settings, store, health, cache, node: identify(settings.spoolDirectory), log, changes: new Changes() };
  try {
    return settings.database === undefined ? await openMany(shared, parts) : await openOne(shared, parts, fromUtf8(settings.database));
  } catch (error) {
    health.close();
    throw error;
  }
}

async function openOne(shared: SharedParts, parts: FilestoreParts, database: string): Promise<RunningFilestore> {
  const container = containerName(shared.settings.containerPrefix, database);
  if (!recordedDatabases(shared.settings).includes(database)) assertNotBeside(container, database);
  const opened = await openDatabase(shared, database, parts.origin, {});
  try {
    await bind(shared, opened);
  } catch (error) {
    await opened.giveUp();
    throw error;
  }
  return new SingleFilestore(shared, opened);
}

async function openMany(shared: SharedParts, parts: FilestoreParts): Promise<RunningFilestore> {
  const databases = new Databases(shared, parts.origin);
  try {
    await databases.openRecorded();
    const isKnown = databases.all().length > 0;
    try {
      await shared.health.watch(isKnown ? soon(assertSameAccount(shared, databases), 'the login') : assertSameAccount(shared, databases));
      await shared.health.watch(databases.discover(isKnown ? IN_A_HURRY : {}));
    } catch (error) {
      if (error instanceof ContainerLost) throw new FilestoreError('bad-config', error.message, { cause: error });
      if (!isKnown || !DEGRADED_KINDS.has(kindOf(error))) throw error;
      warnDegraded(shared, messageOf(error));
    }
  } catch (error) {
    await databases.close(true);
    throw error;
  }
  return new ManyFilestore(shared, databases);
}

/** What takes longer goes on by itself. @param what the message names. @throws FilestoreError unavailable */
function soon<T>(work: Promise<T>, what: string): Promise<T> {
  const { timeoutMs } = IN_A_HURRY;
  return untilAborted(
    work,
    AbortSignal.timeout(timeoutMs),
    () => new FilestoreError('unavailable', `${what}: no answer within ${timeoutMs} ms`),
  );
}

/** The account is that of the whole mount: with another one, all of its databases would be others. @throws ContainerLost, unavailable, … */
async function assertSameAccount({ store }: SharedParts, databases: Databases): Promise<void> {
  const account = await store.account();
  for (const { db } of databases.all()) db.binding.assertAccount(account);
}

async function bind(shared: SharedParts, opened: OpenDatabase): Promise<void> {
  const { binding } = opened.db;
  // The publisher may have begun already, and has more time.
  const ensure = (): Promise<void> =>
    opened.record.bound ? soon(binding.ensure(IN_A_HURRY), `container ${opened.db.container}`) : binding.ensure();
  const bindOnceSure = async (): Promise<void> => {
    for (;;) {
      try {
        await ensure();
        // Dropped by another node while we were not there: a mount of the database makes it again.
        if (!binding.isBound) await ensure();
        return;
      } catch (error) {
        await binding.restIfDoubted(error);
      }
    }
  };
  try {
    await shared.health.watch(bindOnceSure());
  } catch (error) {
    if (error instanceof ContainerLost) throw new FilestoreError('bad-config', error.message, { cause: error });
    if (!opened.record.bound || !DEGRADED_KINDS.has(kindOf(error))) throw error;
    warnDegraded(shared, messageOf(error));
  }
}

function warnDegraded(shared: SharedParts, reason: string): void {
  shared.log.warn('mount.degraded', { reason, meaning: 'serving spool, cache and origin until Swift answers' });
}

/** What both shapes share. */
abstract class BaseFilestore {
  readonly #shared: SharedParts;

  constructor(shared: SharedParts) {
    this.#shared = shared;
  }

  protected abstract opened(): OpenDatabase[];
  protected abstract databasePath(path: string): string | undefined;

  get databases(): readonly DatabaseStatus[] {
    return this.opened()
      .map((o) => ({ exists: o.record.exists, status: o.status() }))
      .filter(({ exists, status }) => exists || status.pendingWrites + status.pendingDeletes > 0)
      .map(({ status }) => status);
  }

  usage(): Usage {
    return { totalBytes: TOTAL_BYTES, freeBytes: TOTAL_BYTES, files: this.opened().reduce((sum, o) => sum + o.db.catalog.count, 0) };
  }

  isImmutable(path: string): boolean {
    const below = this.databasePath(path);
    return below !== undefined && contentSha1(below) !== undefined;
  }

  onChange(listener: (path: string) => void): void {
    this.#shared.changes.listener = (database, path) => listener(this.fullPath(database, path));
  }

  protected fullPath(_database: string, path: string): string {
    return path;
  }

  async drain(timeoutMs: number): Promise<boolean> {
    const drained = await Promise.all(this.opened().map((o) => o.publisher.drain(timeoutMs)));
    return drained.every(Boolean);
  }

  protected async closeOpened(): Promise<void> {
    await Promise.all(this.opened().map((o) => o.close()));
  }

  async close(): Promise<void> {
    await this.closeOpened();
    this.#shared.health.close();
  }
}

/** One database's directory. */
class SingleFilestore extends BaseFilestore implements RunningFilestore {
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

interface Place {
  readonly files: DatabaseFiles;
  readonly path: string;
}

/** The whole `filestore` directory. */
class ManyFilestore extends BaseFilestore implements RunningFilestore {
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
