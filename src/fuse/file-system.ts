/**
 * What a driver asks of a file system: inode and handle based, neutral of any transport. Names are byte strings (base/names.ts).
 * A method answers at once or with a promise; it throws (or rejects with) a FilestoreError, which the driver turns into an errno.
 *
 * INVARIANT: every answer of `lookup`, `mkdir`, `mknod`, `create` and every entry of `readdirplus` that reached the kernel counts one
 * lookup of its inode; `forget` takes them back. A driver that could not deliver an answer takes its lookup back at once.
 */
import { andThen, type Answer } from '../base/maybe-promise.js';
import type { ReadResult } from '../base/read-result.js';

export const ROOT_INO = 1;

/** Who asks. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Fires when the client is interrupted (a signal) or the request's deadline passes: stop waiting, throw `interrupted`. */
  readonly signal: AbortSignal;
}

export interface Attributes {
  /** What stat shows; also the node id on the wire. */
  readonly ino: number;
  readonly kind: 'file' | 'directory';
  /** Permission bits only, e.g. 0o644. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export interface AttributesAnswer {
  readonly attributes: Attributes;
  /** How long the kernel may believe the attributes, in ms. */
  readonly attributesValidMs: number;
}

export interface Entry extends AttributesAnswer {
  /** How long the kernel may believe that the name leads here, in ms. */
  readonly entryValidMs: number;
  readonly generation: number;
}

export interface SetAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
  /** Milliseconds since the epoch, or 'now'. */
  readonly atimeMs?: number | 'now';
  readonly mtimeMs?: number | 'now';
}

export interface OpenFlags {
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly truncate: boolean;
  readonly exclusive: boolean;
}

export interface Opened {
  /** The handle; a small positive integer that the file system chooses. */
  readonly handle: number;
  /** The kernel's page cache of an earlier open is still right. */
  readonly keepCache: boolean;
  /** Reads and writes must not go through the page cache (a blob that is still streaming, whose size is not known, or that is being written). */
  readonly directIo: boolean;
  /** close() needs no FLUSH (a read-only handle). */
  readonly noFlush: boolean;
  /** Of a reader: others who open it to read may be given this handle, until `Mounted.endSharing`. */
  readonly isShareable?: boolean;
  /** Of a reader: a local descriptor with the whole file, which the driver may let the kernel read directly. */
  readonly passthroughFd?: number;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  readonly kind: 'file' | 'directory';
  /** Where the entry after this one starts: what the next `readdir` passes as `cookie`. Never 0. */
  readonly nextCookie: number;
}

export interface FileSystemStatistics {
  readonly blockSizeBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly nameMaxBytes: number;
}

export interface FileSystem {
  /** Undefined: the name is not there; the kernel is told ENOENT with zero lifetime. */
  lookup(caller: Caller, parent: number, name: string): Answer<Entry | undefined>;
  forget(ino: number, lookups: number): void;
  getattr(caller: Caller, ino: number, handle: number | undefined): Answer<AttributesAnswer>;
  setattr(caller: Caller, ino: number, changes: SetAttributes, handle: number | undefined): Answer<AttributesAnswer>;
  /** Checked by the kernel under `default_permissions`; asked only without it. */
  access(caller: Caller, ino: number, mask: number): Answer<void>;

  open(caller: Caller, ino: number, flags: OpenFlags): Answer<Opened>;
  create(caller: Caller, parent: number, name: string, mode: number, flags: OpenFlags): Answer<{ entry: Entry; opened: Opened }>;
  mknod(caller: Caller, parent: number, name: string, mode: number): Answer<Entry>;
  read(caller: Caller, ino: number, handle: number, offset: number, length: number): Answer<ReadResult>;
  /**
   * @param data the driver's buffer, valid only until the first await: take what is needed at once
   * @param isFromPages the kernel writes back pages that a program has mapped
   * @returns bytes written
   */
  write(caller: Caller, ino: number, handle: number, offset: number, data: Uint8Array, isFromPages?: boolean): Answer<number>;
  /** Every close() of a descriptor; may come several times for a handle (dup, fork), also while bytes are still to be written. */
  flush(caller: Caller, ino: number, handle: number): Answer<void>;
  fsync(caller: Caller, ino: number, handle: number): Answer<void>;
  /** The last close of the handle; its outcome reaches nobody. */
  release(ino: number, handle: number): Answer<void>;
  fallocate(caller: Caller, ino: number, handle: number, mode: number, offset: number, length: number): Answer<void>;

  mkdir(caller: Caller, parent: number, name: string, mode: number): Answer<Entry>;
  unlink(caller: Caller, parent: number, name: string): Answer<void>;
  rmdir(caller: Caller, parent: number, name: string): Answer<void>;
  rename(caller: Caller, parent: number, name: string, newParent: number, newName: string, options: { noReplace: boolean }): Answer<void>;

  opendir(caller: Caller, ino: number): Answer<number>;
  /**
   * The driver calls it when the answer of `opendir` has left, in the same turn of the loop: what a listing costs is spent while the client is
   * on its way to its first `readdir`. Throws nothing.
   */
  takeNames(handle: number): void;
  /** Entries from `cookie` on (0 = start), '.' and '..' first; about as many as fit `lengthHintBytes`. Empty at the end. */
  readdir(caller: Caller, ino: number, handle: number, cookie: number, lengthHintBytes: number): Answer<readonly DirectoryEntry[]>;
  /**
   * The attributes of a listed entry, where they are known without asking anybody; undefined makes the driver send the name alone.
   * Counts a lookup when it answers an entry.
   */
  lookupListed(parent: number, entry: DirectoryEntry): Entry | undefined;
  releasedir(ino: number, handle: number): void;
  statfs(caller: Caller, ino: number): Answer<FileSystemStatistics>;
}

/** For who gets its answers without a transport between. */
export function opendir(fileSystem: FileSystem, caller: Caller, ino: number): Answer<number> {
  return andThen(fileSystem.opendir(caller, ino), (handle) => {
    fileSystem.takeNames(handle);
    return handle;
  });
}
