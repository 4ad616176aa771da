/**
 * Faults on demand for a store in memory, and a list of what was asked of it.
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
import type { Clock } from '../../src/base/clock.js';
import { FilestoreError, type ErrorKind } from '../../src/base/errors.js';
import type { RequestOptions } from '../../src/store/object-store.js';

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

export class StoreFaults {
  down = false;
  /** Called with each request before it is carried out; what it throws, the call throws. */
  before: ((request: StoreRequest) => Promise<void> | void) | undefined;
  readonly requests: StoreRequest[] = [];
  readonly #clock: Clock;
  readonly #failures = new Map<StoreMethod | 'body', FilestoreError[]>();
  readonly #losses = new Map<StoreMethod, number>();
  readonly #startedMs = new Set<{ readonly atMs: number }>();
  #paused: { readonly promise: Promise<void>; readonly resume: () => void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
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

  /** For how long the oldest request has been under way. */
  get stalledMs(): number {
    const nowMs = this.#clock.nowMs();
    return this.#startedMs.size === 0 ? 0 : Math.min(...[...this.#startedMs].map(({ atMs }) => nowMs - atMs));
  }

  /** @param work carries the request out */
  protected async carry<T>(request: StoreRequest, options: RequestOptions, work: () => T | Promise<T>): Promise<T> {
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

  protected nextBodyFailure(): FilestoreError | undefined {
    return this.#failures.get('body')?.shift();
  }
}

function describe({ method, container, name }: StoreRequest): string {
  return `${method} ${container}/${name}`;
}

function promiseWithResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((r) => (resolve = r));
  return { promise, resolve };
}
