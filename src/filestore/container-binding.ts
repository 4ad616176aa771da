/**
 * A database's container: found, made, claimed, registered with. A container is never made inside a MKDIR (ruling 2): the record is
 * written, and `ensure` is called by whoever first needs the container, or by the publisher.
 *
 *    unbound ──ensure──► bound (ours to use)        refused: another owner, or another machine with `nodes: one`; asked again every minute
 */
import { FilestoreError } from '../base/errors.js';
import { displayName, fromUtf8 } from '../base/names.js';
import type { Log } from '../base/log.js';
import { SingleFlight } from '../base/single-flight.js';
import type { ContainerInfo, ObjectStore } from '../store/object-store.js';
import { deadNodes, deregistration, otherLiveNodes, registration } from './node-registry.js';

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

  get refusal(): FilestoreError | undefined {
    return this.#refusal;
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
    this.#check(info);
    await store.updateContainer(container, { ...deadNodes(info, Date.now()), ...this.#registration() }, { priority: 'background' });
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
    this.#check(info);
    await store.updateContainer(container, { ...deadNodes(info, Date.now()), ...claim }, options);
    this.#bound = true;
    log.info('container.bound', { container, database: displayName(database), objects: info.objectCount });
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
    for (const other of otherLiveNodes(info, nodeId, Date.now())) {
      if (nodes === 'many' && other.mode === 'many') continue;
      return new FilestoreError(
        'busy',
        `container ${container} is mounted by ${other.host} (nodes: ${other.mode}), last seen ${Math.round((Date.now() - other.seenAtMs) / 1000)} s ago; set "nodes: many" on both, or unmount there first`,
      );
    }
    return undefined;
  }
}
