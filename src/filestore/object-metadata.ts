/** What the objects of a database have beside their bytes. */
import type { FileDigest } from '../base/file-digest.js';
import { contentSha1 } from '../base/names.js';
import type { Metadata, ObjectInfo } from '../store/object-store.js';
import { storeNowMs } from '../store/store-now.js';
import type { Database } from './database.js';

const NODE_KEY = 'node';
const CLOSED_KEY = 'closed';

/**
 * What we store beside the bytes: the SHA-1 (checks an SLO, whose ETag is no MD5), the MD5 for the same reason; of other files the mtime, and which
 * machine closed them when.
 * @param closedAtMs by the store's clock; absent: now
 */
export function metadataOf(
  db: Database,
  path: string,
  digest: Pick<FileDigest, 'sha1' | 'md5'>,
  mtimeMs: number,
  closedAtMs?: number,
): Metadata {
  const sums = { sha1: digest.sha1, md5: digest.md5 };
  return contentSha1(path) === undefined ? { ...sums, mtime: String(Math.round(mtimeMs)), ...closedHere(db, closedAtMs) } : sums;
}

/** For what gets its name without being closed: a rename is the last word on its target, as a close is. */
export function closedHere({ nodeId, store }: Database, closedAtMs = storeNowMs(store)): Metadata {
  return { [NODE_KEY]: nodeId, [CLOSED_KEY]: String(Math.round(closedAtMs)) };
}

/**
 * Whether this machine closed what is stored there, at the latest then: what has made the object younger since is a POST of ours, or a PUT that came late.
 * @param byMs by the store's clock
 */
export function wasClosedHere({ nodeId }: Database, { metadata }: Pick<ObjectInfo, 'metadata'>, byMs: number): boolean {
  return metadata[NODE_KEY] === nodeId && Number(metadata[CLOSED_KEY]) <= Math.round(byMs);
}

/** For what somebody has brought back: no machine may take it for what it has deleted itself. Merged into an object's metadata. */
export const CLOSED_BY_NOBODY: Metadata = { [NODE_KEY]: '' };

/** The same for an object that is made. */
export function closedByNobody(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== NODE_KEY));
}

/**
 * When another node closed what is stored there, by the store's clock; undefined: it did not, as far as can be told. The object's own time is no
 * evidence of that: a POST moves it (a time that was set), and a close that had to wait is stored later than it happened.
 * @param knownMd5 of what this machine knew there before
 */
export function closedElsewhereMs({ nodeId }: Database, info: ObjectInfo, knownMd5: string | undefined): number | undefined {
  const { metadata, lastModifiedMs, md5 = metadata['md5'] } = info;
  // A PUT or a rename of ours, e.g. one that was tried again.
  if (metadata[NODE_KEY] === nodeId) return undefined;
  const closedAtMs = Number(metadata[CLOSED_KEY]);
  if (closedAtMs > 0) return Math.min(closedAtMs, lastModifiedMs);
  // Another tool's, or of a version that did not say: what was there before may have been given a time since.
  return md5 === knownMd5 ? undefined : lastModifiedMs;
}
