/** A small file system in memory for tests of the drivers. `before` is called with each operation's name: it may wait or throw. */
import { FilestoreError } from '../../../src/base/errors.js';
import type { Answer } from '../../../src/base/maybe-promise.js';
import { andThen } from '../../../src/base/maybe-promise.js';
import type { ReadResult } from '../../../src/base/read-result.js';
import type {
  Attributes,
  AttributesAnswer,
  Caller,
  DirectoryEntry,
  Entry,
  FileSystem,
  FileSystemStatistics,
  Opened,
  OpenFlags,
  SetAttributes,
} from '../../../src/fuse/file-system.js';

interface TreeNode {
  readonly ino: number;
  readonly children: Map<string, TreeNode> | undefined;
  data: Buffer;
  mode: number;
  uid: number;
  gid: number;
  atimeMs: number;
  mtimeMs: number;
  lookups: number;
  /** Reads are answered from here, and offered for passthrough. */
  fd: number | undefined;
  /** Who opens it to read may be given a handle of somebody else's. */
  isShareable: boolean;
}

const VALID_MS = 1000;

export class TreeFileSystem implements FileSystem {
  readonly root: TreeNode;
  readonly nodes = new Map<number, TreeNode>();
  readonly handles = new Map<number, TreeNode>();
  readonly asked: string[] = [];
  before: (operation: string, caller: Caller | undefined, name?: string) => Answer<void> = () => undefined;
  /** Told of a file that is about to be opened to write. */
  endSharing: (ino: number) => void = () => undefined;
  #nextIno = 1;
  #nextHandle = 1;

  constructor() {
    this.root = this.#make(true, 0o755);
  }

  addFile(name: string, data: Buffer | string, parent = this.root): TreeNode {
    const node = this.#make(false, 0o644);
    node.data = Buffer.from(data);
    parent.children?.set(name, node);
    return node;
  }

  addDirectory(name: string, parent = this.root): TreeNode {
    const node = this.#make(true, 0o755);
    parent.children?.set(name, node);
    return node;
  }

  get openHandles(): number {
    return this.handles.size;
  }

  lookup(caller: Caller, parent: number, name: string): Answer<Entry | undefined> {
    return this.#do('lookup', caller, name, () => {
      const found = this.#children(parent).get(name);
      return found === undefined ? undefined : this.#entry(found);
    });
  }

  forget(ino: number, lookups: number): void {
    this.asked.push(`forget ${ino} ${lookups}`);
    const node = this.nodes.get(ino);
    if (node !== undefined) node.lookups -= lookups;
  }

  getattr(caller: Caller, ino: number): Answer<AttributesAnswer> {
    return this.#do('getattr', caller, undefined, () => this.#attributesAnswer(this.#node(ino)));
  }

  setattr(caller: Caller, ino: number, changes: SetAttributes): Answer<AttributesAnswer> {
    return this.#do('setattr', caller, undefined, () => {
      const node = this.#node(ino);
      if (changes.sizeBytes !== undefined) resize(node, changes.sizeBytes);
      node.mode = changes.mode ?? node.mode;
      node.uid = changes.uid ?? node.uid;
      node.gid = changes.gid ?? node.gid;
      if (changes.atimeMs !== undefined) node.atimeMs = changes.atimeMs === 'now' ? Date.now() : changes.atimeMs;
      if (changes.mtimeMs !== undefined) node.mtimeMs = changes.mtimeMs === 'now' ? Date.now() : changes.mtimeMs;
      return this.#attributesAnswer(node);
    });
  }

  access(caller: Caller): Answer<void> {
    return this.#do('access', caller, undefined, () => undefined);
  }

  open(caller: Caller, ino: number, flags: OpenFlags): Answer<Opened> {
    return this.#do('open', caller, undefined, () => {
      const node = this.#node(ino);
      if (flags.write) this.endSharing(ino);
      if (flags.truncate) node.data = Buffer.alloc(0);
      const isShareable = node.isShareable && !flags.write;
      if (isShareable) return { handle: this.#handle(node), keepCache: true, directIo: false, noFlush: true, isShareable };
      const opened: Opened = { handle: this.#handle(node), keepCache: false, directIo: false, noFlush: !flags.write };
      return node.fd === undefined || flags.write ? opened : { ...opened, passthroughFd: node.fd };
    });
  }

  create(caller: Caller, parent: number, name: string, mode: number): Answer<{ entry: Entry; opened: Opened }> {
    return this.#do('create', caller, name, () => {
      const node = this.#insert(parent, name, false, mode);
      return { entry: this.#entry(node), opened: { handle: this.#handle(node), keepCache: false, directIo: false, noFlush: false } };
    });
  }

  mknod(caller: Caller, parent: number, name: string, mode: number): Answer<Entry> {
    return this.#do('mknod', caller, name, () => this.#entry(this.#insert(parent, name, false, mode)));
  }

  read(caller: Caller, _ino: number, handle: number, offset: number, length: number): Answer<ReadResult> {
    return this.#do('read', caller, undefined, () => {
      const node = this.#handleNode(handle);
      if (node.fd !== undefined) return { fd: node.fd, position: offset, length };
      return node.data.subarray(offset, offset + length);
    });
  }

  write(caller: Caller, _ino: number, handle: number, offset: number, data: Uint8Array): Answer<number> {
    const bytes = Buffer.from(data);
    return this.#do('write', caller, undefined, () => {
      const node = this.#handleNode(handle);
      if (node.data.length < offset + bytes.length) resize(node, offset + bytes.length);
      bytes.copy(node.data, offset);
      node.mtimeMs = Date.now();
      return bytes.length;
    });
  }

  flush(caller: Caller): Answer<void> {
    return this.#do('flush', caller, undefined, () => undefined);
  }

  fsync(caller: Caller): Answer<void> {
    return this.#do('fsync', caller, undefined, () => undefined);
  }

  release(_ino: number, handle: number): Answer<void> {
    return this.#do('release', undefined, undefined, () => {
      if (!this.handles.delete(handle)) throw new FilestoreError('bad-handle', `no handle ${handle}`);
    });
  }

  fallocate(caller: Caller, _ino: number, handle: number, mode: number, offset: number, length: number): Answer<void> {
    return this.#do('fallocate', caller, undefined, () => {
      if (mode !== 0) throw new FilestoreError('unsupported', `fallocate mode ${mode}`);
      const node = this.#handleNode(handle);
      if (node.data.length < offset + length) resize(node, offset + length);
    });
  }

  mkdir(caller: Caller, parent: number, name: string, mode: number): Answer<Entry> {
    return this.#do('mkdir', caller, name, () => this.#entry(this.#insert(parent, name, true, mode)));
  }

  unlink(caller: Caller, parent: number, name: string): Answer<void> {
    return this.#do('unlink', caller, name, () => {
      if (!this.#children(parent).delete(name)) throw new FilestoreError('not-found', name);
    });
  }

  rmdir(caller: Caller, parent: number, name: string): Answer<void> {
    return this.#do('rmdir', caller, name, () => {
      const node = this.#children(parent).get(name);
      if (node?.children === undefined) throw new FilestoreError('not-found', name);
      if (node.children.size > 0) throw new FilestoreError('not-empty', name);
      this.#children(parent).delete(name);
    });
  }

  rename(caller: Caller, parent: number, name: string, newParent: number, newName: string, options: { noReplace: boolean }): Answer<void> {
    return this.#do('rename', caller, name, () => {
      const node = this.#children(parent).get(name);
      if (node === undefined) throw new FilestoreError('not-found', name);
      if (options.noReplace && this.#children(newParent).has(newName)) throw new FilestoreError('exists', newName);
      this.#children(parent).delete(name);
      this.#children(newParent).set(newName, node);
    });
  }

  opendir(caller: Caller, ino: number): Answer<number> {
    return this.#do('opendir', caller, undefined, () => this.#handle(this.#node(ino)));
  }

  takeNames(): void {
    this.asked.push('takeNames');
  }

  readdir(caller: Caller, ino: number, _handle: number, cookie: number, lengthHintBytes: number): Answer<readonly DirectoryEntry[]> {
    return this.#do('readdir', caller, undefined, () => {
      const all: DirectoryEntry[] = [
        { name: '.', ino, kind: 'directory', nextCookie: 1 },
        { name: '..', ino: 1, kind: 'directory', nextCookie: 2 },
      ];
      for (const [name, node] of this.#children(ino)) {
        all.push({ name, ino: node.ino, kind: node.children === undefined ? 'file' : 'directory', nextCookie: all.length + 1 });
      }
      return all.slice(cookie, cookie + Math.ceil(lengthHintBytes / 24));
    });
  }

  lookupListed(parent: number, entry: DirectoryEntry): Entry | undefined {
    const node = this.#children(parent).get(entry.name);
    return node === undefined ? undefined : this.#entry(node);
  }

  releasedir(_ino: number, handle: number): void {
    this.asked.push('releasedir');
    this.handles.delete(handle);
  }

  statfs(caller: Caller): Answer<FileSystemStatistics> {
    return this.#do('statfs', caller, undefined, () => ({
      blockSizeBytes: 4096,
      blocks: 1000,
      freeBlocks: 500,
      files: 100,
      freeFiles: 50,
      nameMaxBytes: 255,
    }));
  }

  #do<T>(operation: string, caller: Caller | undefined, name: string | undefined, work: () => T): Answer<T> {
    this.asked.push(operation);
    return andThen(this.before(operation, caller, name), work);
  }

  #make(isDirectory: boolean, mode: number): TreeNode {
    const nowMs = Date.now();
    const node: TreeNode = {
      ino: this.#nextIno++,
      children: isDirectory ? new Map() : undefined,
      data: Buffer.alloc(0),
      mode,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      atimeMs: nowMs,
      mtimeMs: nowMs,
      lookups: 0,
      fd: undefined,
      isShareable: false,
    };
    this.nodes.set(node.ino, node);
    return node;
  }

  #insert(parent: number, name: string, isDirectory: boolean, mode: number): TreeNode {
    const children = this.#children(parent);
    if (children.has(name)) throw new FilestoreError('exists', name);
    const node = this.#make(isDirectory, mode);
    children.set(name, node);
    return node;
  }

  #node(ino: number): TreeNode {
    const node = this.nodes.get(ino);
    if (node === undefined) throw new FilestoreError('stale', `no inode ${ino}`);
    return node;
  }

  #children(ino: number): Map<string, TreeNode> {
    const { children } = this.#node(ino);
    if (children === undefined) throw new FilestoreError('not-directory', `inode ${ino}`);
    return children;
  }

  #handle(node: TreeNode): number {
    const handle = this.#nextHandle++;
    this.handles.set(handle, node);
    return handle;
  }

  #handleNode(handle: number): TreeNode {
    const node = this.handles.get(handle);
    if (node === undefined) throw new FilestoreError('bad-handle', `no handle ${handle}`);
    return node;
  }

  #attributesAnswer(node: TreeNode): AttributesAnswer {
    return { attributes: attributesOf(node), attributesValidMs: VALID_MS };
  }

  #entry(node: TreeNode): Entry {
    node.lookups++;
    return { attributes: attributesOf(node), attributesValidMs: VALID_MS, entryValidMs: VALID_MS, generation: 0 };
  }
}

function attributesOf(node: TreeNode): Attributes {
  return {
    ino: node.ino,
    kind: node.children === undefined ? 'file' : 'directory',
    mode: node.mode,
    nlink: node.children === undefined ? 1 : 2,
    uid: node.uid,
    gid: node.gid,
    sizeBytes: node.data.length,
    blockSizeBytes: 131072,
    atimeMs: node.atimeMs,
    mtimeMs: node.mtimeMs,
    ctimeMs: node.mtimeMs,
  };
}

function resize(node: TreeNode, sizeBytes: number): void {
  const data = Buffer.alloc(sizeBytes);
  node.data.copy(data);
  node.data = data;
}
