/** What the objects of a database have beside their bytes. */
import type { FileDigest } from '../base/file-digest.js';
import { contentSha1 } from '../base/names.js';
import type { Metadata, ObjectInfo } from '../store/object-store.js';
import type { Database } from './database.js';

const NODE_KEY = 'node';

/**
 * What we store beside the bytes: the SHA-1 (checks an SLO, whose ETag is no MD5), the MD5 for the same reason; of other files the mtime, and which
 * machine closed them.
 */
export function metadataOf(db: Database, path: string, digest: Pick<FileDigest, 'sha1' | 'md5'>, mtimeMs: number): Metadata {
  const sums = { sha1: digest.sha1, md5: digest.md5 };
  return contentSha1(path) === undefined ? { ...sums, mtime: String(Math.round(mtimeMs)), ...closedHere(db) } : sums;
}

/** For what gets its name without being closed: a rename is the last word on its target, as a close is. */
export function closedHere({ nodeId }: Database): Metadata {
  return { [NODE_KEY]: nodeId };
}

/** Whether this machine put it there, or renamed it to there. */
export function isClosedHere({ nodeId }: Database, { metadata }: Pick<ObjectInfo, 'metadata'>): boolean {
  return metadata[NODE_KEY] === nodeId;
}
