/**
 * The port of the cache: whole verified objects on this machine's disk, under `CACHE_DIR/v1/`. A key says what the bytes must hash to,
 * so nothing in the cache can be wrong without being noticed: `sha1-HEX` for a content-named blob, `md5-HEX` for another object (its
 * ETag). Blobs are shared by all databases.
 *
 * INVARIANT: a descriptor handed out belongs to bytes that hashed to their key, in this life of the daemon, and whose size, mtime, ctime and inode
 * are still what they were then. A copy that no longer does is put in `quarantine/` and filled again.
 */
import type { Readable } from 'node:stream';
import type { Fingerprint } from './fingerprint.js';

export type CacheKey = `sha1-${string}` | `md5-${string}`;

/** A cached object, pinned until `close`. Descriptors are shared and counted: opening again costs no system call while one is open. */
export interface CachedFile {
  readonly fd: number;
  readonly sizeBytes: number;
  close(): void;
}

/** A copy of the cache's, which lies where others can change it: before each read its user asks whether it is still what was verified. */
export interface HeldFile extends CachedFile {
  /** One fstat. After a `false` the copy is held no more: ask `isIntactByHash`, or close this one and `open` again. */
  isIntact(): boolean;
  /** Whether it has only lost its name: then this one is as good as before. Never rejects. */
  isIntactByHash(): Promise<boolean>;
  /** Its disk did not give the bytes: it is intact no more, for nobody, and is not handed out again unless it hashes to its key. */
  reject(): void;
}

/** Where bytes come from. Called again, from the offset reached, when a body breaks off. */
export interface FillSource {
  /** For logs: `swift`, or the origin's path. */
  readonly description: string;
  /** How long it is believed to be: then the file for it is made while the source is being asked. */
  readonly expectedBytes?: number | undefined;
  /**
   * @param wanted fires when somebody begins to wait for it; undefined: somebody does
   * @returns undefined when this source does not have it (it said so)
   */
  open(
    startByte: number,
    signal: AbortSignal,
    wanted?: AbortSignal,
  ): Promise<{ readonly body: Readable; readonly totalBytes: number } | undefined>;
}

/** A download that can be read while it runs. */
export interface Fill {
  /** Known once the source has answered. */
  readonly totalBytes: Promise<number>;
  /** The whole object, verified and pinned. @throws FilestoreError not-found (every source said no), unavailable, corrupt, no-space */
  readonly whole: Promise<HeldFile>;
  /** The whole object's verified bytes, before its file is written, where they are few and were not here already; else undefined: take `whole`. */
  readonly verifiedBytes: Promise<Uint8Array | undefined>;
  /** So many have come, to see whether it moves; begins anew with another source. */
  readonly receivedBytes: number;
  /** Unverified bytes as soon as they are here, for what is above `stream_above` only. Rejects once the end has shown a wrong hash. */
  readPart(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array>;
  /** This reader needs it no more; the last one to leave an unfinished stream lets it end in the background. */
  leave(): void;
}

export interface CacheStatistics {
  readonly files: number;
  readonly bytes: number;
  readonly budgetBytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  readonly quarantined: number;
}

export interface BlobCache {
  /** Synchronous when verified in this life; a promise for the first open after a start (it is hashed); undefined when not here. */
  open(key: CacheKey): HeldFile | undefined | Promise<HeldFile | undefined>;
  /** What `open` would hand out if it was verified in this life; else undefined, which says nothing. Of what is held open without a look at it. */
  openHeld(key: CacheKey): HeldFile | undefined;
  /** Whether the ledger has it; costs no system call. */
  has(key: CacheKey): boolean;
  /**
   * One fill for a key however many ask. The sources are asked in order; a wrong hash from one goes on to the next.
   * @param asker `ahead`: nobody waits for it yet
   */
  fill(key: CacheKey, sources: readonly FillSource[], signal: AbortSignal, asker?: 'ahead'): Fill;
  /**
   * Takes a file in by rename (by copy across file systems).
   * @param verified what it looked like when its bytes were known to hash to the key; where it looks different, or this is not known, it is hashed when it
   *   is opened
   */
  adopt(key: CacheKey, file: string, sizeBytes: number, verified: Fingerprint | undefined): Promise<void>;
  /** Deleted everywhere: the space is freed now (open descriptors go on). */
  forget(key: CacheKey): void;
  readonly statistics: CacheStatistics;
  close(): Promise<void>;
}
