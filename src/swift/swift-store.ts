/**
 * The Swift client: the object port over HTTP. One store a mount; all its databases share its login, its connections, its limit and
 * its circuit breaker.
 *
 *   swift-store ─► objects/, containers ─► requests/requester ─► login/session-keeper
 *                                               └► requests/sender ─► requests/wire ─► undici
 */
import { SYSTEM_CLOCK, type Clock } from '../base/clock.js';
import { FilestoreError, kindOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { contentSha1, pathOfObject } from '../base/names.js';
import { PriorityLimiter } from '../base/priority-limiter.js';
import type {
  ContainerInfo,
  CopyOptions,
  DeleteManyResult,
  FindOptions,
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
} from '../store/object-store.js';
import { Capabilities, type SwiftInfo } from './capabilities.js';
import { ContainerHeads, notTrue } from './container-heads.js';
import { createContainer, deleteContainer, updateContainer } from './containers.js';
import { checkHeaderSettings } from './login/header-settings.js';
import { login } from './login/login.js';
import { patientSession, type PatientParts } from './login/patient-session.js';
import { SessionKeeper } from './login/session-keeper.js';
import { accountOf, type LoginReport } from './login/session.js';
import { unusedSettings } from './login/unused-settings.js';
import { copyObject } from './objects/copy-object.js';
import { deleteMany, deleteObject, type DeleteParts } from './objects/delete-objects.js';
import { getObject, headObject } from './objects/get-object.js';
import { SEGMENTS_MARK, segmentsContainer } from './objects/large-object.js';
import { LargeObjects, type ObjectAt, type RangedBody } from './objects/large-objects.js';
import { listContainerNames, listObjects } from './objects/listing.js';
import { putObject, putUnhashed, type UnhashedBody } from './objects/put-object.js';
import { answered } from './objects/refusals.js';
import { SegmentsKnown } from './objects/segments-known.js';
import { updateMetadata } from './objects/update-metadata.js';
import { writeRefusal } from './objects/write-probe.js';
import { createAgent, type Connections } from './requests/agent.js';
import type { BreakerState } from './requests/circuit-breaker.js';
import { isTraced } from './requests/own-answer.js';
import { Requester } from './requests/requester.js';
import { RunningRequests } from './requests/running-requests.js';
import { ServerClock } from './requests/server-clock.js';
import type { SwiftSettings } from './swift-settings.js';

/** From here on /info is asked before a PUT, so that gigabytes are not sent in vain; below, a 413 says it soon enough. */
const ASK_LIMIT_FROM_BYTES = 512 * 2 ** 20;

interface ConnectionHealth {
  /** Of the circuit breaker. */
  readonly state: BreakerState;
  /** Undefined while all is well. */
  readonly lastError: string | undefined;
  /** When the state began, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

export interface SwiftStore extends ObjectStore {
  /**
   * PUT of bytes that are read once and hashed on their way.
   * @returns their MD5, which is that of what was stored; undefined when this Swift does not take so many bytes in one object: use `put`
   */
  putUnhashed(container: string, name: string, body: UnhashedBody, options?: PutOptions): Promise<string | undefined>;
  /** Of a large object; `segment_size`. */
  readonly segmentBytes: number;
  /**
   * PUT as a large object, whatever its size: segments of `segment_size` that are read once and sent several at once.
   * @throws FilestoreError too-large where this Swift has no static large objects
   */
  putInSegments(container: string, name: string, body: RangedBody, options?: PutOptions): Promise<void>;
  /** Logs in, or uses the login there is, and says what it is. @throws FilestoreError bad-credentials, bad-config, unavailable */
  login(): Promise<LoginReport>;
  /** Asked without changing anything. @returns why the user may not write in a container; undefined when it may */
  writeRefusal(container: string, options?: RequestOptions): Promise<string | undefined>;
  /** What /info says; never throws (the least is assumed). */
  info(): Promise<SwiftInfo>;
  /** HTTP requests sent to Swift so far, by method. Logins and /info are not among them. */
  readonly requestCounts: Readonly<Record<string, number>>;
  readonly health: ConnectionHealth;
}

interface SwiftStoreOptions {
  readonly log: Log;
  /** Name and version, e.g. `odoo-swiftfs/0.1.0`. */
  readonly userAgent: string;
  readonly clock?: Clock;
}

/** @throws FilestoreError bad-config, bad-credentials for certificates that cannot serve and for values that fit into no HTTP header */
export function createSwiftStore(settings: SwiftSettings, options: SwiftStoreOptions): SwiftStore {
  return new UndiciSwiftStore(settings, options);
}

class UndiciSwiftStore implements SwiftStore {
  readonly #settings: SwiftSettings;
  readonly #dispatcher: Connections;
  readonly #sessions: SessionKeeper;
  readonly #patience: PatientParts;
  readonly #requester: Requester;
  readonly #running: RunningRequests;
  readonly #serverClock: ServerClock;
  readonly #capabilities: Capabilities;
  readonly #heads: ContainerHeads;
  readonly #known: SegmentsKnown;
  readonly #large: LargeObjects;

  constructor(settings: SwiftSettings, { log, userAgent, clock = SYSTEM_CLOCK }: SwiftStoreOptions) {
    checkHeaderSettings(settings);
    this.#settings = settings;
    if (settings.insecure) log.warn('certificates-not-checked', { remedy: 'set ca_file and remove insecure' });
    const unused = unusedSettings(settings);
    if (unused.length > 0) {
      const remedy =
        'a v1 login has no regions and no projects: auth_url and username alone say which account it is; take these options away';
      log.warn('login-options-unused', { options: unused.join(' '), remedy });
    }
    const dispatcher = createAgent(settings, log);
    this.#dispatcher = dispatcher;
    const context = { dispatcher, clock, userAgent, timeoutMs: settings.headersTimeoutMs };
    this.#sessions = new SessionKeeper((lastUrl) => login({ ...context, lastUrl }, settings), clock, log);
    this.#patience = { sessions: this.#sessions, clock, log, requestTimeoutMs: settings.requestTimeoutMs };
    this.#running = new RunningRequests(clock);
    this.#serverClock = new ServerClock(log);
    this.#requester = new Requester({
      dispatcher,
      sessions: this.#sessions,
      limiter: new PriorityLimiter(settings.connections),
      running: this.#running,
      serverClock: this.#serverClock,
      clock,
      settings,
      userAgent,
    });
    this.#capabilities = new Capabilities(dispatcher, clock, userAgent, async () => (await this.#sessions.session()).storageUrl);
    this.#heads = new ContainerHeads(this.#requester, this.#capabilities, clock);
    this.#known = new SegmentsKnown(this.#requester, this.#heads, clock);
    this.#large = new LargeObjects({
      requester: this.#requester,
      capabilities: this.#capabilities,
      heads: this.#heads,
      known: this.#known,
      clock,
      segmentBytes: settings.segmentBytes,
      connections: settings.connections,
    });
  }

  put(container: string, name: string, body: ObjectBody, options: PutOptions = {}): Promise<void> {
    return this.#heads.unlessThere(container, options, () => this.#put(container, name, body, options));
  }

  async #put(container: string, name: string, body: ObjectBody, options: PutOptions): Promise<void> {
    const large = body.sizeBytes >= ASK_LIMIT_FROM_BYTES && body.sizeBytes > (await this.#capabilities.info()).maxFileBytes;
    const replaced = large ? [] : await this.#segmentsReplaced(container, name, options);
    const outcome = large ? undefined : await putObject(this.#requester, container, name, body, options);
    if (outcome?.stored === true) return this.#large.remove(replaced);
    if (outcome !== undefined) await this.#assertSegmentsSmaller(body.sizeBytes, outcome.refusal ?? '');
    await this.#large.put(container, name, body, options);
  }

  /** @throws FilestoreError too-large where one segment would be as large as the body that was refused */
  async #assertSegmentsSmaller(sizeBytes: number, refusal: string): Promise<void> {
    const { maxFileBytes } = await this.#capabilities.info();
    if (sizeBytes > Math.min(this.#settings.segmentBytes, maxFileBytes)) return;
    const limits = `Swift, or what stands before it (nginx: client_max_body_size), takes no ${sizeBytes} bytes at once`;
    throw new FilestoreError('too-large', `${refusal}: ${limits}; raise that limit, or set segment_size below it`);
  }

  async putUnhashed(container: string, name: string, body: UnhashedBody, options: PutOptions = {}): Promise<string | undefined> {
    if (body.sizeBytes >= ASK_LIMIT_FROM_BYTES && body.sizeBytes > (await this.#capabilities.info()).maxFileBytes) return undefined;
    const replaced = await this.#segmentsReplaced(container, name, options);
    const put = (): Promise<string | undefined> => putUnhashed(this.#requester, container, name, body, options);
    const md5 = await this.#heads.unlessThere(container, options, put);
    if (md5 !== undefined) await this.#large.remove(replaced);
    return md5;
  }

  putInSegments(container: string, name: string, body: RangedBody, options: PutOptions = {}): Promise<void> {
    return this.#heads.unlessThere(container, options, () => this.#large.putUnhashed(container, name, body, options));
  }

  get(container: string, name: string, options: GetOptions = {}): Promise<ObjectRead | undefined> {
    return this.#heads.unlessElsewhere(container, options, () => getObject(this.#requester, container, name, options));
  }

  head(container: string, name: string, options: FindOptions = {}): Promise<ObjectInfo | undefined> {
    const onLarge = (): void => this.#known.noteMade(container);
    return this.#heads.unlessElsewhere(container, options, () => headObject(this.#requester, container, name, options, onLarge));
  }

  async updateMetadata(container: string, name: string, metadata: Metadata, options: RequestOptions = {}): Promise<boolean> {
    const update = async (): Promise<true | undefined> =>
      (await updateMetadata(this.#requester, this.#heads, container, name, metadata, options)) || undefined;
    return (await this.#heads.unlessElsewhere(container, options, update)) === true;
  }

  async copy(container: string, name: string, toContainer: string, toName: string, options: CopyOptions = {}): Promise<boolean> {
    const replaced = await this.#segmentsReplaced(toContainer, toName, options);
    const copy = async (): Promise<'copied' | 'too-large' | undefined> => {
      const outcome = await copyObject(this.#requester, container, name, toContainer, toName, options);
      return outcome === 'missing' ? undefined : outcome;
    };
    const copyFound = (): ReturnType<typeof copy> => this.#heads.unlessElsewhere(container, options, copy);
    const done = await this.#heads.unlessThere(toContainer, options, copyFound);
    if (done === 'too-large') return this.#large.copy(container, name, toContainer, toName, options);
    if (done === 'copied') await this.#large.remove(replaced);
    return done === 'copied';
  }

  delete(container: string, name: string, options: RequestOptions = {}): Promise<boolean> {
    return deleteObject(this.#deleteParts, container, name, options);
  }

  deleteMany(container: string, names: readonly string[], options: RequestOptions = {}): Promise<DeleteManyResult> {
    return deleteMany(this.#deleteParts, container, names, options);
  }

  list(container: string, options: ListOptions = {}): AsyncIterable<readonly ListedObject[]> {
    return listObjects(this.#deleteParts, container, options, () => this.#known.noteMade(container));
  }

  headContainer(container: string, options: RequestOptions = {}): Promise<ContainerInfo | undefined> {
    return this.#heads.head(container, options);
  }

  async createContainer(container: string, metadata: Metadata = {}, options: RequestOptions = {}): Promise<'created' | 'existed'> {
    const { storagePolicy } = this.#settings;
    const outcome = await createContainer(this.#requester, this.#capabilities, container, { storagePolicy, metadata }, options);
    if (outcome === 'created') this.#heads.noteMade(container);
    return outcome;
  }

  updateContainer(container: string, metadata: Metadata, options: RequestOptions = {}): Promise<void> {
    return this.#heads.unlessThere(container, options, () => updateContainer(this.#requester, container, metadata, options));
  }

  async deleteContainer(container: string, options: RequestOptions = {}): Promise<boolean> {
    // Listed before it goes: from then on somebody may make it anew, and have segments there that are in use.
    this.#known.noteGone(container);
    const left = (await this.#known.has(container, options)) ? await this.#segmentsLeft(container, options) : undefined;
    const deleted = await deleteContainer(this.#requester, container, options);
    if (!deleted && (await this.#heads.head(container, options)) !== undefined)
      throw notTrue(`DELETE of container ${container} said that it is missing`);
    if (left !== undefined) await this.#deleteSegments(container, left, options);
    return deleted;
  }

  listContainers(prefix: string, options: RequestOptions = {}): AsyncIterable<readonly string[]> {
    return listContainerNames(this.#requester, prefix, options);
  }

  async account(options: RequestOptions = {}): Promise<string> {
    const account = accountOf(await patientSession(this.#patience, options));
    // Asked behind it, so that the first name that is not there need not wait for what it says.
    void this.#capabilities.info();
    return account;
  }

  confirmAccount(account: string): void {
    this.#sessions.confirmAccount(account);
  }

  doubtAccount(account: string): void {
    this.#sessions.doubtAccount(account);
  }

  async probe(options: RequestOptions = {}): Promise<void> {
    const timeoutMs = options.timeoutMs ?? this.#settings.headersTimeoutMs;
    // Even a refusal says that Swift is there. 5xx is Swift's only with a transaction id; a balancer in front answers without.
    const answer = await this.#requester.call({
      method: 'HEAD',
      path: '',
      accept: [403, 404, 429, 498, 500, 503, 507],
      options: { ...options, timeoutMs },
      once: true,
      probe: true,
    });
    if (answer.status >= 500 && !isTraced(answer.headers)) {
      throw new FilestoreError('unavailable', `${answered(answer)}, and not by Swift itself`);
    }
  }

  get stalledMs(): number {
    return this.#running.stalledMs;
  }

  get segmentBytes(): number {
    return this.#settings.segmentBytes;
  }

  get clockAheadMs(): number {
    return this.#serverClock.aheadMs;
  }

  get requestCounts(): Readonly<Record<string, number>> {
    return this.#running.counts;
  }

  get health(): ConnectionHealth {
    const { breaker } = this.#requester;
    return { state: breaker.state, lastError: breaker.lastError ?? this.#sessions.lastError, sinceMs: breaker.sinceMs };
  }

  async login(): Promise<LoginReport> {
    return (await patientSession(this.#patience, {})).report;
  }

  writeRefusal(container: string, options: RequestOptions = {}): Promise<string | undefined> {
    return writeRefusal(this.#requester, container, options);
  }

  info(): Promise<SwiftInfo> {
    return this.#capabilities.info();
  }

  /** Running requests are broken off. */
  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  get #deleteParts(): DeleteParts {
    return { requester: this.#requester, capabilities: this.#capabilities, heads: this.#heads, known: this.#known };
  }

  /** Segments of a large object that is about to be replaced. Under a content name there are only ever the same bytes: no question. */
  async #segmentsReplaced(container: string, name: string, options: RequestOptions): Promise<readonly ObjectAt[]> {
    if (contentSha1(pathOfObject(name)) !== undefined) return [];
    const { priority = 'write', signal, timeoutMs, tries } = options;
    const asked = { priority, ...(signal && { signal }), ...(timeoutMs !== undefined && { timeoutMs }), ...(tries && { tries }) };
    return this.#large.segmentsAt(container, name, asked);
  }

  /**
   * What is left in our own segments container, once the container is gone, belongs to nobody. One that does not bear our mark stays:
   * it may be another tool's, or the container of a database that is named so.
   */
  async #segmentsLeft(container: string, options: RequestOptions): Promise<readonly string[] | undefined> {
    const segments = segmentsContainer(container);
    const info = await this.#heads.head(segments, options);
    if (info?.metadata[SEGMENTS_MARK] !== 'true') return undefined;
    const names: string[] = [];
    for await (const page of listObjects(this.#deleteParts, segments, options)) names.push(...page.map(({ name }) => name));
    return names;
  }

  async #deleteSegments(container: string, names: readonly string[], options: RequestOptions): Promise<void> {
    const segments = segmentsContainer(container);
    await deleteMany(this.#deleteParts, segments, names, options);
    try {
      await deleteContainer(this.#requester, segments, options);
    } catch (error) {
      // Somebody has made the container anew and stored a large object: it goes with that one.
      if (kindOf(error) !== 'not-empty') throw error;
    }
    this.#known.noteGone(container);
  }
}
