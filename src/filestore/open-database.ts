/** Puts a database together from its place on disk: record, spool, list of names, container binding, and the loop behind it. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FilestoreError, kindOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import type { Log } from '../base/log.js';
import type { BlobCache } from '../cache/cache.js';
import type { Origin } from '../origins/origin.js';
import { DIRECTORY_MODE } from '../spool/disk-calls.js';
import { makeDurableDirectory } from '../spool/durable-directory.js';
import { openSpool, readSpoolBeforehand } from '../spool/open-spool.js';
import type { Spool } from '../spool/spool.js';
import { databaseFolder, layoutIn, SPOOL_FORMAT, spoolLayout } from '../spool/spool-layout.js';
import type { ObjectStore } from '../store/object-store.js';
import { storeNowMs } from '../store/store-now.js';
import { Catalog } from './catalog.js';
import { ContainerBinding } from './container-binding.js';
import { ContainerLost } from './container-lost.js';
import { containerName } from './container-name.js';
import { containerMemory } from './container-memory.js';
import { readRecord, readRecordBeforehand, RecordFile, type DatabaseRecord } from './database-record.js';
import { Database } from './database.js';
import { beginLook, storedSince } from './dropped-elsewhere.js';
import type { UntilForgotten } from './filestore.js';
import type { FilestoreSettings } from './filestore-options.js';
import type { DatabaseStatus } from './mount-status.js';
import { LocalArea } from './local-area.js';
import { NamesFile, readNamesBeforehand } from './names-file.js';
import type { NodeIdentity } from './own-registration.js';
import { sumOfWrites } from './owed.js';
import { Publisher } from './publisher.js';
import type { RefusedDatabases } from './refused-databases.js';
import { spoolProblem } from './spool-problem.js';
import type { StoreHealth } from './store-health.js';

/** Whom to tell that a name changed by another hand than the kernel's. */
export class Changes {
  listener: (database: string, path: string) => UntilForgotten | undefined = () => undefined;
}

export interface SharedParts {
  readonly settings: FilestoreSettings;
  readonly store: ObjectStore;
  readonly health: StoreHealth;
  readonly cache: BlobCache;
  readonly node: NodeIdentity;
  readonly changes: Changes;
  /** All that are open. */
  readonly served: Set<Database>;
  /** Of a mount of many. */
  readonly refused: RefusedDatabases;
  readonly log: Log;
}

const RECORD = 'record.json';
/** How long the kernel may answer for a marker by itself. Not with several nodes: a look at one is heard (markers.ts). */
const MARKER_VALID_MS = 1_000;

/** What a folder of the spool says of its database: the record, or why that cannot be read; or that there is none, and bytes wait for Swift. */
export type Recorded = { readonly folder: string } & ({ readonly record: DatabaseRecord | undefined } | { readonly error: FilestoreError });

/** The databases that this machine has served, from their records, or from what waits for Swift where a record was moved away. */
export function recordedDatabases(settings: FilestoreSettings): Recorded[] {
  const directory = join(settings.spoolDirectory, SPOOL_FORMAT);
  makeDurableDirectory(directory, DIRECTORY_MODE);
  return readdirSync(directory).flatMap((folder): Recorded[] => {
    try {
      const record = recordIn(settings, folder);
      return record !== undefined || holdsWrites(settings, folder) ? [{ folder, record }] : [];
    } catch (error) {
      if (!(error instanceof FilestoreError)) throw error;
      return [{ folder, error }];
    }
  });
}

/** @returns undefined when there is no record in this folder of the spool. @throws FilestoreError bad-config when it cannot be read */
export function recordIn(settings: FilestoreSettings, folder: string): DatabaseRecord | undefined {
  return readRecord(join(settings.spoolDirectory, SPOOL_FORMAT, folder, RECORD));
}

export function hasSpoolFolder(settings: FilestoreSettings, folder: string): boolean {
  return existsSync(join(settings.spoolDirectory, SPOOL_FORMAT, folder));
}

/** Whether bytes lie there that may wait for Swift. */
export function holdsWrites(settings: FilestoreSettings, folder: string): boolean {
  const { sealed, ahead } = layoutIn(settings.spoolDirectory, folder);
  try {
    if (readdirSync(sealed).length > 0) return true;
  } catch (error) {
    // Where the disk does not give it, nobody can say that there are none.
    if (kindOf(error) !== 'not-found' && kindOf(error) !== 'not-directory') return true;
  }
  return ahead.some((segment) => (statSync(segment, { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/** Reads in other threads what opening the database of this folder reads. @throws as that does, when the disk does not give record or names */
export async function readBeforehand(spoolDirectory: string, folder: string): Promise<void> {
  const layout = layoutIn(spoolDirectory, folder);
  await readRecordBeforehand(join(layout.root, RECORD));
  await readNamesBeforehand(layout.root);
  await readSpoolBeforehand(layout);
}

/** @throws FilestoreError bad-config when its record cannot be read */
export function isRecorded(settings: FilestoreSettings, database: string): boolean {
  return recordIn(settings, databaseFolder(database)) !== undefined;
}

/** A database that is served. */
export class OpenDatabase {
  readonly db: Database;
  readonly publisher: Publisher;
  readonly #record: RecordFile;
  readonly #isNew: boolean;
  readonly #onClosed: () => void;

  /** @param life `isNew`: this machine had no record of it before */
  constructor(db: Database, publisher: Publisher, record: RecordFile, life: { readonly isNew: boolean; readonly onClosed: () => void }) {
    this.db = db;
    this.publisher = publisher;
    this.#record = record;
    this.#isNew = life.isNew;
    this.#onClosed = life.onClosed;
  }

  get record(): DatabaseRecord {
    return this.#record.current;
  }

  /** Changes the record, durably. */
  update(change: Partial<DatabaseRecord>): void {
    const isMadeAgain = change.exists === true && !this.record.exists;
    this.#record.update(change);
    if (isMadeAgain) this.db.binding.begin();
    this.db.dropped = !this.record.exists;
  }

  status(): DatabaseStatus {
    const { db } = this;
    const writes = sumOfWrites(db.spool);
    const { torn } = db.spool;
    const untaken = writes.count > 0 ? db.putFailure : undefined;
    const ofSpool = spoolProblem(db);
    const { refusal } = db.binding;
    const problem = refusal?.message ?? db.problem ?? ofSpool ?? originProblem(db.origin) ?? untaken?.reason;
    // Both matter: while Swift is away the spool is all there is.
    const reason = db.health.isAway ? [db.health.reason, ofSpool].filter((said) => said !== undefined).join('; and ') : problem;
    return {
      database: displayName(db.name),
      container: db.container,
      state: reason === undefined ? 'serving' : 'degraded',
      reason,
      degradedSinceMs: db.health.awaySinceMs ?? untaken?.sinceMs,
      isContainerLost: refusal instanceof ContainerLost,
      pendingWrites: writes.count,
      pendingBytes: writes.bytes,
      // By this machine's clock, by which it is told how old that is.
      oldestPendingMs: writes.oldestMs === undefined ? undefined : writes.oldestMs - db.store.clockAheadMs,
      pendingDeletes: [...db.spool.tombstones.values()].filter((t) => t.owedToSwift).length,
      tornFiles: torn.count,
      tornBytes: torn.bytes,
      tornDirectory: torn.count === 0 ? undefined : db.spool.tornDirectory,
      knownNames: db.catalog.count,
    };
  }

  /** As `Database.close`. */
  async close(mayAsk = true): Promise<boolean> {
    await this.publisher.close();
    const isAnswered = await this.db.close(mayAsk);
    await this.db.spool.close();
    this.#onClosed();
    return isAnswered;
  }

  /** As `close`, of a mount that is refused before anybody could use it: what is new here is no database of this machine by that. */
  async giveUp(mayAsk = true): Promise<boolean> {
    const isAnswered = await this.close(mayAsk);
    if (this.#isNew && !this.record.bound) this.#record.forget();
    return isAnswered;
  }
}

function originProblem(origin: Origin | undefined): string | undefined {
  if (origin?.trouble === undefined) return undefined;
  return `the origin ${origin.description} cannot be read: ${origin.trouble}; what it may have is EIO, and so is a new file in a directory of it that was not read before; look after its disk`;
}

/** A drop that several nodes are to hear of ends as one, also where this machine says `nodes: one` by now: what they have stored since is not looked for else. */
function settingsOf(settings: FilestoreSettings, record: DatabaseRecord | undefined): FilestoreSettings {
  const isSharedDrop = record?.exists === false && record.bound && record.dropMarked !== undefined;
  return isSharedDrop ? { ...settings, nodes: 'many' } : settings;
}

/**
 * @param record what is known of it; written before anything else, so that the database exists from now on
 * @param origin the origin as seen from this database
 */
export async function openDatabase(
  shared: SharedParts,
  database: string,
  origin: Origin | undefined,
  change: Partial<DatabaseRecord>,
): Promise<OpenDatabase> {
  const { log } = shared;
  const container = containerName(shared.settings.containerPrefix, database);
  const { root } = spoolLayout(shared.settings.spoolDirectory, database);
  const file = join(root, RECORD);
  const before = readRecord(file);
  const settings = settingsOf(shared.settings, before);
  const record = new RecordFile(file, {
    database,
    container,
    exists: true,
    bound: false,
    originHidden: false,
    madeAtMs: Date.now(),
    ...before,
    ...change,
  });
  const catalog = new Catalog();
  const names = new NamesFile(root, log);
  let spool: Spool | undefined;
  try {
    spool = await openSpool({ directory: settings.spoolDirectory, database, log, nowMs: () => storeNowMs(shared.store) });
    await names.load(catalog);
  } catch (error) {
    await spool?.close().catch(() => undefined);
    // Else the next start would find a database that nobody could use yet.
    if (before === undefined) record.forget();
    throw error;
  }
  // A mount of one database is that database, so its directory stays, empty.
  const endRecord = (): void => {
    const exists = settings.database !== undefined;
    record.update({ exists, bound: false, originHidden: true, endedElsewhere: exists });
    db.dropped = !exists;
  };
  const db: Database = new Database({
    name: database,
    container,
    nodeId: shared.node.id,
    settings,
    store: shared.store,
    health: shared.health,
    cache: shared.cache,
    spool,
    origin: record.current.originHidden ? undefined : origin,
    catalog,
    names,
    binding: new ContainerBinding({
      store: shared.store,
      container,
      database,
      node: shared.node,
      nodes: settings.nodes,
      log,
      memory: containerMemory({ record, catalog, names, spool }),
      acceptNew: settings.acceptNewContainer,
      assertAccountOfOthers: (account) => {
        for (const other of shared.served) if (other !== db) other.binding.assertAccount(account);
        shared.refused.assertAccount(account);
      },
      isEnded: record.current.exists && record.current.endedElsewhere === true,
      wake: () => db.wake(),
      beginLook: () => beginLook(db, endRecord),
      storedSince: (atMs) => storedSince(db, atMs),
    }),
    local: new LocalArea(
      spool.localDirectory,
      { file: settings.fileMode, directory: settings.directoryMode },
      settings.nodes === 'many' ? 0 : MARKER_VALID_MS,
    ),
    log,
    changed: (path) => shared.changes.listener(database, path),
    isElsewhere: (path) => [...shared.served].some((other) => other !== db && other.has(path)),
  });
  shared.served.add(db);
  db.dropped = !record.current.exists;
  // A list of names that lags behind the spool may have them still.
  for (const path of spool.tombstones.keys()) db.unlearn(path);
  return new OpenDatabase(db, new Publisher(db), record, { isNew: before === undefined, onClosed: () => shared.served.delete(db) });
}
