/**
 * The file system of a mount: inodes, handles, directory streams and lifetimes over a {@link Filestore}, which knows what a path means.
 *
 *   fuse (FileSystem) ─► names, open-files, directory-streams, set-attributes ─► Filestore
 *                              └── inode-table, file-handle ──┘
 *
 * INVARIANT: what the filestore answers at once is answered at once; the hot paths (lookup, getattr, open, read, release) make no promise.
 * Interleaving: across a filestore's answer other requests run. The kernel keeps changes of one directory apart (its i_rwsem), and the
 * table is read again after each answer, never before it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import type { Log } from '../base/log.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { NAME_MAX_BYTES, splitPath } from '../base/names.js';
import type { ReadResult } from '../base/read-result.js';
import type { Filestore, UntilForgotten } from '../filestore/filestore.js';
import type { Mounted } from '../fuse/driver.js';
import type {
  AttributesAnswer,
  Caller,
  DirectoryEntry,
  Entry,
  FileSystem,
  FileSystemStatistics,
  Opened,
  OpenFlags,
  SetAttributes,
} from '../fuse/file-system.js';
import { attributesAnswer } from './attributes.js';
import { createContext, statOf, type VfsContext } from './context.js';
import { DirectoryStreams } from './directory-streams.js';
import { Names } from './names.js';
import { OpenFiles } from './open-files.js';
import { setAttributes } from './set-attributes.js';

interface VfsOptions {
  /** Owner of everything below the mount; read at each answer. */
  readonly uid: number;
  readonly gid: number;
  readonly log: Log;
}

export interface Vfs extends FileSystem {
  /** Files open through the mount now. */
  readonly openFiles: number;
  /** Nodes held for the kernel and for open handles. */
  readonly knownInodes: number;
  /** From now on the kernel behind `mounted` is told of names that changed by another hand than its own. */
  attach(mounted: Mounted): void;
}

export function createVfs(filestore: Filestore, options: VfsOptions): Vfs {
  return new FilestoreVfs(createContext(filestore, options, options.log));
}

const STATFS_BLOCK_BYTES = 4096;
/** What keeps the kernel from forgetting a file for longer (somebody reads its bytes, which are still to come from Swift) makes nobody else wait. */
const FORGOTTEN_MS = 500;
/** After a wait in vain nobody waits for so long: one look is several requests. */
const VAIN_MS = 5_000;
/** Names are not a resource here; some programs take 0 for "full". */
const FREE_FILES = 2 ** 32;

class FilestoreVfs implements Vfs {
  readonly #context: VfsContext;
  readonly #names: Names;
  readonly #files: OpenFiles;
  readonly #streams: DirectoryStreams;
  #vainUntilMs = 0;

  constructor(context: VfsContext) {
    this.#context = context;
    this.#names = new Names(context);
    this.#files = new OpenFiles(context);
    this.#streams = new DirectoryStreams(context);
    context.filestore.onChange((path) => this.#changedElsewhere(path));
  }

  get openFiles(): number {
    return this.#context.files.size;
  }

  get knownInodes(): number {
    return this.#context.table.size;
  }

  attach(mounted: Mounted): void {
    this.#context.mounted = mounted;
  }

  lookup(caller: Caller, parent: number, name: string): Answer<Entry | undefined> {
    return this.#names.lookup(caller, parent, name);
  }

  forget(ino: number, lookups: number): void {
    this.#context.table.forget(ino, lookups);
  }

  getattr(caller: Caller, ino: number, handle: number | undefined): Answer<AttributesAnswer> {
    const node = this.#context.table.get(ino);
    const stat = handle === undefined ? statOf(this.#context, node, caller) : this.#context.files.get(handle).file.stat();
    return andThen(stat, (now) => attributesAnswer(node, now, this.#context.owner));
  }

  setattr(caller: Caller, ino: number, changes: SetAttributes, handle: number | undefined): Answer<AttributesAnswer> {
    return setAttributes(this.#context, caller, ino, changes, handle);
  }

  /** Everything is allowed here: `default_permissions` makes the kernel check modes. */
  access(): void {
    return undefined;
  }

  open(caller: Caller, ino: number, flags: OpenFlags): Answer<Opened> {
    return this.#files.open(caller, ino, flags);
  }

  create(caller: Caller, parent: number, name: string, mode: number, flags: OpenFlags): Answer<{ entry: Entry; opened: Opened }> {
    return this.#files.create(caller, parent, name, mode, flags);
  }

  mknod(caller: Caller, parent: number, name: string, mode: number): Answer<Entry> {
    return this.#files.mknod(caller, parent, name, mode);
  }

  read(caller: Caller, _ino: number, handle: number, offset: number, length: number): Answer<ReadResult> {
    return this.#files.read(caller, handle, offset, length);
  }

  write(_caller: Caller, _ino: number, handle: number, offset: number, data: Uint8Array, isFromPages = false): Answer<number> {
    return this.#files.write(handle, offset, data, isFromPages);
  }

  flush(_caller: Caller, _ino: number, handle: number): Answer<void> {
    return this.#files.flush(handle);
  }

  fsync(_caller: Caller, _ino: number, handle: number): Answer<void> {
    return this.#files.fsync(handle);
  }

  release(_ino: number, handle: number): Answer<void> {
    return this.#files.release(handle);
  }

  fallocate(_caller: Caller, _ino: number, handle: number, mode: number, offset: number, length: number): Answer<void> {
    return this.#files.fallocate(handle, mode, offset, length);
  }

  mkdir(caller: Caller, parent: number, name: string, mode: number): Answer<Entry> {
    return this.#names.mkdir(caller, parent, name, mode);
  }

  unlink(caller: Caller, parent: number, name: string): Answer<void> {
    return this.#names.unlink(caller, parent, name);
  }

  rmdir(caller: Caller, parent: number, name: string): Answer<void> {
    return this.#names.rmdir(caller, parent, name);
  }

  rename(caller: Caller, parent: number, name: string, newParent: number, newName: string, options: { noReplace: boolean }): Answer<void> {
    return this.#names.rename(caller, parent, name, newParent, newName, options);
  }

  opendir(caller: Caller, ino: number): Answer<number> {
    return this.#streams.opendir(caller, ino);
  }

  takeNames(handle: number): void {
    this.#streams.takeNames(handle);
  }

  readdir(caller: Caller, _ino: number, handle: number, cookie: number, lengthHintBytes: number): Answer<readonly DirectoryEntry[]> {
    return this.#streams.readdir(caller, handle, cookie, lengthHintBytes);
  }

  lookupListed(parent: number, entry: DirectoryEntry): Entry | undefined {
    return this.#streams.lookupListed(parent, entry);
  }

  releasedir(_ino: number, handle: number): void {
    this.#streams.releasedir(handle);
  }

  statfs(): Answer<FileSystemStatistics> {
    return andThen(this.#context.filestore.usage(), (usage) => ({
      blockSizeBytes: STATFS_BLOCK_BYTES,
      blocks: Math.floor(usage.totalBytes / STATFS_BLOCK_BYTES),
      freeBlocks: Math.floor(usage.freeBytes / STATFS_BLOCK_BYTES),
      files: usage.files + FREE_FILES,
      freeFiles: FREE_FILES,
      nameMaxBytes: NAME_MAX_BYTES,
    }));
  }

  /**
   * Another node, or a listing, says that a name changed: whatever the kernel knows of it is to be asked again. The inode first, which waits for nobody who looks
   * for another name beside it: without its attributes the kernel answers nothing by itself.
   */
  #changedElsewhere(path: string): UntilForgotten | undefined {
    if (path === '') return undefined;
    const { directory, name } = splitPath(path);
    const parent = this.#context.table.find(directory);
    if (parent === undefined) return undefined;
    parent.version++;
    const { mounted } = this.#context;
    const node = parent.child(name);
    if (node !== undefined) mounted?.endSharing(node.ino);
    const untilTold = node === undefined ? undefined : mounted?.invalidateInode(node.ino);
    mounted?.invalidateEntry(parent.ino, name);
    return untilTold === undefined ? undefined : () => this.#forAMoment(untilTold());
  }

  async #forAMoment(told: Promise<void>): Promise<void> {
    if (steadyNowMs() < this.#vainUntilMs) return;
    const isTold = await Promise.race([told.then(() => true), sleep(FORGOTTEN_MS, false, { ref: false })]);
    if (!isTold) this.#vainUntilMs = steadyNowMs() + VAIN_MS;
  }
}
