/**
 * Which databases the containers of the account are. Gone through at the start, and again when the list of databases is asked for: what another node has made
 * since, or Swift did not tell at the start, is to be in it.
 */
import { SingleFlight } from '../base/single-flight.js';
import { steadyNowMs } from '../base/clock.js';
import { asError, kindOf, StoreAnswered } from '../base/errors.js';
import { fromUtf8 } from '../base/names.js';
import type { ContainerInfo, ObjectStore, RequestOptions } from '../store/object-store.js';
import { databaseOf, isBeingDropped } from './container-metadata.js';
import { containerName, containerNamesPrefix, isBeside } from './container-name.js';
import { isTrash } from './retention.js';

/** After a list that could not be gone through. */
const REST_MS = 1_000;

export interface DiscoveryParts {
  readonly store: ObjectStore;
  readonly containerPrefix: string;
  /** Throws where this is not the account of the databases that are served: then its containers are others'. */
  readonly assertAccount: (options: RequestOptions) => Promise<void>;
}

export interface Visitor {
  /** Whether a container need not be asked for. */
  readonly isKnown: (container: string) => boolean;
  /** @param database whose container it is */
  readonly found: (database: string, container: string, info: ContainerInfo) => Promise<void>;
  /** Whether what `found` throws ends it at once: a start is refused. Else the others are found all the same. */
  readonly isStrict: boolean;
  /** The mount ends. */
  readonly isOver: () => boolean;
}

export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #flight = new SingleFlight<void>();
  /** Containers that are listed and no database's. */
  readonly #foreign = new Set<string>();
  /** When a list that was gone through set out, on the clock of `steadyNowMs`. */
  #doneAtMs = -Infinity;
  #restsUntilMs = 0;

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** @param maxAgeMs how old the last list may be; Infinity: any will do */
  isDue(maxAgeMs: number): boolean {
    const nowMs = steadyNowMs();
    return nowMs - this.#doneAtMs >= maxAgeMs && nowMs >= this.#restsUntilMs;
  }

  /** The list that was gone through counts no more. */
  again(): void {
    this.#doneAtMs = -Infinity;
  }

  /** It failed: whoever asks next goes without. */
  rest(): void {
    this.#restsUntilMs = steadyNowMs() + REST_MS;
  }

  /**
   * One at a time. A container that cannot be asked for, or served, does not hide those behind it.
   * @throws what the store and `found` throw, the first of it; ContainerLost in another account
   */
  goThrough(visitor: Visitor, options: RequestOptions): Promise<void> {
    return this.#flight.run('', () => this.#goThrough(visitor, options));
  }

  /**
   * @param byName somebody asks for the database that has this container by its name; else it was found in the list
   * @returns the database whose container it is, undefined for none
   */
  databaseIn(container: string, info: ContainerInfo, byName?: string): string | undefined {
    if (isTrash(info) || isBeingDropped(info)) return undefined;
    const owner = databaseOf(info);
    if (owner !== undefined) return this.#hasName(owner, container) ? owner : undefined;
    if (isBeside(container)) return undefined;
    // It does not say: made by another tool. With an empty prefix every container of the account matches.
    const prefix = containerNamesPrefix(this.#parts.containerPrefix);
    return byName ?? (prefix === '' ? undefined : fromUtf8(container.slice(prefix.length)));
  }

  async #goThrough(visitor: Visitor, options: RequestOptions): Promise<void> {
    const { store, containerPrefix, assertAccount } = this.#parts;
    const startedMs = steadyNowMs();
    await assertAccount(options);
    let failure: Error | undefined;
    // What is not listed any more may come again as a database.
    const unlisted = new Set(this.#foreign);
    for await (const page of store.listContainers(containerNamesPrefix(containerPrefix), options)) {
      for (const container of page) {
        if (visitor.isOver()) return;
        unlisted.delete(container);
        const failed = await this.#visit(container, visitor, options);
        failure ??= failed;
      }
    }
    for (const container of unlisted) this.#foreign.delete(container);
    if (failure !== undefined) throw failure;
    this.#doneAtMs = startedMs;
  }

  /** @returns what went wrong with this container alone. @throws what ends it for all of them */
  async #visit(container: string, { isKnown, found, isStrict }: Visitor, options: RequestOptions): Promise<Error | undefined> {
    if (container.endsWith('_segments') || this.#foreign.has(container) || isKnown(container)) return undefined;
    let info: ContainerInfo | undefined;
    try {
      info = await this.#parts.store.headContainer(container, options);
    } catch (error) {
      // An outage is one for all of them.
      if (!(error instanceof StoreAnswered) && kindOf(error) === 'unavailable') throw error;
      return asError(error);
    }
    if (info === undefined) return undefined;
    const database = this.databaseIn(container, info);
    if (database === undefined) {
      if (!isBeingDropped(info)) this.#foreign.add(container);
      return undefined;
    }
    try {
      await found(database, container, info);
      return undefined;
    } catch (error) {
      if (isStrict) throw error;
      return asError(error);
    }
  }

  /** Metadata may have been copied along with a container. */
  #hasName(database: string, container: string): boolean {
    try {
      return containerName(this.#parts.containerPrefix, database) === container;
    } catch {
      return false;
    }
  }
}
