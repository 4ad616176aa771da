/**
 * Whether a container is there, and whether an object is missing in it. A container's 404 alone does not say so: Swift's proxy asks the account first, and where the account's servers do not answer, and
 * its memory of that account (60 s) is over, it calls every container missing, for whatever is asked of it but a GET or HEAD of an object
 * (`account_info` and `get_container_info` in swift/proxy/controllers/base.py, seen in 2.30). So the account is asked as well, and has to answer.
 *
 * A GET or HEAD of an object goes to the servers of its container's storage policy. Where the proxy calls the container missing, it asks those
 * of policy 0 (`GETorHEAD` in controllers/obj.py), and they say 404 of what the others have. So where Swift has several policies, or does not say which, a
 * 404 counts only while the proxy remembers the container, because that has answered a moment ago. /info says nothing of a policy that is deprecated: there
 * the container itself says that it is in another one. What remains: neither says that the one policy it names is not policy 0, which is deprecated.
 */
import type { Clock } from '../base/clock.js';
import { kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { ContainerInfo, RequestOptions } from '../store/object-store.js';
import type { Capabilities } from './capabilities.js';
import { isContainerListed } from './objects/listing.js';
import { metadataOf } from './objects/metadata-headers.js';
import { containerPath } from './objects/paths.js';
import type { Answer } from './requests/call.js';
import type { Requester } from './requests/requester.js';
import { header } from './requests/wire.js';

/** So often the account and the container are asked where the one lists what the other denies, as after a removal that the account did not hear of. */
const LOOKS = 3;
const LOOK_PAUSE_MS = 500;
/** So long after a container has answered the proxy is taken to remember it: a POST to the container, by whichever node, ends its memory. */
const REMEMBERED_MS = 1_000;
/** A name that is not there is not to wait for /info, where that hangs. */
const INFO_WAIT_MS = 500;

export class ContainerHeads {
  readonly #requester: Requester;
  readonly #clock: Clock;
  readonly #capabilities: Pick<Capabilities, 'info'>;
  /** When the question set out that a container last answered. */
  readonly #answeredMs = new Map<string, number>();
  /** The storage policy of a container, as it last said; undefined: it is one that is not deprecated. */
  readonly #policies = new Map<string, string | undefined>();

  constructor(requester: Requester, capabilities: Pick<Capabilities, 'info'>, clock: Clock) {
    this.#requester = requester;
    this.#capabilities = capabilities;
    this.#clock = clock;
  }

  /**
   * A container that is missing costs three requests; seven, and a second, where its account lists it.
   * @param missed the 404 that the caller has got for it, which stands for the first of them
   * @returns undefined when it is not there
   * @throws FilestoreError unavailable when the account cannot be asked
   */
  async head(container: string, options: RequestOptions, missed?: Answer): Promise<ContainerInfo | undefined> {
    const startedMs = this.#clock.nowMs();
    // All of it in the time that the one call has.
    const inTime = (): RequestOptions =>
      options.timeoutMs === undefined
        ? options
        : { ...options, timeoutMs: Math.max(1, startedMs + options.timeoutMs - this.#clock.nowMs()) };
    let isListed = false;
    for (let looks = 0; ; looks++) {
      const askedMs = this.#clock.nowMs();
      const ask = (): Promise<Answer> =>
        this.#requester.call({ method: 'HEAD', path: containerPath(container), accept: [404], options: inTime() });
      const answer = looks === 0 && missed !== undefined ? missed : await ask();
      if (answer.status !== 404) {
        const info = infoOf(answer);
        this.#answeredMs.set(container, askedMs);
        this.#policies.set(container, info.storagePolicy);
        return info;
      }
      // From an answer of the account on the proxy remembers it, so that the next 404 is the container's own.
      if (looks > 0 && (!isListed || looks >= LOOKS)) return undefined;
      if (looks > 0) await this.#clock.sleep(LOOK_PAUSE_MS, options.signal);
      isListed = await isContainerListed(this.#requester, container, inTime());
    }
  }

  /** It was made just now: Swift makes none in a policy that is deprecated. */
  noteMade(container: string): void {
    this.#policies.set(container, undefined);
  }

  /**
   * Runs what finds an object, or does not: once more where Swift may have looked for it in the wrong policy.
   * @param find resolves with undefined where it is not there
   * @throws what `find` and {@link head} throw
   */
  async unlessElsewhere<T>(container: string, options: RequestOptions, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const remembered = this.#clock.nowMs() - (this.#answeredMs.get(container) ?? -Infinity) < REMEMBERED_MS;
    const found = await find();
    if (found !== undefined || remembered || (await this.#isInOnlyPolicy(container))) return found;
    return (await this.head(container, options)) === undefined ? undefined : find();
  }

  /** @returns false also while /info does not answer, or the container has not been asked yet */
  async #isInOnlyPolicy(container: string): Promise<boolean> {
    if (!this.#policies.has(container)) return false;
    const late = this.#clock.sleep(INFO_WAIT_MS).then(() => undefined);
    const info = await Promise.race([this.#capabilities.info(), late]);
    const [named, own] = [info?.storagePolicies ?? [], this.#policies.get(container)];
    return named.length === 1 && (own === undefined || own === named[0]);
  }

  /**
   * Runs what may say that the container is missing: once more when that is not true, or is no longer.
   * @throws StoreAnswered when it is said again; else what `work` throws
   */
  async unlessThere<T>(container: string, options: RequestOptions, work: () => Promise<T>): Promise<T> {
    for (let isAgain = false; ; isAgain = true) {
      try {
        return await work();
      } catch (error) {
        if (kindOf(error) !== 'not-found' || (await this.head(container, options)) === undefined) throw error;
        if (isAgain) throw notTrue(messageOf(error), error);
      }
    }
  }
}

/** @param saying what said that the container is missing */
export function notTrue(saying: string, cause?: unknown): StoreAnswered {
  const why = `${saying}; but it was there right after that: Swift's account servers may be away`;
  return new StoreAnswered(why, { cause });
}

function infoOf({ headers }: Answer): ContainerInfo {
  const objectCount = header(headers, 'x-container-object-count');
  return {
    objectCount: objectCount === undefined ? undefined : Number(objectCount),
    bytesUsed: Number(header(headers, 'x-container-bytes-used') ?? 0),
    metadata: metadataOf('container', headers),
    storagePolicy: header(headers, 'x-storage-policy'),
  };
}
