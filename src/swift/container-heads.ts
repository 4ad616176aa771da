/**
 * Whether a container is there. Its 404 alone does not say so: Swift's proxy asks the account first, and where the account's servers do not answer, and
 * its memory of that account (60 s) is over, it calls every container missing, for whatever is asked of it but a GET or HEAD of an object
 * (`account_info` and `get_container_info` in swift/proxy/controllers/base.py, seen in 2.30). So the account is asked as well, and has to answer.
 */
import type { Clock } from '../base/clock.js';
import { kindOf, messageOf, StoreAnswered } from '../base/errors.js';
import type { ContainerInfo, RequestOptions } from '../store/object-store.js';
import { isContainerListed } from './objects/listing.js';
import { metadataOf } from './objects/metadata-headers.js';
import { containerPath } from './objects/paths.js';
import { answered } from './objects/refusals.js';
import type { Answer } from './requests/call.js';
import type { Requester } from './requests/requester.js';
import { header } from './requests/wire.js';

/** An account may list for a while what was removed while its servers were away; an updater mends that. Past this the container itself is believed. */
const LISTED_IN_VAIN_MS = 60_000;

export class ContainerHeads {
  readonly #requester: Requester;
  readonly #clock: Clock;
  /** Since when a container is listed by its account and says itself that it is not there. */
  readonly #listedInVainSinceMs = new Map<string, number>();

  constructor(requester: Requester, clock: Clock) {
    this.#requester = requester;
    this.#clock = clock;
  }

  /**
   * A container that is missing costs three requests.
   * @returns undefined when it is not there
   * @throws StoreAnswered while Swift says both; FilestoreError unavailable when the account cannot be asked
   */
  async head(container: string, options: RequestOptions): Promise<ContainerInfo | undefined> {
    const call = { method: 'HEAD', path: containerPath(container), accept: [404], options } as const;
    let answer = await this.#requester.call(call);
    if (answer.status === 404) {
      const isListed = await isContainerListed(this.#requester, container, options);
      // Now the proxy remembers the account, or its servers answer.
      answer = await this.#requester.call(call);
      if (answer.status === 404) {
        if (isListed) this.#assertListedInVain(container, answer);
        else this.#listedInVainSinceMs.delete(container);
        return undefined;
      }
    }
    this.#listedInVainSinceMs.delete(container);
    return infoOf(answer);
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
    const sinceMs = this.#listedInVainSinceMs.get(container) ?? nowMs;
    this.#listedInVainSinceMs.set(container, sinceMs);
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
