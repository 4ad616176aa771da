/**
 * The object port: what the filestore needs of an object store. One contract suite (test/contract/object-store) runs over every
 * implementation. Object names are text (see `objectNameOf`).
 *
 * INVARIANT: `undefined` and `false` say that the store itself answered "it is not there". Whatever else went wrong is thrown as a
 * FilestoreError: `unavailable` for an outage of any sort, a time-out, or an answer that cannot be believed; `bad-credentials`,
 * `forbidden`, `no-space` (quota, 507), `too-large`, `corrupt` (what was stored is not what was sent), `invalid-name`.
 */
import type { Readable } from 'node:stream';
import type { Priority, Raise } from '../base/priority-limiter.js';

export interface RequestOptions {
  /** Who waits for the answer; the default is `read` for GET and HEAD, `write` for the rest. */
  readonly priority?: Priority;
  /** When somebody begins to wait for it: it goes among those of that priority then, unless it is under way. */
  readonly raise?: Raise;
  readonly signal?: AbortSignal;
  /** The whole time the call may take with all its retries. Default: the store's `request_timeout`. */
  readonly timeoutMs?: number;
  /** Who asks tries again by itself, at longer intervals, and has other work that waits until then. */
  readonly tries?: 'few' | 'many';
}

export interface FindOptions extends RequestOptions {
  /** All servers are asked, and the newest answer counts: one of them may have missed what was stored. Costs more than a question does as a rule. */
  readonly newest?: boolean;
}

/** Metadata of ours on an object or container: keys in lower case, without `X-Object-Meta-`. Values are ASCII. */
export type Metadata = Readonly<Record<string, string>>;

export interface ObjectInfo {
  /** The size a reader sees: of an SLO, that of all its segments. Undefined where the answer came without it. */
  readonly sizeBytes: number | undefined;
  /** MD5 of the bytes as hex; undefined for an SLO or DLO, whose ETag is not the MD5 of the body. */
  readonly md5: string | undefined;
  readonly lastModifiedMs: number;
  readonly metadata: Metadata;
}

export interface SizedInfo extends ObjectInfo {
  readonly sizeBytes: number;
}

export interface ListedObject {
  readonly name: string;
  /** True size, also for an SLO. Undefined where the listing cannot tell (a DLO's manifest): ask HEAD. */
  readonly sizeBytes: number | undefined;
  readonly lastModifiedMs: number;
}

/** Bytes to send. It must be possible to send them twice: a PUT is retried. */
export interface ObjectBody {
  readonly sizeBytes: number;
  /** Known MD5 (hex), checked against Swift's ETag: a PUT that stored something else throws `corrupt` and is undone. */
  readonly md5: string;
  /** A stream of the bytes from `start` (inclusive) to `end` (exclusive); called once an attempt. */
  read(start: number, end: number): Readable | Uint8Array;
}

export interface PutOptions extends RequestOptions {
  readonly metadata?: Metadata;
  readonly contentType?: string;
  /** Called as bytes leave, for who watches for progress. */
  readonly onProgress?: () => void;
}

export interface CopyOptions extends RequestOptions {
  /** The copy's metadata instead of the source's. A time at which the source is to be removed is then not carried along. */
  readonly metadata?: Metadata;
  /** Keys that the copy has beside the source's, or instead of them. Not with `metadata`. */
  readonly addedMetadata?: Metadata;
  /** The store removes the copy by itself after this many seconds; from then on it is absent for everybody. */
  readonly deleteAfterSeconds?: number;
}

export interface GetOptions extends FindOptions {
  /** First byte, and the byte after the last; without it the whole object. */
  readonly range?: { readonly start: number; readonly end: number };
}

export interface ObjectRead {
  readonly info: ObjectInfo;
  /** The bytes of the range. Errors with `unavailable` when the connection breaks or stalls; destroy it to give up. */
  readonly body: Readable;
}

export interface ContainerInfo {
  /** undefined when the answer does not say: then nothing may be concluded from it. */
  readonly objectCount: number | undefined;
  readonly bytesUsed: number;
  readonly metadata: Metadata;
  readonly storagePolicy: string | undefined;
}

export interface ListOptions extends RequestOptions {
  readonly prefix?: string;
  /** Names after this one only. */
  readonly marker?: string;
  /** Names a page; at most 10,000. */
  readonly limit?: number;
  /** Only what lies directly below the prefix. What lies deeper is shown once, as far as its next '/': a name that ends in one, without a size. */
  readonly level?: boolean;
}

/** What a run of many deletes did. A name that was not there counts as deleted. */
export interface DeleteManyResult {
  readonly failed: ReadonlyMap<string, string>;
}

export interface ObjectStore {
  put(container: string, name: string, body: ObjectBody, options?: PutOptions): Promise<void>;
  get(container: string, name: string, options?: GetOptions): Promise<ObjectRead | undefined>;
  head(container: string, name: string, options?: FindOptions): Promise<ObjectInfo | undefined>;
  /** Replaces metadata keys given, keeps the others (Swift's POST would drop them: read first). @returns false when not there. */
  updateMetadata(container: string, name: string, metadata: Metadata, options?: RequestOptions): Promise<boolean>;
  /**
   * Server-side copy. Where its answer is lost, metadata that no other copy to that name was asked to have says that it was done.
   * @returns false when the source is not there
   */
  copy(container: string, name: string, toContainer: string, toName: string, options?: CopyOptions): Promise<boolean>;
  /** An SLO goes with its segments. @returns false when it was not there. */
  delete(container: string, name: string, options?: RequestOptions): Promise<boolean>;
  deleteMany(container: string, names: readonly string[], options?: RequestOptions): Promise<DeleteManyResult>;
  /**
   * Pages of a listing in name order, until an empty page. A hint: presence may be believed, absence never.
   * @throws FilestoreError not-found when the container is missing, which is another answer than an empty one
   */
  list(container: string, options?: ListOptions): AsyncIterable<readonly ListedObject[]>;

  headContainer(container: string, options?: RequestOptions): Promise<ContainerInfo | undefined>;
  /** @returns 'created', or 'existed' when it was there already. */
  createContainer(container: string, metadata?: Metadata, options?: RequestOptions): Promise<'created' | 'existed'>;
  /** Sets the keys given ('' removes one), keeps the others, as Swift's container POST does. */
  updateContainer(container: string, metadata: Metadata, options?: RequestOptions): Promise<void>;
  /** @throws FilestoreError not-empty. @returns false when it was not there. */
  deleteContainer(container: string, options?: RequestOptions): Promise<boolean>;
  /** Names of the account's containers with this prefix, paged until an empty page. */
  listContainers(prefix: string, options?: RequestOptions): AsyncIterable<readonly string[]>;

  /**
   * Which account this is: the same text after each login to it, and another one in another account, where containers of the same names are
   * others. Two regions or clusters may have the same: a container that is missing is not explained by it. Asks for a login at most.
   */
  account(options?: RequestOptions): Promise<string>;
  /**
   * The containers that are served lie in this account, which `account` told: from now on a login to another one is an outage.
   * @throws FilestoreError unavailable when a login has led elsewhere since
   */
  confirmAccount(account: string): void;
  /** This account, which `account` told, is not the one that is served. Unless one was confirmed, the next request logs in anew, at most every few seconds. */
  doubtAccount(account: string): void;
  /** Resolves when the store answers at all: any HTTP answer of Swift to a cheap request with our token. Throws as the others do. */
  probe(options?: RequestOptions): Promise<void>;
  /**
   * Milliseconds for which no running request has had a byte either way; 0 when none runs. What takes the store long by its nature
   * (a copy, a bulk delete, the manifest of a large object) is left out.
   */
  readonly stalledMs: number;
  /**
   * How far the store's clock, by which it says when an object was stored, is ahead of `steadyNowMs`, as its answers show; 0 while the two may agree,
   * and before there was any answer.
   */
  readonly clockAheadMs: number;
  close(): Promise<void>;
}
