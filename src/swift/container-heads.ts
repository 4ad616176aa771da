/**
 * Whether a container is there, and whether an object is missing in it. A container's 404 alone does not say so: Swift's proxy asks the account first, and where the account's servers do not answer, and
 * its memory of that account (60 s) is over, it calls every container missing, for whatever is asked of it but a GET or HEAD of an object
 * (`account_info` and `get_container_info` in swift/proxy/controllers/base.py, seen in 2.30). So the account is asked as well, and has to answer.
 *
 * A GET or HEAD of an object goes to the servers of its container's storage policy. Where the proxy calls the container missing, it asks those
 * of policy 0 (`GETorHEAD` in controllers/obj.py), and they say 404 of what the others have. So where Swift has several policies, a 404 counts only while
 * the proxy remembers the container, because that has answered a moment ago.
 */
import type { Clock } from '../base/clock.js';
import { kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { ContainerInfo, RequestOptions } from '../store/object-store.js';
import type { Capabilities } from './capabilities.js';
import { isContainerListed } from './objects/listing.js';
import { metadataOf } from './objects/metadata-headers.js';
import { containerPath } from './objects/paths.js';
import { answered } from './objects/refusals.js';
import type { Answer } from './requests/call.js';
import type { Requester } from './requests/requester.js';
import { header } from './requests/wire.js';

/** An account may list for a while what was removed while its servers were away; an updater mends that. Past this the container itself is believed. */
const LISTED_IN_VAIN_MS = 60_000;
/** Half as long as Swift's proxies remember a container (`recheck_container_existence`). */
const REMEMBERED_MS = 30_000;

interface ListedInVain {
  readonly sinceMs: number;
  readonly lastMs: number;
}

export class ContainerHeads {
  readonly #requester: Requester;
  readonly #clock: Clock;
  readonly #capabilities: Pick<Capabilities, 'info'>;
  /** Containers that their account lists and that say themselves that they are not there. */
  readonly #listedInVain = new Map<string, ListedInVain>();
  /** When the question set out that a container last answered. */
  readonly #answeredMs = new Map<string, number>();

  constructor(requester: Requester, capabilities: Pick<Capabilities, 'info'>, clock: Clock) {
    this.#requester = requester;
    this.#capabilities = capabilities;
    this.#clock = clock;
  }

  /**
   * A container that is missing costs three requests.
   * @returns undefined when it is not there
   * @throws StoreAnswered while Swift says both; FilestoreError unavailable when the account cannot be asked
   */
  async head(container: string, options: RequestOptions): Promise<ContainerInfo | undefined> {
    const call = { method: 'HEAD', path: containerPath(container), accept: [404], options } as const;
    let askedMs = this.#clock.nowMs();
    let answer = await this.#requester.call(call);
    if (answer.status === 404) {
      const isListed = await isContainerListed(this.#requester, container, options);
      // Now the proxy remembers the account, or its servers answer.
      askedMs = this.#clock.nowMs();
      answer = await this.#requester.call(call);
      if (answer.status === 404) {
        this.#answeredMs.delete(container);
        if (isListed) this.#assertListedInVain(container, answer);
        else this.#listedInVain.delete(container);
        return undefined;
      }
    }
    this.#listedInVain.delete(container);
    this.#answeredMs.set(container, askedMs);
    return infoOf(answer);
  }

  /**
   * Runs what finds an object, or does not: once more where Swift may have looked for it in the wrong policy.
   * @param find resolves with undefined where it is not there
   * @throws what `find` and {@link head} throw
   */
  async unlessElsewhere<T>(container: string, options: RequestOptions, find: () => Promise<T | undefined>): Promise<T | undefined> {
    const remembered = this.#clock.nowMs() - (this.#answeredMs.get(container) ?? -Infinity) < REMEMBERED_MS;
    const found = await find();
    if (found !== undefined || remembered || (await this.#capabilities.info()).storagePolicies.length < 2) return found;
    return (await this.head(container, options)) === undefined ? undefined : find();
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

  #assertListedInVain(container: string, answer: Answer): void {
    const nowMs = this.#clock.nowMs();
    const before = this.#listedInVain.get(container);
    const sinceMs = before === undefined || nowMs - before.lastMs >= LISTED_IN_VAIN_MS ? nowMs : before.sinceMs;
    this.#listedInVain.set(container, { sinceMs, lastMs: nowMs });
    if (nowMs - sinceMs < LISTED_IN_VAIN_MS) throw notTrue(answered(answer));
  }
}

/** @param saying what said that the container is missing */
export function notTrue(saying: string, cause?: unknown): StoreAnswered {
  const why = `${saying}; but its account lists it, or it was there right after that: Swift's account servers may be away`;
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
