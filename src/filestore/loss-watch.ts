/**
 * Whether the container that was served from here is where it was. One that is missing, or that lies in another account than the credentials are for,
 * is lost where something hangs on it: nothing takes its place by itself, unless `accept_new_container` says that this is meant.
 */
import { displayName } from '../base/names.js';
import type { Log } from '../base/log.js';
import type { ContainerInfo, ObjectStore } from '../store/object-store.js';
import { ContainerLost, isElsewhere, whatHangsOn, whatWouldGoAstray } from './container-lost.js';
import type { ContainerMemory } from './container-memory.js';
import type { DropWatch } from './drop-watch.js';

export interface LossOptions {
  readonly container: string;
  readonly database: string;
  readonly nodes: 'one' | 'many';
  readonly store: ObjectStore;
  readonly log: Log;
  readonly memory: ContainerMemory;
  /** Another container may take the place of one that is lost. */
  readonly acceptNew: boolean;
  /** Holds an account against the containers of the others that are served. @throws ContainerLost when one of them was in another account */
  readonly assertAccountOfOthers?: (account: string) => void;
}

export class LossWatch {
  readonly #options: LossOptions;
  readonly #drops: DropWatch;
  #lost: ContainerLost | undefined;
  /** Until it has been made use of, or was not needed: a container that is lost later is another story. */
  #acceptNew: boolean;

  constructor(options: LossOptions, drops: DropWatch) {
    this.#options = options;
    this.#drops = drops;
    this.#acceptNew = options.acceptNew;
  }

  /** The loss, as it was last seen. What is lost of a database that was dropped meanwhile is nobody's. */
  get current(): ContainerLost | undefined {
    return this.#options.memory.isConfirmed ? this.#lost : undefined;
  }

  /** Set when the credentials are for another account than the container's, as far as anybody has looked. */
  get elsewhere(): ContainerLost | undefined {
    return this.#lost?.isElsewhere === true ? this.#lost : undefined;
  }

  /** @param account in which we are now. @throws ContainerLost when the container was in another one */
  assertAccount(account: string): void {
    const { memory } = this.#options;
    const hangs = isElsewhere(memory, account) ? whatWouldGoAstray(memory) : undefined;
    if (hangs !== undefined && !this.#acceptNew) throw this.#lose(account, hangs);
    if (memory.account === account && this.#lost?.isElsewhere === true) this.#lost = undefined;
  }

  /**
   * What is served here lies in that account, or begins there: no login leads elsewhere from now on.
   * @throws ContainerLost; unavailable when one has led elsewhere meanwhile
   */
  settleIn(account: string): void {
    const { memory, store, assertAccountOfOthers } = this.#options;
    this.assertAccount(account);
    // A database that Swift has not seen yet would be sent to a stranger.
    if (!(memory.isConfirmed && memory.account === account)) assertAccountOfOthers?.(account);
    store.confirmAccount(account);
  }

  /** The container was found to be missing. @returns the loss, if it is one */
  missing(): ContainerLost | undefined {
    const hangs = this.#whatHangsOnMissing();
    return hangs === undefined ? undefined : this.#lose(undefined, hangs);
  }

  /**
   * @returns undefined when what we found is the container that was served from here, or nothing hangs on that one; else what does, in words: the one
   * that is there, or is made now, takes its place (`accept_new_container`)
   * @throws ContainerLost
   */
  replacedBy(account: string, info: ContainerInfo | undefined): string | undefined {
    const missing = info === undefined ? this.#whatHangsOnMissing() : undefined;
    const hangs = isElsewhere(this.#options.memory, account) ? whatWouldGoAstray(this.#options.memory) : missing;
    if (hangs !== undefined && !this.#acceptNew) throw this.#lose(account, hangs);
    return hangs;
  }

  /** The container is ours. @param replaces what it takes the place of, in words; forgotten now, and not before it is ours */
  settled(account: string, replaces: string | undefined): void {
    const { container, database, log, memory } = this.#options;
    if (replaces !== undefined) {
      log.warn('container.replaced', {
        container,
        database: displayName(database),
        account,
        accountBefore: memory.account,
        meaning: `accept_new_container: ${replaces}; what was known is forgotten, and what waits is stored in the container that is there now`,
      });
      memory.replaced();
    }
    this.#acceptNew = false;
    this.#lost = undefined;
  }

  /** Another node dropped the database: nothing is lost. */
  ended(): void {
    this.#lost = undefined;
  }

  /** Nothing where a drop by another node has stood a moment ago: its end has come late. */
  #whatHangsOnMissing(): string | undefined {
    const { memory, nodes } = this.#options;
    const { isJustRemade, isDrop } = this.#drops;
    if (nodes === 'many' && (isJustRemade || (isDrop && memory.writes === undefined))) return undefined;
    return whatHangsOn(memory);
  }

  /** Told once, and again when it is another story. @param account in which we look. @returns what to throw */
  #lose(account: string | undefined, hangs: string): ContainerLost {
    const { container, database, memory, log, store } = this.#options;
    const lost = new ContainerLost(container, memory, account, hangs);
    if (this.#lost?.where !== lost.where) {
      log.error('container.lost', {
        database: displayName(database),
        reason: lost.message,
        meaning: 'a read of a file that is not on this machine is EIO; writes stay in the spool',
      });
    }
    this.#lost = lost;
    if (lost.isElsewhere && account !== undefined) store.doubtAccount(account);
    return lost;
  }
}
