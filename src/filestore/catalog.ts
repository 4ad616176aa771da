/**
 * What we know to be in a container: names, sizes and how fresh that knowledge is. It never knows that something is absent.
 * Blobs (`xx/SHA`) live in 256 compact tables; the few other files in a map with an index of their directories.
 */
import { contentSha1, joinPath, splitPath } from '../base/names.js';
import { isFileInSwift } from './path-kind.js';
import { ShardTable } from './shard-table.js';

/** An object that is not a canonical blob. */
export interface KnownObject {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** MD5 of the bytes (hex) where we know it: the cache's key. */
  readonly md5: string | undefined;
  readonly checkedAtMs: number;
  /** When a listing last showed it, where that is later: it is there, but its mtime and MD5 are to be asked for. */
  readonly seenAtMs?: number;
}

/** @returns the shard (two hex digits) of a canonical blob name `xx/SHA`, else undefined */
export function shardOfBlobPath(path: string): string | undefined {
  return path.length === BLOB_PATH_LENGTH && contentSha1(path) !== undefined ? path.slice(0, 2) : undefined;
}
const BLOB_PATH_LENGTH = 2 + 1 + 40;
const SHARD = /^[0-9a-f]{2}$/;
const SHARD_NAMES = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'));

export function isShardName(name: string): boolean {
  return name.length === 2 && SHARD.test(name);
}

export class Catalog {
  readonly #shards = new Map<string, ShardTable>();
  readonly #others = new Map<string, KnownObject>();
  /** Directory to the names in it, of `#others` and their directories. */
  readonly #children = new Map<string, Map<string, 'file' | 'directory'>>();
  #blobs = 0;
  /** When the blob that {@link blobSize} was last asked for was checked, ms since the epoch. */
  foundCheckedAtMs = 0;
  /** What an earlier life left, and nobody has checked since, was true then; ms since the epoch. */
  loadedAtMs = 0;
  /** When a listing of the whole container was last complete, ms since the epoch; 0 for never. */
  completeAtMs = 0;
  /** The same for a listing of what lies directly in the container: its files, and which directories there are. */
  topListedAtMs = 0;

  get count(): number {
    return this.#blobs + this.#others.size;
  }

  shard(shard: string): ShardTable {
    let table = this.#shards.get(shard);
    if (table === undefined) this.#shards.set(shard, (table = new ShardTable()));
    return table;
  }

  /** Size of a canonical blob checked at `sinceMs` or later, else -1. */
  blobSize(shard: string, path: string, sinceMs: number): number {
    const table = this.#shards.get(shard);
    const sizeBytes = table === undefined ? -1 : table.sizeIfChecked(path.slice(3), Math.ceil(sinceMs / 1000));
    this.foundCheckedAtMs = (table?.foundCheckedAtS ?? 0) * 1000;
    return sizeBytes;
  }

  /** Size of a path however old the knowledge, else undefined. */
  sizeOf(path: string): number | undefined {
    const shard = shardOfBlobPath(path);
    return shard === undefined ? this.#others.get(path)?.sizeBytes : this.#shards.get(shard)?.get(path.slice(3))?.sizeBytes;
  }

  other(path: string): KnownObject | undefined {
    return this.#others.get(path);
  }

  setBlob(shard: string, path: string, sizeBytes: number, checkedAtMs: number): void {
    const table = this.shard(shard);
    const before = table.count;
    table.set(path.slice(3), sizeBytes, Math.floor(checkedAtMs / 1000));
    this.#blobs += table.count - before;
  }

  /** Makes room for this many blobs, evenly spread as hashes are. */
  reserve(blobs: number): void {
    if (blobs > 256 * 64) for (const shard of SHARD_NAMES) this.shard(shard).reserve(blobs / 256);
  }

  /** A blob by the bytes of its SHA-1, unchecked. */
  loadBlob(bytes: Uint8Array, at: number, sizeBytes: number): void {
    const table = this.shard(SHARD_NAMES[bytes[at] ?? 0] ?? '');
    const before = table.count;
    table.setBytes(bytes, at, sizeBytes);
    this.#blobs += table.count - before;
  }

  /** Does nothing for an object that is no file of the database. */
  setOther(path: string, known: KnownObject): void {
    if (!isFileInSwift(path)) return;
    this.#others.set(path, known);
    this.#index(path, 'file');
  }

  delete(path: string): void {
    const shard = shardOfBlobPath(path);
    if (shard !== undefined) {
      if (this.#shards.get(shard)?.delete(path.slice(3)) === true) this.#blobs--;
      return;
    }
    if (this.#others.delete(path)) this.#unindex(path);
  }

  /** What {@link sweep} would forget. The catalog must not be changed while this runs. */
  *checkedBefore(beforeMs: number): Generator<string> {
    const sparesUnchecked = beforeMs <= this.loadedAtMs;
    for (const [shard, table] of this.#shards)
      for (const sha1 of table.checkedBefore(Math.floor(beforeMs / 1000), sparesUnchecked)) yield joinPath(shard, sha1);
    for (const [path, known] of this.#others) if (this.#isBefore(known, beforeMs)) yield path;
  }

  /** Forgets what was checked before `beforeMs`: after a complete listing these are the names it did not show. */
  sweep(beforeMs: number): void {
    const sparesUnchecked = beforeMs <= this.loadedAtMs;
    for (const table of this.#shards.values()) this.#blobs -= table.sweep(Math.floor(beforeMs / 1000), sparesUnchecked);
    for (const [path, known] of [...this.#others]) if (this.#isBefore(known, beforeMs)) this.delete(path);
  }

  sweepShard(shard: string, beforeMs: number): void {
    this.#blobs -= this.shard(shard).sweep(Math.floor(beforeMs / 1000), beforeMs <= this.loadedAtMs);
    for (const name of [...(this.#children.get(shard)?.keys() ?? [])]) {
      const path = joinPath(shard, name);
      const known = this.#others.get(path);
      if (known !== undefined && this.#isBefore(known, beforeMs)) this.delete(path);
    }
  }

  #isBefore({ checkedAtMs, seenAtMs = 0 }: KnownObject, beforeMs: number): boolean {
    const seenMs = Math.max(checkedAtMs, seenAtMs);
    return (seenMs === 0 ? this.loadedAtMs : seenMs) < beforeMs;
  }

  /** Whether anything is known at or below a directory. */
  hasBelow(directory: string): boolean {
    return (this.#shards.get(directory)?.count ?? 0) > 0 || (this.#children.get(directory)?.size ?? 0) > 0;
  }

  /** Calls `each` for every name directly in a directory, with the size of a blob and when that was checked, in ms since the epoch. */
  forEachIn(
    directory: string,
    each: (name: string, kind: 'file' | 'directory', blobSizeBytes: number | undefined, checkedAtMs: number) => void,
  ): void {
    if (directory === '') for (const [shard, table] of this.#shards) if (table.count > 0) each(shard, 'directory', undefined, 0);
    const table = this.#shards.get(directory);
    if (table !== undefined) for (const entry of table.entries()) each(entry.sha1, 'file', entry.sizeBytes, entry.checkedAtS * 1000);
    for (const [name, kind] of this.#children.get(directory) ?? []) each(name, kind, undefined, 0);
  }

  shards(): Iterable<ShardTable> {
    return this.#shards.values();
  }

  *blobs(): Generator<{ readonly sha1: string; readonly sizeBytes: number; readonly checkedAtS: number }> {
    for (const table of this.#shards.values()) yield* table.entries();
  }

  /** Blobs of an earlier life that nobody has checked or seen since. */
  *unchecked(): Generator<string> {
    for (const [shard, table] of this.#shards) for (const sha1 of table.unchecked()) yield joinPath(shard, sha1);
  }

  others(): ReadonlyMap<string, KnownObject> {
    return this.#others;
  }

  #index(path: string, kind: 'file' | 'directory'): void {
    const { directory, name } = splitPath(path);
    let names = this.#children.get(directory);
    if (names === undefined) {
      this.#children.set(directory, (names = new Map<string, 'file' | 'directory'>()));
      if (directory !== '') this.#index(directory, 'directory');
    }
    names.set(name, kind);
  }

  #unindex(path: string): void {
    const { directory, name } = splitPath(path);
    const names = this.#children.get(directory);
    if (names === undefined) return;
    names.delete(name);
    if (names.size > 0) return;
    this.#children.delete(directory);
    if (directory !== '' && !this.#others.has(directory)) this.#unindex(directory);
  }
}
