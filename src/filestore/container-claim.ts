/**
 * Whether a container may be this database's on this machine, and what is written into its metadata for that: the database's name, and the
 * registration of the machine (node-registry.ts, own-registration.ts).
 *
 * Swift has no compare-and-swap: who registers looks before and after, and takes the registration back when somebody else was first.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import { KeyedLock } from '../base/keyed-lock.js';
import { displayName } from '../base/names.js';
import type { ContainerInfo, Metadata, ObjectStore, RequestOptions } from '../store/object-store.js';
import { storeNowMs } from '../store/store-now.js';
import { claimOf, databaseOf } from './container-metadata.js';
import {
  departure,
  deregistration,
  forgottenNodes,
  isHeardOf,
  noDeparture,
  otherNodesThatMayKnow,
  refusalOf,
  registeredAs,
} from './node-registry.js';
import { OwnRegistration, sayVerdict, type NodeIdentity, type Verdict } from './own-registration.js';
import { isTrash } from './retention.js';

/** How long a stop may take to take the registration back, in ms. */
export const LEAVE_MS = 2_000;
/** Of `forget` in the background: what has our keys to itself must not take long. */
export const FORGETTING = { priority: 'background', tries: 'few', timeoutMs: 10_000 } as const;

export interface ClaimOptions {
  readonly store: ObjectStore;
  readonly container: string;
  readonly database: string;
  readonly node: NodeIdentity;
  readonly nodes: 'one' | 'many';
}

export class ContainerClaim {
  readonly #options: ClaimOptions;
  readonly #own: OwnRegistration;
  /** One request that writes our keys at a time: they come to Swift in this order. */
  readonly #writing = new KeyedLock();
  #refusal: FilestoreError | undefined;
  #isDoubted = false;

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#own = new OwnRegistration(options.node, options.nodes);
  }

  /** Why the container may not be ours, as it was last seen. */
  get refusal(): FilestoreError | undefined {
    return this.#refusal;
  }

  /** It is not known yet whether a life before of this very daemon is meant: the refusal may end by itself soon. */
  get isDoubted(): boolean {
    return this.#isDoubted;
  }

  /** The metadata of a container that is about to be made. */
  metadata(): Metadata {
    return { ...claimOf(this.#options.database), ...this.#own.next(this.#nowMs()) };
  }

  /** @throws FilestoreError busy (another machine has it), exists (another database has it, or it is a trash) */
  check(info: ContainerInfo, verdict = this.#own.verdict(info, this.#nowMs())): void {
    this.#isDoubted = verdict === 'doubted';
    this.#refusal = this.#refusalOf(info, verdict);
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /**
   * Looks, registers, and looks again: somebody may have registered at the same moment.
   * @param before the container as it was found
   * @param changes further metadata that goes along
   * @param isStill asked when its turn has come
   * @param onWritten called once they stand
   * @returns false when it was not to be done any more
   * @throws as {@link check}; what the store throws
   */
  register(
    before: ContainerInfo,
    changes: Metadata,
    options: RequestOptions,
    { isStill, onWritten }: { readonly isStill: () => boolean; readonly onWritten: () => void },
  ): Promise<boolean> {
    return this.#writing.run('', async () => {
      if (!isStill()) return false;
      await this.#register(before, changes, options, onWritten);
      return true;
    });
  }

  async #register(before: ContainerInfo, changes: Metadata, options: RequestOptions, onWritten: () => void): Promise<void> {
    const { store, container, node } = this.#options;
    let last = before;
    try {
      this.check(before);
      await store.updateContainer(
        container,
        { ...forgottenNodes(before, this.#nowMs()), ...changes, ...noDeparture(node.id), ...this.metadata() },
        options,
      );
      onWritten();
      const after = await store.headContainer(container, options);
      if (after === undefined) return;
      last = after;
      this.check(after);
    } catch (error) {
      // Not to stand in the other's way: the mere attempt must not refuse its next start. What a life before has left goes too, but not what
      // belongs to one who lives under our id.
      const isOurs = registeredAs(last, node.id) !== undefined && this.#own.verdict(last, this.#nowMs()) === 'ours';
      if (kindOf(error) === 'busy' && isOurs) {
        const goodbye = isHeardOf(before, node.id) ? departure(node.id, this.#nowMs()) : deregistration(node.id);
        await store.updateContainer(container, goodbye, options);
      }
      throw error;
    }
  }

  /** Says again that this machine is here, and looks who else is. @param info the container as it was found. @throws as {@link register} */
  async renew(info: ContainerInfo, options: RequestOptions): Promise<void> {
    const { store, container } = this.#options;
    // Before the update, which writes over what a foreign one has written.
    const verdict = this.#own.verdict(info, this.#nowMs());
    // Also when somebody else is there: who is silent counts as dead, and then the other would not know of us.
    await this.#writing.run('', () =>
      store.updateContainer(container, { ...forgottenNodes(info, this.#nowMs()), ...this.#own.next(this.#nowMs()) }, options),
    );
    this.check(info, verdict);
  }

  /**
   * Takes the registration of a bound container back, if Swift answers, and says that this machine may come again.
   * @throws what the store throws
   */
  async leave(): Promise<void> {
    const { store, container, node } = this.#options;
    // One who lives under our id would lose it.
    if (this.#refusal !== undefined) {
      const info = await store.headContainer(container, { timeoutMs: LEAVE_MS });
      if (info === undefined || !this.#own.isIn(info)) return;
    }
    await store.updateContainer(container, departure(node.id, this.#nowMs()), { timeoutMs: LEAVE_MS });
  }

  /**
   * This machine knows that the database was dropped: nobody is to wait for it.
   * @param changes further metadata that goes along
   * @param isStill asked when its turn has come
   * @returns whether it still was
   * @throws what the store throws; not-found
   */
  forget(changes: Metadata, options: RequestOptions, isStill: () => boolean = () => true): Promise<boolean> {
    const { store, container, node } = this.#options;
    const metadata = { ...changes, ...deregistration(node.id), ...noDeparture(node.id) };
    return this.#writing.run('', async () => {
      if (!isStill()) return false;
      await store.updateContainer(container, metadata, options);
      return true;
    });
  }

  /** Our keys are being written. */
  get isWriting(): boolean {
    return this.#writing.isHeld('');
  }

  /** What has begun to write our keys has ended. Never rejects. */
  written(): Promise<void> {
    return this.#writing.run('', () => Promise.resolve());
  }

  /** @returns the hosts of other machines that may know what is in the container */
  othersThatMayKnow(info: ContainerInfo): string[] {
    return otherNodesThatMayKnow(info, this.#options.node.id, this.#nowMs());
  }

  /** By the store's clock, the one that all machines share. */
  #nowMs(): number {
    return storeNowMs(this.#options.store);
  }

  #refusalOf(info: ContainerInfo, verdict: Verdict): FilestoreError | undefined {
    const { container, database, nodes, node } = this.#options;
    const owner = databaseOf(info);
    if (owner !== undefined && owner !== database) {
      return new FilestoreError(
        'exists',
        `container ${container} belongs to database "${displayName(owner)}"; "${displayName(database)}" needs another name or container_prefix`,
      );
    }
    if (isTrash(info)) {
      return new FilestoreError(
        'exists',
        `container ${container} keeps what was deleted from another database (delete_retention); "${displayName(database)}" needs another name or container_prefix`,
      );
    }
    if (verdict !== 'ours') return new FilestoreError('busy', sayVerdict(verdict, info, container, node.id, this.#nowMs()));
    const reason = refusalOf(info, container, node.id, nodes, this.#nowMs());
    return reason === undefined ? undefined : new FilestoreError('busy', reason);
  }
}
