/**
 * The databases of a whole-filestore mount that this machine has served and cannot open: a spool whose disk does not give it, a record that is
 * damaged. What waits there is not known, so each is EIO, is never said to be absent, and is not begun anew; the others are served. Until it can be
 * opened (refused-again.ts).
 */
import { asError, FilestoreError, kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import { databaseFolder } from '../spool/spool-layout.js';
import type { ObjectStore } from '../store/object-store.js';
import type { DatabaseStatus } from './mount-status.js';

export interface RefusedDatabase {
  /** Its folder in the spool, by which it is known. */
  readonly folder: string;
  /** False: Swift has it, and its folder could not be made. */
  readonly hasFolder: boolean;
  /** Byte string; undefined where only its record says it. */
  readonly database: string | undefined;
  /** Undefined where it is not known. */
  readonly container: string | undefined;
  /** In which its container was; undefined where it is not known. */
  readonly account: string | undefined;
  /** False: it was dropped, and deletes of it may be owed. */
  readonly exists: boolean;
}

interface Refusal extends RefusedDatabase {
  readonly error: Error;
}

export class RefusedDatabases {
  readonly #store: Pick<ObjectStore, 'doubtAccount'>;
  readonly #log: Log;
  readonly #acceptNew: boolean;
  readonly #byFolder = new Map<string, Refusal>();

  /** @param acceptNew another account may take the place of the one in which they were (`accept_new_container`) */
  constructor(store: Pick<ObjectStore, 'doubtAccount'>, log: Log, acceptNew: boolean) {
    this.#store = store;
    this.#log = log;
    this.#acceptNew = acceptNew;
  }

  add(refused: RefusedDatabase, error: unknown): void {
    this.#byFolder.set(refused.folder, { ...refused, error: asError(error) });
    this.#tell(refused, error);
  }

  all(): RefusedDatabase[] {
    return [...this.#byFolder.values()];
  }

  /** Told where it is another story than before. */
  failedAgain(refused: RefusedDatabase, error: unknown): void {
    const before = this.#byFolder.get(refused.folder);
    if (before === undefined) return;
    this.#byFolder.set(refused.folder, { ...before, error: asError(error) });
    if (storyOf(before.error) !== storyOf(error)) this.#tell(refused, error);
  }

  /** It is refused no more. */
  end({ folder }: RefusedDatabase): void {
    this.#byFolder.delete(folder);
  }

  #tell(refused: RefusedDatabase, error: unknown): void {
    this.#log.error('database.not-opened', {
      database: shownName(refused),
      reason: messageOf(error),
      meaning: 'it is EIO until it can be opened, which is tried every ten seconds; the others are served',
    });
  }

  /** @param database byte string. @throws FilestoreError unavailable when it is one of them */
  assertNot(database: string): void {
    const refusal = this.#byFolder.size === 0 ? undefined : this.#byFolder.get(databaseFolder(database));
    if (refusal !== undefined) throw refusalOf(refusal);
  }

  has(database: string): boolean {
    return this.#byFolder.has(databaseFolder(database));
  }

  /** @throws FilestoreError unavailable when one of them has that container */
  assertNoneHas(container: string): void {
    for (const refusal of this.#byFolder.values()) if (refusal.container === container) throw refusalOf(refusal);
  }

  /**
   * What hangs on their containers is not known: the others are not begun, nor looked for, elsewhere.
   * @throws StoreAnswered when one of them was in another account
   */
  assertAccount(account: string): void {
    for (const refusal of this.#byFolder.values()) {
      if (this.#acceptNew || refusal.account === undefined || refusal.account === account) continue;
      this.#store.doubtAccount(account);
      const where = `was in account ${refusal.account}, and these credentials are for account ${account}`;
      throw new StoreAnswered(
        `container ${refusal.container ?? shownName(refusal)} ${where}: check the credentials, the project and the region`,
      );
    }
  }

  /** What was thrown at the first of them. */
  get firstError(): Error | undefined {
    return this.#byFolder.values().next().value?.error;
  }

  /** Byte strings: who copies all databases is to see that one is missing. */
  names(): string[] {
    return [...this.#byFolder.values()].flatMap(({ database, exists }) => (exists ? (database ?? []) : []));
  }

  statuses(): DatabaseStatus[] {
    return [...this.#byFolder.values()].map((refusal) => ({
      database: shownName(refusal),
      container: refusal.container ?? 'not known',
      state: 'refused',
      reason: refusalOf(refusal).message,
      degradedSinceMs: undefined,
      isContainerLost: false,
      pendingWrites: 0,
      pendingBytes: 0,
      oldestPendingMs: undefined,
      pendingDeletes: 0,
      tornFiles: 0,
      tornBytes: 0,
      tornDirectory: undefined,
      knownNames: 0,
    }));
  }
}

/** What went wrong, without what is another number at each try: how much is free, at which byte it failed. */
function storyOf(error: unknown): string {
  return `${kindOf(error)} ${messageOf(error).replace(/\d+/g, '0')}`;
}

function shownName({ database, folder }: RefusedDatabase): string {
  return database === undefined ? folder : displayName(database);
}

function refusalOf(refusal: Refusal): FilestoreError {
  const message = `database "${shownName(refusal)}" cannot be opened, and what waits in its spool is not known: ${messageOf(refusal.error)}; put that right: it is tried again every ten seconds`;
  return new FilestoreError('unavailable', message, { cause: refusal.error });
}
