/**
 * A database's container: found, made, claimed, registered with. A container is never made inside a MKDIR (ruling 2): the record is
 * written, and `ensure` is called by whoever first needs the container, or by the publisher.
 *
 *    unbound ──ensure──► bound (ours to use)        refused: another owner, or another machine with `nodes: one`; asked again every minute
 *
 * A machine that finds another one at a renewal stays bound (its writes are content that nobody else lacks the right to), but `refusal` is set, and
 * the publisher keeps its deletes back.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import { displayName, fromUtf8 } from '../base/names.js';
import type { Log } from '../base/log.js';
import { SingleFlight } from '../base/single-flight.js';
import type { ContainerInfo, Metadata, ObjectStore, RequestOptions } from '../store/object-store.js';
import { deadNodes, deregistration, hasRegistration, refusalOf, registration } from './node-registry.js';
import { isTrash } from './retention.js';

/** Container metadata that holds the database's true name: containers are lowercased, databases are not. Percent-encoded. */
export const DATABASE_KEY = 'osf-database';

export interface BindingOptions {
  readonly store: ObjectStore;
  readonly container: string;
  readonly database: string;
  readonly nodeId: string;
  readonly nodes: 'one' | 'many';
  readonly log: Log;
}

/** @returns the true database name of a container, as a byte string, from its metadata; undefined when it does not say */
export function databaseOf(info: ContainerInfo): string | undefined {
  const value = info.metadata[DATABASE_KEY];
  return value === undefined ? undefined : fromUtf8(decodeURIComponent(value));
}

export class ContainerBinding {
  readonly #options: BindingOptions;
  readonly #flight = new SingleFlight<void>();
  #bound = false;
  #madeHere = false;
  #refusal: FilestoreError | undefined;

  constructor(options: BindingOptions) {
    this.#options = options;
  }

  get isBound(): boolean {
    return this.#bound;
  }

  /** This daemon made the container, so every name in it is ours, as long as nobody uploads behind our back (see absence.ts). */
  get madeHere(): boolean {
    return this.#madeHere;
  }

  /** Why the container may not be ours, as it was last seen. */
  get refusal(): FilestoreError | undefined {
    return this.#refusal;
  }

  /**
   * For a start that has the container's metadata at hand and does not bind yet.
   * @throws FilestoreError busy, exists
   */
  assertMayBind(info: ContainerInfo): void {
    this.#check(info);
  }

  /**
   * Binds when it is not bound.
   * @throws FilestoreError busy (another machine has it), exists (a database whose name differs in case has it), unavailable, forbidden, …
   */
  async ensure(signal?: AbortSignal): Promise<void> {
    if (this.#bound) return;
    await this.#flight.run('bind', () => this.#bind(signal));
  }

  /** Says again that this machine is here, and looks who else is. @throws as `ensure` */
  async renew(): Promise<void> {
    const { store, container } = this.#options;
    const info = await store.headContainer(container, { priority: 'background' });
    if (info === undefined) {
      this.#bound = false;
      await this.ensure();
      return;
    }
    // Also when somebody else is there: who is silent counts as dead, and then the other would not know of us.
    await store.updateContainer(container, { ...deadNodes(info, Date.now()), ...this.#registration() }, { priority: 'background' });
    this.#check(info);
  }

  /** Takes the registration back, if Swift answers. */
  async leave(): Promise<void> {
    const { store, container, nodeId } = this.#options;
    if (this.#bound) await store.updateContainer(container, deregistration(nodeId), { timeoutMs: 2_000 });
    this.#bound = false;
  }

  /** The container is gone: the next `ensure` makes it again. */
  unbind(): void {
    this.#bound = false;
    this.#madeHere = false;
  }

  async #bind(signal: AbortSignal | undefined): Promise<void> {
    const { store, container, database, log } = this.#options;
    const options = signal === undefined ? {} : { signal };
    const claim = { [DATABASE_KEY]: encodeURIComponent(Buffer.from(database, 'latin1').toString('utf8')), ...this.#registration() };
    let info = await store.headContainer(container, options);
    if (info === undefined) {
      const outcome = await store.createContainer(container, claim, options);
      if (outcome === 'created') {
        this.#madeHere = true;
        this.#bound = true;
        log.info('container.made', { container, database: displayName(database) });
        return;
      }
      info = await store.headContainer(container, options);
    }
    if (info === undefined) throw new FilestoreError('unavailable', `container ${container} vanished while it was being bound`);
    await this.#register(info, claim, options);
    this.#bound = true;
    log.info('container.bound', { container, database: displayName(database), objects: info.objectCount });
  }

  /** Looks, registers, and looks again: somebody may have registered at the same moment. @throws as `ensure` */
  async #register(before: ContainerInfo, claim: Metadata, options: RequestOptions): Promise<void> {
    const { store, container, nodeId } = this.#options;
    let isRegistered = hasRegistration(before, nodeId);
    try {
      this.#check(before);
      await store.updateContainer(container, { ...deadNodes(before, Date.now()), ...claim }, options);
      isRegistered = true;
      const after = await store.headContainer(container, options);
      if (after !== undefined) this.#check(after);
    } catch (error) {
      // Not to stand in the other's way: the mere attempt must not refuse its next start.
      if (kindOf(error) === 'busy' && isRegistered) await store.updateContainer(container, deregistration(nodeId), options);
      throw error;
    }
  }

  #registration(): Readonly<Record<string, string>> {
    return registration(this.#options.nodeId, this.#options.nodes, Date.now());
  }

  #check(info: ContainerInfo): void {
    this.#refusal = this.#refusalOf(info);
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  #refusalOf(info: ContainerInfo): FilestoreError | undefined {
    const { container, database, nodes, nodeId } = this.#options;
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
    const reason = refusalOf(info, container, nodeId, nodes, Date.now());
    if (reason !== undefined) return new FilestoreError('busy', reason);
    return undefined;
  }
}
