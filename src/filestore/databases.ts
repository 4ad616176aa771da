/**
 * The databases of a whole-filestore mount: its first-level directories. One exists when somebody made it here, when its container says so,
 * or when the origin has it (recorded then). A name nobody made is ENOENT: Odoo copies nothing into a target that exists too early.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { Answer } from '../base/maybe-promise.js';
import { displayName } from '../base/names.js';
import { SingleFlight } from '../base/single-flight.js';
import type { Origin } from '../origins/origin.js';
import { databaseFolder } from '../spool/spool-layout.js';
import type { ContainerInfo, RequestOptions } from '../store/object-store.js';
import { isDontKnow, lookupPatienceMs } from './ask-swift.js';
import { ContainerLost } from './container-lost.js';
import { assertNotBeside, containerName } from './container-name.js';
import type { DatabaseRecord } from './database-record.js';
import { Discovery } from './discovery.js';
import { DropLooks } from './drop-looks.js';
import { Drops } from './drops.js';
import type { Requester } from './filestore.js';
import type { DatabaseStatus } from './mount-status.js';
import { openDatabase, type OpenDatabase, type SharedParts } from './open-database.js';
import { RecordedDatabases } from './recorded-databases.js';
import { RefusedAgain } from './refused-again.js';
import type { RefusedDatabases } from './refused-databases.js';
import { assertNobodyElseHas, assertNoneHereHas } from './same-container.js';

/** Each has two seconds to take its registration back; in a crowd the last would wait them away, and refuse another machine's start. */
const CLOSED_AT_ONCE = 4;
const REFUSED_TOLD = 100;
/** Of an origin that is a file system of its own: the file system's, and no database. */
const LOST_AND_FOUND = 'lost+found';

/** That a container is marked no more, where other nodes are waited for: one server of Swift may lag. */
const AGREEING_LOOKS = 3;
const LOOK_PAUSE_MS = 200;

/** Names that are no databases, kept in mind for a moment: whoever asks for more of them asks Swift again. */
const ABSENT_MOST = 10_000;

export class Databases {
  readonly #shared: SharedParts;
  readonly #origin: Origin | undefined;
  readonly #open = new Map<string, OpenDatabase>();
  readonly #opening = new SingleFlight<OpenDatabase>();
  readonly #asking = new SingleFlight<boolean>();
  readonly #drops = new Drops(() => this.#isClosed);
  readonly #dropLooks = new DropLooks();
  #isClosed = false;
  readonly #absentUntilMs = new Map<string, number>();
  /** Names that were refused, and the log says so. */
  readonly #refusedNames = new Set<string>();
  readonly #refused: RefusedDatabases;
  readonly #recorded: RecordedDatabases;
  readonly #refusedAgain: RefusedAgain;
  readonly #discovery: Discovery;

  constructor(shared: SharedParts, origin: Origin | undefined) {
    this.#shared = shared;
    this.#origin = origin;
    this.#refused = shared.refused;
    this.#recorded = new RecordedDatabases({
      settings: shared.settings,
      refused: shared.refused,
      open: (record) => this.#openFrom(record),
      reopen: (database) => this.#reopen(database),
      isThere: async (database) => (await this.#isInOrigin(database)) || (await this.#isInSwift(database)),
      containerOf: (database) => this.#containerOf(database),
      discoverAgain: () => this.#discovery.again(),
    });
    this.#refusedAgain = new RefusedAgain({
      refused: shared.refused,
      spoolDirectory: shared.settings.spoolDirectory,
      log: shared.log,
      open: (refused) => this.#recorded.openAgain(refused),
    });
    this.#discovery = new Discovery({
      store: shared.store,
      containerPrefix: shared.settings.containerPrefix,
      assertAccount: (options) => this.assertAccount(options),
    });
  }

  /** Those that are served now, also dropped ones that still owe deletes. */
  all(): OpenDatabase[] {
    return [...this.#open.values()];
  }

  /** What this machine has served and cannot open. */
  get refused(): readonly DatabaseStatus[] {
    return this.#refused.statuses();
  }

  /** Opens what this machine has served before. @throws what the first of them throws, when none can be opened */
  async openRecorded(): Promise<void> {
    await this.#recorded.openAll();
    const { firstError } = this.#refused;
    if (this.#open.size === 0 && firstError !== undefined) throw firstError;
  }

  async #openFrom({ database }: DatabaseRecord): Promise<void> {
    const opened = await this.open(database, {});
    if (!opened.record.exists && opened.record.bound) this.#drops.resume(opened);
  }

  /** The start is over: what it could not open is tried again from now on. */
  tryRefusedAgain(): void {
    this.#refusedAgain.start();
  }

  /** Undefined where its name can be no container's. */
  #containerOf(database: string): string | undefined {
    try {
      return containerName(this.#shared.settings.containerPrefix, database);
    } catch {
      return undefined;
    }
  }

  /** Of the start. @throws what opening it throws, where no other one is served */
  async #openFound(database: string): Promise<OpenDatabase | undefined> {
    try {
      return await this.#reopen(database, true);
    } catch (error) {
      if (this.#open.size === 0) throw error;
      this.#recorded.refuse({ folder: databaseFolder(database), hasFolder: false, database }, error);
      return undefined;
    }
  }

  /**
   * Finds the databases whose containers exist already.
   * @throws FilestoreError unavailable, bad-credentials, forbidden, busy (another node has one), exists; ContainerLost
   */
  discover(options: RequestOptions): Promise<void> {
    const isHere = (container: string): OpenDatabase[] =>
      this.all().filter(({ db, record }) => record.exists && db.container === container);
    const found = async (database: string, container: string, info: ContainerInfo): Promise<void> => {
      const known = isHere(container);
      if (known.length === 0 && (await this.#isShut(database))) return;
      const opened = known.length > 0 ? known : [await this.#openFound(database)];
      for (const each of opened) if (each !== undefined) await this.#assertMayBind(each, info);
    };
    return this.#discovery.goThrough({ isKnown: () => false, found, isStrict: true, isOver: () => this.#isClosed }, options);
  }

  /**
   * All of them at once: with the account of another, they would be other databases.
   * @throws ContainerLost, unavailable, …
   */
  async assertAccount(options: RequestOptions = {}): Promise<void> {
    const account = await this.#shared.store.account(options);
    let lost: ContainerLost | undefined;
    for (const { db } of this.all()) {
      try {
        db.binding.assertAccount(account);
      } catch (error) {
        if (!(error instanceof ContainerLost)) throw error;
        lost ??= error;
      }
    }
    if (lost !== undefined) throw lost;
    this.#refused.assertAccount(account);
  }

  /** Who copies the whole filestore goes by the list of databases. */
  async #discoverAgain(): Promise<void> {
    const { settings, health, log } = this.#shared;
    if (!this.#discovery.isDue(settings.nodes === 'many' ? settings.deleteBoundMs : Infinity) || health.isAway || this.#isClosed) return;
    const isKnown = (container: string): boolean => this.all().some(({ db, record }) => record.exists && db.container === container);
    const found = async (database: string): Promise<void> => {
      if (!(await this.#isShut(database))) await this.#reopen(database, true);
    };
    const visitor = { isKnown, found, isStrict: false, isOver: () => this.#isClosed };
    const goThrough = (): Promise<void> => this.#discovery.goThrough(visitor, {});
    try {
      await health.answerOrAway(goThrough, undefined, lookupPatienceMs(this.#shared));
    } catch (error) {
      this.#discovery.rest();
      log.debug('database.not-discovered', { reason: messageOf(error) });
    }
  }

  /** @throws FilestoreError busy, exists */
  async #assertMayBind({ db }: OpenDatabase, before: ContainerInfo): Promise<void> {
    for (let info: ContainerInfo | undefined = before; info !== undefined; info = await db.store.headContainer(db.container)) {
      try {
        db.binding.assertMayBind(info);
        return;
      } catch (error) {
        await db.binding.restIfDoubted(error);
      }
    }
  }

  async open(database: string, change: Parameters<typeof openDatabase>[3]): Promise<OpenDatabase> {
    const open = this.#open.get(database);
    if (open !== undefined) return open;
    return this.#opening.run(database, async () => {
      const opened = await openDatabase(this.#shared, database, this.#origin?.below(database), change);
      // It is in nobody's list of what is to be closed.
      if (this.#isClosed) {
        await opened.giveUp(false);
        throw new FilestoreError('unavailable', 'the mount ends');
      }
      this.#open.set(database, opened);
      this.#absentUntilMs.delete(database);
      return opened;
    });
  }

  /** @returns undefined when there is no such database. @throws unavailable when nobody can tell */
  find(database: string, requester: Pick<Requester, 'signal'>): Answer<OpenDatabase | undefined> {
    const open = this.#open.get(database);
    if (open?.record.exists === true) return this.#dropLooks.mustLook(open) ? this.#findAgain(open, requester) : open;
    this.#refused.assertNot(database);
    if ((this.#absentUntilMs.get(database) ?? 0) > steadyNowMs()) return undefined;
    return this.#find(database, requester);
  }

  async #findAgain(open: OpenDatabase, requester: Pick<Requester, 'signal'>): Promise<OpenDatabase | undefined> {
    try {
      await this.#dropLooks.look(open, requester.signal);
    } catch (error) {
      if (!isDontKnow(error)) throw error;
    }
    return open.record.exists ? open : this.#find(open.db.name, requester);
  }

  async #find(database: string, requester: Pick<Requester, 'signal'>): Promise<OpenDatabase | undefined> {
    const open = this.#open.get(database);
    if (await this.#isInOrigin(database)) return this.#reopen(database);
    if (this.#isGoneHere(open)) return undefined;
    let isThere: boolean;
    try {
      isThere = await this.#isInSwift(database, requester.signal);
    } catch (error) {
      if (!isDontKnow(error)) throw error;
      // On no list, so it is not there as far as anybody knows, and Odoo must be able to make it.
      this.#shared.log.debug('database.unlisted', { database: displayName(database), reason: messageOf(error) });
      return undefined;
    }
    if (isThere) return await this.#reopen(database, true);
    if (this.#absentUntilMs.size >= ABSENT_MOST) this.#absentUntilMs.clear();
    this.#absentUntilMs.set(database, steadyNowMs() + this.#shared.settings.negativeTtlMs);
    return undefined;
  }

  async #isInOrigin(database: string): Promise<boolean> {
    const isShown = database !== LOST_AND_FOUND && this.#open.get(database)?.record.originHidden !== true;
    return isShown && (await this.#origin?.stat(database))?.kind === 'directory';
  }

  /** @throws unavailable when nobody can tell; as `#hasContainer` */
  async #isInSwift(database: string, signal?: AbortSignal): Promise<boolean> {
    const container = this.#containerOf(database);
    // Such a database cannot exist; making it says why.
    if (container === undefined) return false;
    const ask = (): Promise<boolean> => this.#asking.run(database, () => this.#hasContainer(database, container));
    return this.#shared.health.answerOrAway(ask, signal, lookupPatienceMs(this.#shared));
  }

  /** That Swift has its container is no reason to open it. */
  async #isShut(database: string): Promise<boolean> {
    const open = this.#open.get(database);
    if (this.#isGoneHere(open) || this.#refused.has(database)) return true;
    return open !== undefined && this.#drops.isWaiting(open) && !(await this.#hasContainer(database, open.db.container));
  }

  /** A dropped one whose container is still being emptied is gone; with `nodes: one` nobody else can have made it anew. */
  #isGoneHere(open: OpenDatabase | undefined): boolean {
    return open?.record.exists === false && (open.db.settings.nodes === 'one' || this.#drops.isUnderWay(open));
  }

  /** @throws ContainerLost in another account: a container of that name there is somebody else's */
  async #hasContainer(database: string, container: string): Promise<boolean> {
    await this.assertAccount();
    const byName = database === database.toLowerCase() ? database : undefined;
    for (let looks = 1; ; looks++) {
      const info = await this.#shared.store.headContainer(container);
      if (info === undefined || this.#discovery.databaseIn(container, info, byName) !== database) return false;
      const open = this.#open.get(database);
      if (open === undefined || !this.#drops.isWaiting(open) || looks === AGREEING_LOOKS) return true;
      await delay(LOOK_PAUSE_MS);
    }
  }

  /** @param isFound Swift has it, and nobody has made it here */
  async #reopen(database: string, isFound = false): Promise<OpenDatabase> {
    // A mark of our own is a drop like any other's where nobody has made the database here since.
    const isShared = isFound && this.#shared.settings.nodes === 'many';
    const change = { exists: true, isFound: isShared, ...(isShared ? { dropMark: undefined } : {}) };
    const opened = await this.open(database, change);
    if (!opened.record.exists) {
      opened.update(change);
      opened.publisher.refreshSoon();
    }
    return opened;
  }

  /** Names of the root directory. */
  async names(): Promise<Set<string>> {
    const names = new Set<string>(this.#refused.names());
    await Promise.all([this.#dropLooks.lookAtAll(this.all()), this.#discoverAgain()]);
    for (const [name, opened] of this.#open) if (opened.record.exists) names.add(name);
    for (const entry of (await this.#origin?.list('')) ?? []) {
      if (entry.kind !== 'directory' || entry.name === LOST_AND_FOUND) continue;
      if (this.#open.get(entry.name)?.record.originHidden !== true) names.add(entry.name);
    }
    return names;
  }

  /**
   * A new database: its record is written, its container follows: a MKDIR does not wait for Swift.
   * @throws FilestoreError exists, invalid-name, name-too-long; a name that collides with another when lowercased is refused here, and not at a blob
   */
  async mkdir(database: string, requester: Requester): Promise<void> {
    try {
      await this.#mkdir(database, requester);
    } catch (error) {
      const kind = kindOf(error);
      if (kind === 'invalid-name' || kind === 'name-too-long') this.#tellRefusal(database, messageOf(error));
      throw error;
    }
  }

  /** Once for a name: who made it sees an errno only, and tries again with each attachment. */
  #tellRefusal(database: string, reason: string): void {
    if (this.#refusedNames.has(database) || this.#refusedNames.size >= REFUSED_TOLD) return;
    this.#refusedNames.add(database);
    this.#shared.log.warn('database.refused', { database: displayName(database), reason });
  }

  async #mkdir(database: string, requester: Requester): Promise<void> {
    const { settings } = this.#shared;
    const container = containerName(settings.containerPrefix, database);
    assertNotBeside(container, database);
    // Its files would be a stranger's.
    for (const { db } of this.all()) if (db.binding.elsewhere !== undefined) throw db.binding.elsewhere;
    if ((await this.find(database, requester)) !== undefined)
      throw new FilestoreError('exists', `database "${displayName(database)}" exists`);
    assertNoneHereHas(container, database, this.#open.values(), this.#drops);
    if (settings.nodes === 'many')
      await assertNobodyElseHas(container, database, this.#shared, () => this.assertAccount(), requester.signal);
    this.#refused.assertNoneHas(container);
    const hadOrigin = (await this.#origin?.stat(database)) !== undefined;
    const made = { exists: true, isFound: false, madeAtMs: Date.now() };
    const opened = await this.open(database, { ...made, originHidden: hadOrigin });
    opened.update({ ...made, originHidden: hadOrigin || opened.record.originHidden });
    opened.db.wake();
  }

  /** The drop's last step. @throws FilestoreError not-found, not-empty */
  async rmdir(database: string, requester: Requester): Promise<void> {
    const opened = await this.find(database, requester);
    if (opened === undefined) throw new FilestoreError('not-found', `no database "${displayName(database)}"`);
    await this.#drops.drop(opened, requester);
  }

  /** @param isRefused the mount was refused before anybody could use it */
  async close(isRefused = false): Promise<void> {
    this.#isClosed = true;
    await this.#refusedAgain.close();
    const rest = this.all();
    let isAnswered = true;
    const closeOneByOne = async (): Promise<void> => {
      for (let opened = rest.shift(); opened !== undefined; opened = rest.shift()) {
        if (!(await (isRefused ? opened.giveUp(isAnswered) : opened.close(isAnswered)))) isAnswered = false;
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: CLOSED_AT_ONCE }, closeOneByOne));
    const failed = ended.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
