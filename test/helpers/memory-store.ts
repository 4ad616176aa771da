/**
 * The object port in memory, for tests: exact and immediate, with faults on demand (store-faults.ts). Tests may also look and act behind the port, as
 * another node would: `peek`, `plant`, `uproot`, `takeAway`, `names`.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { SYSTEM_CLOCK, type Clock } from '../../src/base/clock.js';
import { FilestoreError } from '../../src/base/errors.js';
import type {
  ContainerInfo,
  CopyOptions,
  DeleteManyResult,
  GetOptions,
  ListedObject,
  ListOptions,
  Metadata,
  ObjectBody,
  ObjectInfo,
  ObjectRead,
  ObjectStore,
  PutOptions,
  RequestOptions,
} from '../../src/store/object-store.js';
import { chunks, infoOf, merged, readAll, type StoredObject } from './memory-object.js';
import { StoreFaults } from './store-faults.js';

interface StoredContainer {
  readonly objects: Map<string, StoredObject>;
  metadata: Metadata;
}

export class MemoryStore extends StoreFaults implements ObjectStore {
  /** What `account` says. */
  accountName = '/v1/AUTH_memory';
  /** The first that was. */
  confirmedAccount: string | undefined;
  readonly doubtedAccounts = new Set<string>();
  /** That of the test's clock of this store. */
  clockAheadMs = 0;
  readonly #clock: Clock;
  readonly #pageSize: number;
  readonly #containers = new Map<string, StoredContainer>();

  /** @param options.pageSize names a page of a listing (1,000) */
  constructor(options: { readonly clock?: Clock; readonly pageSize?: number } = {}) {
    const clock = options.clock ?? SYSTEM_CLOCK;
    super(clock);
    this.#clock = clock;
    this.#pageSize = options.pageSize ?? 1000;
  }

  /** Another store that holds what this one holds now. */
  clone(): MemoryStore {
    const copy = new MemoryStore({ clock: this.#clock, pageSize: this.#pageSize });
    for (const [name, { objects, metadata }] of this.#containers) copy.#containers.set(name, { objects: new Map(objects), metadata });
    return copy;
  }

  /** For tests that look behind the port: the stored bytes, without a request. */
  peek(container: string, name: string): Buffer | undefined {
    return this.#containers.get(container)?.objects.get(name)?.bytes;
  }

  /** For tests that act as another node would: stores bytes without a request; the container is made when it is missing. */
  plant(container: string, name: string, bytes: Uint8Array, metadata: Metadata = {}): void {
    let stored = this.#containers.get(container);
    if (stored === undefined) this.#containers.set(container, (stored = { objects: new Map(), metadata: {} }));
    stored.objects.set(name, this.#stored(Buffer.from(bytes), metadata));
  }

  /** Removes an object without a request. */
  uproot(container: string, name: string): void {
    this.#containers.get(container)?.objects.delete(name);
  }

  /** A container vanishes with all that is in it. @returns brings it back */
  takeAway(container: string): () => void {
    const stored = this.#containers.get(container);
    this.#containers.delete(container);
    return () => {
      if (stored !== undefined) this.#containers.set(container, stored);
    };
  }

  /** The names stored in a container, in listing order, without a request; undefined when there is no such container. */
  names(container: string): string[] | undefined {
    const stored = this.#containers.get(container);
    return stored === undefined ? undefined : [...stored.objects.keys()].sort(byUtf8);
  }

  put(container: string, name: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    return this.carry({ method: 'put', container, name }, options, async () => {
      const objects = this.#mustHave(container).objects;
      const bytes = await readAll(body.read(0, body.sizeBytes), options.onProgress);
      const stored = this.#stored(bytes, { ...options.metadata });
      if (bytes.length !== body.sizeBytes || stored.md5 !== body.md5) {
        throw new FilestoreError(
          'corrupt',
          `PUT ${container}/${name}: sent ${bytes.length} bytes with MD5 ${stored.md5}, promised ${body.md5}`,
        );
      }
      objects.set(name, stored);
    });
  }

  get(container: string, name: string, options: GetOptions = {}): Promise<ObjectRead | undefined> {
    return this.carry({ method: 'get', container, name }, options, () => {
      const stored = this.#alive(container, name);
      if (stored === undefined) return undefined;
      const bytes = options.range === undefined ? stored.bytes : stored.bytes.subarray(options.range.start, options.range.end);
      return { info: infoOf(stored), body: Readable.from(chunks(bytes, this.nextBodyFailure()), { objectMode: false }) };
    });
  }

  head(container: string, name: string, options: RequestOptions = {}): Promise<ObjectInfo | undefined> {
    return this.carry({ method: 'head', container, name }, options, () => {
      const stored = this.#alive(container, name);
      return stored === undefined ? undefined : infoOf(stored);
    });
  }

  updateMetadata(container: string, name: string, metadata: Metadata, options: RequestOptions = {}): Promise<boolean> {
    return this.carry({ method: 'updateMetadata', container, name }, options, () => {
      const objects = this.#containers.get(container)?.objects;
      const stored = objects?.get(name);
      if (objects === undefined || stored === undefined) return false;
      // As Swift's POST: the object's time becomes that of the POST.
      objects.set(name, { ...stored, metadata: merged(stored.metadata, metadata), lastModifiedMs: this.#clock.nowMs() });
      return true;
    });
  }

  copy(container: string, name: string, toContainer: string, toName: string, options: CopyOptions = {}): Promise<boolean> {
    return this.carry({ method: 'copy', container, name: `${name}>${toContainer}/${toName}` }, options, () => {
      const stored = this.#alive(container, name);
      if (stored === undefined) return false;
      const { deleteAtMs, ...copied } = { ...stored, lastModifiedMs: this.#clock.nowMs() };
      const ownAtMs = options.deleteAfterSeconds === undefined ? undefined : this.#clock.nowMs() + options.deleteAfterSeconds * 1000;
      const expiry = ownAtMs ?? (options.metadata === undefined ? deleteAtMs : undefined);
      const metadata = options.metadata ?? { ...stored.metadata, ...options.addedMetadata };
      this.#mustHave(toContainer).objects.set(toName, { ...copied, metadata, ...(expiry === undefined ? {} : { deleteAtMs: expiry }) });
      return true;
    });
  }

  delete(container: string, name: string, options: RequestOptions = {}): Promise<boolean> {
    return this.carry({ method: 'delete', container, name }, options, () => this.#containers.get(container)?.objects.delete(name) ?? false);
  }

  deleteMany(container: string, names: readonly string[], options: RequestOptions = {}): Promise<DeleteManyResult> {
    return this.carry({ method: 'deleteMany', container, name: '' }, options, () => {
      for (const name of names) this.#containers.get(container)?.objects.delete(name);
      return { failed: new Map<string, string>() };
    });
  }

  async *list(container: string, options: ListOptions = {}): AsyncGenerator<readonly ListedObject[]> {
    let marker = options.marker;
    for (;;) {
      const after = marker;
      const page = await this.carry({ method: 'list', container, name: '' }, options, () => {
        const names = this.names(container);
        if (names === undefined) throw new FilestoreError('not-found', `there is no container ${container}`);
        const prefix = options.prefix ?? '';
        const below = names.filter((n) => n.startsWith(prefix));
        const shown = options.level === true ? new Set(below.map((n) => levelOf(n, prefix))) : below;
        const wanted = [...shown].filter((n) => after === undefined || byUtf8(n, after) > 0);
        const page = wanted.slice(0, options.limit ?? this.#pageSize);
        const isDeeper = (name: string): boolean => options.level === true && name.endsWith('/');
        return page.map((name) => (isDeeper(name) ? { name, sizeBytes: undefined, lastModifiedMs: 0 } : this.#listed(container, name)));
      });
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      marker = last.name;
    }
  }

  headContainer(container: string, options: RequestOptions = {}): Promise<ContainerInfo | undefined> {
    return this.carry({ method: 'headContainer', container, name: '' }, options, () => {
      const stored = this.#containers.get(container);
      if (stored === undefined) return undefined;
      const bytesUsed = [...stored.objects.values()].reduce((sum, o) => sum + o.bytes.length, 0);
      return { objectCount: stored.objects.size, bytesUsed, metadata: stored.metadata, storagePolicy: undefined };
    });
  }

  createContainer(container: string, metadata: Metadata = {}, options: RequestOptions = {}): Promise<'created' | 'existed'> {
    return this.carry({ method: 'createContainer', container, name: '' }, options, () => {
      const stored = this.#containers.get(container);
      if (stored === undefined) {
        this.#containers.set(container, { objects: new Map(), metadata: merged({}, metadata) });
        return 'created';
      }
      stored.metadata = merged(stored.metadata, metadata);
      return 'existed';
    });
  }

  updateContainer(container: string, metadata: Metadata, options: RequestOptions = {}): Promise<void> {
    return this.carry({ method: 'updateContainer', container, name: '' }, options, () => {
      const stored = this.#mustHave(container);
      stored.metadata = merged(stored.metadata, metadata);
    });
  }

  deleteContainer(container: string, options: RequestOptions = {}): Promise<boolean> {
    return this.carry({ method: 'deleteContainer', container, name: '' }, options, () => {
      const stored = this.#containers.get(container);
      if (stored !== undefined && stored.objects.size > 0) {
        throw new FilestoreError('not-empty', `container ${container} still holds ${stored.objects.size} objects`);
      }
      return this.#containers.delete(container);
    });
  }

  async *listContainers(prefix: string, options: RequestOptions = {}): AsyncGenerator<readonly string[]> {
    let marker = '';
    for (;;) {
      const after = marker;
      const page = await this.carry({ method: 'listContainers', container: '', name: '' }, options, () =>
        [...this.#containers.keys()]
          .sort(byUtf8)
          .filter((n) => n.startsWith(prefix) && byUtf8(n, after) > 0)
          .slice(0, this.#pageSize),
      );
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      marker = last;
    }
  }

  probe(options: RequestOptions = {}): Promise<void> {
    return this.carry({ method: 'probe', container: '', name: '' }, options, () => undefined);
  }

  /** No request: it takes a login at most. */
  account(): Promise<string> {
    if (this.down) return Promise.reject(new FilestoreError('unavailable', 'memory store: down'));
    return Promise.resolve(this.accountName);
  }

  confirmAccount(account: string): void {
    this.confirmedAccount ??= account;
  }

  doubtAccount(account: string): void {
    this.doubtedAccounts.add(account);
  }

  close(): Promise<void> {
    this.resume();
    return Promise.resolve();
  }

  #mustHave(container: string): StoredContainer {
    const stored = this.#containers.get(container);
    if (stored === undefined) throw new FilestoreError('not-found', `container ${container} does not exist`);
    return stored;
  }

  #alive(container: string, name: string): StoredObject | undefined {
    const stored = this.#containers.get(container)?.objects.get(name);
    return stored?.deleteAtMs !== undefined && stored.deleteAtMs <= this.#clock.nowMs() ? undefined : stored;
  }

  #stored(bytes: Buffer, metadata: Metadata): StoredObject {
    return { bytes, md5: createHash('md5').update(bytes).digest('hex'), lastModifiedMs: this.#clock.nowMs(), metadata };
  }

  #listed(container: string, name: string): ListedObject {
    const stored = this.#containers.get(container)?.objects.get(name);
    return { name, sizeBytes: stored?.bytes.length ?? 0, lastModifiedMs: stored?.lastModifiedMs ?? 0 };
  }
}

/** What a listing of one level shows of a name. */
function levelOf(name: string, prefix: string): string {
  const slash = name.indexOf('/', prefix.length);
  return slash < 0 ? name : name.slice(0, slash + 1);
}

/** Swift lists names in the order of their UTF-8 bytes. */
function byUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
