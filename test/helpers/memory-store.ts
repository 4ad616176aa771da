/**
 * The object port in memory, for tests: exact and immediate, with faults on demand.
 *
 *   down = true          every call throws `unavailable` at once (connection refused)
 *   pause() … resume()   calls hang, then go on; a call's signal and timeoutMs are heeded while it hangs
 *   failNext(m, kind, n) the next n calls of the method throw; 'body' breaks the next bodies half way
 *   loseNext(m)          the next call is carried out, then throws `unavailable`: its answer was lost
 *   clearFaults()        what was told and did not happen yet does not happen
 *   before = (r) => …    called with each request before it is carried out; may wait or throw
 *
 * Every call is written to `requests` and counted by method in `counts`.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { SYSTEM_CLOCK, type Clock } from '../../src/base/clock.js';
import { FilestoreError, type ErrorKind } from '../../src/base/errors.js';
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

export type StoreMethod =
  | 'put'
  | 'get'
  | 'head'
  | 'updateMetadata'
  | 'copy'
  | 'delete'
  | 'deleteMany'
  | 'list'
  | 'headContainer'
  | 'createContainer'
  | 'updateContainer'
  | 'deleteContainer'
  | 'listContainers'
  | 'probe';

export interface StoreRequest {
  readonly method: StoreMethod;
  readonly container: string;
  /** Object name; of a copy 'name>toContainer/toName'; '' for a container's requests. */
  readonly name: string;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly md5: string;
  readonly lastModifiedMs: number;
  readonly metadata: Metadata;
  /** Gone from then on, though a listing still shows it, as in Swift without its expirer. */
  readonly deleteAtMs?: number;
}

interface StoredContainer {
  readonly objects: Map<string, StoredObject>;
  metadata: Metadata;
}

const BODY_CHUNK_BYTES = 64 * 1024;

export class MemoryStore implements ObjectStore {
  /** What `account` says. */
  accountName = '/v1/AUTH_memory';
  /** The first that was. */
  confirmedAccount: string | undefined;
  readonly doubtedAccounts = new Set<string>();
  down = false;
  /** That of the test's clock of this store. */
  clockAheadMs = 0;
  /** Called with each request before it is carried out; what it throws, the call throws. */
  before: ((request: StoreRequest) => Promise<void> | void) | undefined;
  readonly requests: StoreRequest[] = [];
  readonly #clock: Clock;
  readonly #pageSize: number;
  readonly #containers = new Map<string, StoredContainer>();
  readonly #failures = new Map<StoreMethod | 'body', FilestoreError[]>();
  readonly #losses = new Map<StoreMethod, number>();
  readonly #startedMs = new Set<{ readonly atMs: number }>();
  #paused: { readonly promise: Promise<void>; readonly resume: () => void } | undefined;

  /** @param options.pageSize names a page of a listing (1,000) */
  constructor(options: { readonly clock?: Clock; readonly pageSize?: number } = {}) {
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#pageSize = options.pageSize ?? 1000;
  }

  /** Calls so far, by method. */
  get counts(): Partial<Record<StoreMethod, number>> {
    const counts: Partial<Record<StoreMethod, number>> = {};
    for (const { method } of this.requests) counts[method] = (counts[method] ?? 0) + 1;
    return counts;
  }

  clearRequests(): void {
    this.requests.length = 0;
  }

  failNext(method: StoreMethod | 'body', kind: ErrorKind = 'unavailable', times = 1): void {
    const queue = this.#failures.get(method) ?? [];
    for (let i = 0; i < times; i++) queue.push(new FilestoreError(kind, `memory store: ${method} fails as told (${kind})`));
    this.#failures.set(method, queue);
  }

  loseNext(method: StoreMethod, times = 1): void {
    this.#losses.set(method, (this.#losses.get(method) ?? 0) + times);
  }

  /** Forgets what `failNext` and `loseNext` have left. */
  clearFaults(): void {
    this.#failures.clear();
    this.#losses.clear();
  }

  pause(): void {
    if (this.#paused !== undefined) return;
    const { promise, resolve } = promiseWithResolver();
    this.#paused = { promise, resume: resolve };
  }

  resume(): void {
    const paused = this.#paused;
    this.#paused = undefined;
    paused?.resume();
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
    return this.#request({ method: 'put', container, name }, options, async () => {
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
    return this.#request({ method: 'get', container, name }, options, () => {
      const stored = this.#alive(container, name);
      if (stored === undefined) return undefined;
      const bytes = options.range === undefined ? stored.bytes : stored.bytes.subarray(options.range.start, options.range.end);
      return { info: infoOf(stored), body: Readable.from(chunks(bytes, this.#failures.get('body')?.shift()), { objectMode: false }) };
    });
  }

  head(container: string, name: string, options: RequestOptions = {}): Promise<ObjectInfo | undefined> {
    return this.#request({ method: 'head', container, name }, options, () => {
      const stored = this.#alive(container, name);
      return stored === undefined ? undefined : infoOf(stored);
    });
  }

  updateMetadata(container: string, name: string, metadata: Metadata, options: RequestOptions = {}): Promise<boolean> {
    return this.#request({ method: 'updateMetadata', container, name }, options, () => {
      const objects = this.#containers.get(container)?.objects;
      const stored = objects?.get(name);
      if (objects === undefined || stored === undefined) return false;
      // As Swift's POST: the object's time becomes that of the POST.
      objects.set(name, { ...stored, metadata: merged(stored.metadata, metadata), lastModifiedMs: this.#clock.nowMs() });
      return true;
    });
  }

  copy(container: string, name: string, toContainer: string, toName: string, options: CopyOptions = {}): Promise<boolean> {
    return this.#request({ method: 'copy', container, name: `${name}>${toContainer}/${toName}` }, options, () => {
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
    return this.#request(
      { method: 'delete', container, name },
      options,
      () => this.#containers.get(container)?.objects.delete(name) ?? false,
    );
  }

  deleteMany(container: string, names: readonly string[], options: RequestOptions = {}): Promise<DeleteManyResult> {
    return this.#request({ method: 'deleteMany', container, name: '' }, options, () => {
      for (const name of names) this.#containers.get(container)?.objects.delete(name);
      return { failed: new Map<string, string>() };
    });
  }

  async *list(container: string, options: ListOptions = {}): AsyncGenerator<readonly ListedObject[]> {
    let marker = options.marker;
    for (;;) {
      const after = marker;
      const page = await this.#request({ method: 'list', container, name: '' }, options, () => {
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
    return this.#request({ method: 'headContainer', container, name: '' }, options, () => {
      const stored = this.#containers.get(container);
      if (stored === undefined) return undefined;
      const bytesUsed = [...stored.objects.values()].reduce((sum, o) => sum + o.bytes.length, 0);
      return { objectCount: stored.objects.size, bytesUsed, metadata: stored.metadata, storagePolicy: undefined };
    });
  }

  createContainer(container: string, metadata: Metadata = {}, options: RequestOptions = {}): Promise<'created' | 'existed'> {
    return this.#request({ method: 'createContainer', container, name: '' }, options, () => {
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
    return this.#request({ method: 'updateContainer', container, name: '' }, options, () => {
      const stored = this.#mustHave(container);
      stored.metadata = merged(stored.metadata, metadata);
    });
  }

  deleteContainer(container: string, options: RequestOptions = {}): Promise<boolean> {
    return this.#request({ method: 'deleteContainer', container, name: '' }, options, () => {
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
      const page = await this.#request({ method: 'listContainers', container: '', name: '' }, options, () =>
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
    return this.#request({ method: 'probe', container: '', name: '' }, options, () => undefined);
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

  get stalledMs(): number {
    const nowMs = this.#clock.nowMs();
    return this.#startedMs.size === 0 ? 0 : Math.min(...[...this.#startedMs].map(({ atMs }) => nowMs - atMs));
  }

  close(): Promise<void> {
    this.resume();
    return Promise.resolve();
  }

  async #request<T>(request: StoreRequest, options: RequestOptions, work: () => T | Promise<T>): Promise<T> {
    this.requests.push(request);
    const running = { atMs: this.#clock.nowMs() };
    this.#startedMs.add(running);
    try {
      await Promise.resolve();
      if (this.down) throw new FilestoreError('unavailable', `${describe(request)}: memory store is down`);
      if (this.#paused !== undefined) await this.#hang(this.#paused.promise, request, options);
      await this.before?.(request);
      if (options.signal?.aborted) throw new FilestoreError('interrupted', `${describe(request)}: given up by the caller`);
      const failure = this.#failures.get(request.method)?.shift();
      if (failure !== undefined) throw failure;
      const answer = await work();
      const losses = this.#losses.get(request.method) ?? 0;
      if (losses > 0) {
        this.#losses.set(request.method, losses - 1);
        throw new FilestoreError('unavailable', `${describe(request)}: carried out, but the answer was lost as told`);
      }
      return answer;
    } finally {
      this.#startedMs.delete(running);
    }
  }

  async #hang(resumed: Promise<void>, request: StoreRequest, { signal, timeoutMs }: RequestOptions): Promise<void> {
    const ended = new AbortController();
    const late = async (): Promise<never> => {
      if (timeoutMs === undefined) return new Promise<never>(() => undefined);
      await this.#clock.sleep(timeoutMs, ended.signal);
      throw new FilestoreError('unavailable', `${describe(request)}: no answer within ${timeoutMs} ms`);
    };
    const aborted = new Promise<never>((_resolve, reject) => {
      const onAbort = (): void => reject(new FilestoreError('interrupted', `${describe(request)}: given up by the caller`));
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true, signal: ended.signal });
    });
    const waiting = late();
    waiting.catch(() => undefined);
    try {
      await Promise.race([resumed, waiting, aborted]);
    } finally {
      ended.abort();
    }
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

function infoOf(stored: StoredObject): ObjectInfo {
  const { bytes, md5, lastModifiedMs, metadata } = stored;
  return { sizeBytes: bytes.length, md5, lastModifiedMs, metadata };
}

function describe({ method, container, name }: StoreRequest): string {
  return `${method} ${container}/${name}`;
}

/** Keys with an empty value go, as Swift has it. */
function merged(before: Metadata, changes: Metadata): Metadata {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== ''));
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

function* chunks(bytes: Buffer, failure: FilestoreError | undefined): Generator<Buffer> {
  const end = failure === undefined ? bytes.length : bytes.length >> 1;
  for (let at = 0; at < end; at += BODY_CHUNK_BYTES) yield bytes.subarray(at, Math.min(end, at + BODY_CHUNK_BYTES));
  if (failure !== undefined) throw failure;
}

async function readAll(source: Readable | Uint8Array, onProgress: (() => void) | undefined): Promise<Buffer> {
  if (source instanceof Uint8Array) {
    onProgress?.();
    return Buffer.from(source);
  }
  const parts: Buffer[] = [];
  for await (const chunk of source) {
    parts.push(Buffer.from(chunk as Uint8Array));
    onProgress?.();
  }
  return Buffer.concat(parts);
}

function promiseWithResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((r) => (resolve = r));
  return { promise, resolve };
}
