/**
 * A path-based front (libfuse 2, as fuse-native offers it) over the inode-based {@link FileSystem}. Every operation walks its path with one
 * lookup a name and gives the lookups back; an open file keeps its own.
 *
 * A file that is being written is hidden from strangers by the file system, and here nobody knows who asks. So the path of a created file
 * leads to its handle until that is released: INVARIANT: `#created` holds only handles that are in `#open`.
 */
import { FilestoreError } from '../base/errors.js';
import { fromUtf8, splitPath } from '../base/names.js';
import { copyResult, readElsewhere, unreadable } from '../base/read-result.js';
import type { Attributes, Caller, FileSystem, SetAttributes } from './file-system.js';
import { opendir, ROOT_INO } from './file-system.js';
import type { NativeStat, NativeStatfs } from './fuse-native-module.js';
import { openFlagsOf } from './open-flags.js';
import { S_IFDIR, S_IFREG, STAT_BLOCK_BYTES } from './protocol.js';

interface OpenFile {
  readonly ino: number;
}

const READDIR_HINT_BYTES = 65_536;
const UNCHANGED_ID = 0xffffffff;

/** @returns a path as names.ts knows it, from libfuse's absolute UTF-8 path */
export function pathOfNative(path: string): string {
  return fromUtf8(path.replace(/^\/+/, ''));
}

export class PathOperations {
  readonly #fs: FileSystem;
  readonly #open = new Map<number, OpenFile>();
  readonly #created = new Map<string, number>();

  constructor(fileSystem: FileSystem) {
    this.#fs = fileSystem;
  }

  async getattr(caller: Caller, path: string): Promise<NativeStat> {
    const handle = this.#created.get(path);
    const file = handle === undefined ? undefined : this.#open.get(handle);
    if (file !== undefined) return statOf((await this.#fs.getattr(caller, file.ino, handle)).attributes);
    return this.#at(caller, path, async (ino) => statOf((await this.#fs.getattr(caller, ino, undefined)).attributes));
  }

  async setattr(caller: Caller, path: string, changes: SetAttributes, fd?: number): Promise<void> {
    const handle = fd ?? this.#created.get(path);
    const file = handle === undefined ? undefined : this.#open.get(handle);
    if (file !== undefined) await this.#fs.setattr(caller, file.ino, changes, handle);
    else await this.#at(caller, path, (ino) => this.#fs.setattr(caller, ino, changes, undefined));
  }

  chown(caller: Caller, path: string, uid: number, gid: number): Promise<void> {
    return this.setattr(caller, path, { ...(uid !== UNCHANGED_ID && { uid }), ...(gid !== UNCHANGED_ID && { gid }) });
  }

  async readdir(caller: Caller, path: string): Promise<string[]> {
    return this.#at(caller, path, async (ino) => {
      const handle = await opendir(this.#fs, caller, ino);
      try {
        const names: string[] = [];
        let cookie = 0;
        for (;;) {
          const part = await this.#fs.readdir(caller, ino, handle, cookie, READDIR_HINT_BYTES);
          if (part.length === 0) return names;
          for (const entry of part) {
            names.push(Buffer.from(entry.name, 'latin1').toString('utf8'));
            cookie = entry.nextCookie;
          }
        }
      } finally {
        this.#fs.releasedir(ino, handle);
      }
    });
  }

  async open(caller: Caller, path: string, flags: number): Promise<number> {
    const ino = await this.#walk(caller, path);
    try {
      const { handle } = await this.#fs.open(caller, ino, openFlagsOf(flags));
      this.#open.set(handle, { ino });
      return handle;
    } catch (error) {
      this.#forget(ino);
      throw error;
    }
  }

  /** libfuse does not pass on how the file is opened; it always may be read and written. */
  async create(caller: Caller, path: string, mode: number): Promise<number> {
    const flags = { read: true, write: true, append: false, truncate: false, exclusive: false };
    const made = await this.#inParent(caller, path, (parent, name) => this.#fs.create(caller, parent, name, mode & 0o7777, flags));
    const { handle } = made.opened;
    this.#open.set(handle, { ino: made.entry.attributes.ino });
    this.#created.set(path, handle);
    return handle;
  }

  async mknod(caller: Caller, path: string, mode: number): Promise<void> {
    const entry = await this.#inParent(caller, path, (parent, name) => this.#fs.mknod(caller, parent, name, mode & 0o7777));
    this.#forget(entry.attributes.ino);
  }

  async mkdir(caller: Caller, path: string, mode: number): Promise<void> {
    const entry = await this.#inParent(caller, path, (parent, name) => this.#fs.mkdir(caller, parent, name, mode & 0o7777));
    this.#forget(entry.attributes.ino);
  }

  /** @param into filled in the turn of the loop that answers, and only while `isWanted` says that it still exists */
  async read(caller: Caller, fd: number, into: Buffer, position: number, isWanted: () => boolean): Promise<number> {
    const answer = this.#fs.read(caller, this.#file(fd).ino, fd, position, into.length);
    const result = answer instanceof Promise ? await answer : answer;
    if (!isWanted()) return 0;
    const copied = copyResult(result, into);
    if (copied !== undefined) return copied;
    const other = await readElsewhere(result, caller.signal);
    if (!isWanted()) return 0;
    const filled = copyResult(other, into);
    if (filled === undefined) throw unreadable();
    return filled;
  }

  async write(caller: Caller, fd: number, data: Buffer, position: number): Promise<number> {
    return this.#fs.write(caller, this.#file(fd).ino, fd, position, data);
  }

  async flush(caller: Caller, fd: number): Promise<void> {
    await this.#fs.flush(caller, this.#file(fd).ino, fd);
  }

  async fsync(caller: Caller, fd: number): Promise<void> {
    await this.#fs.fsync(caller, this.#file(fd).ino, fd);
  }

  async release(fd: number): Promise<void> {
    const file = this.#file(fd);
    this.#open.delete(fd);
    for (const [path, handle] of this.#created) if (handle === fd) this.#created.delete(path);
    try {
      await this.#fs.release(file.ino, fd);
    } finally {
      this.#forget(file.ino);
    }
  }

  async unlink(caller: Caller, path: string): Promise<void> {
    await this.#inParent(caller, path, (parent, name) => this.#fs.unlink(caller, parent, name));
    this.#created.delete(path);
  }

  async rmdir(caller: Caller, path: string): Promise<void> {
    await this.#inParent(caller, path, (parent, name) => this.#fs.rmdir(caller, parent, name));
  }

  async rename(caller: Caller, from: string, to: string): Promise<void> {
    await this.#inParent(caller, from, (parent, name) =>
      this.#inParent(caller, to, (newParent, newName) => this.#fs.rename(caller, parent, name, newParent, newName, { noReplace: false })),
    );
    this.#created.delete(to);
    for (const [path, handle] of [...this.#created]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.#created.delete(path);
      this.#created.set(to + path.slice(from.length), handle);
    }
  }

  async statfs(caller: Caller): Promise<NativeStatfs> {
    const s = await this.#fs.statfs(caller, ROOT_INO);
    return {
      bsize: s.blockSizeBytes,
      frsize: s.blockSizeBytes,
      blocks: s.blocks,
      bfree: s.freeBlocks,
      bavail: s.freeBlocks,
      files: s.files,
      ffree: s.freeFiles,
      favail: s.freeFiles,
      namemax: s.nameMaxBytes,
    };
  }

  #file(fd: number): OpenFile {
    const file = this.#open.get(fd);
    if (file === undefined) throw new FilestoreError('bad-handle', `handle ${fd} is not open`);
    return file;
  }

  #forget(ino: number): void {
    if (ino !== ROOT_INO) this.#fs.forget(ino, 1);
  }

  /** @returns the inode with one lookup held; the lookups of the way are given back */
  async #walk(caller: Caller, path: string): Promise<number> {
    let ino = ROOT_INO;
    for (const name of path.split('/')) {
      if (name === '') continue;
      let next: number | undefined;
      try {
        next = (await this.#fs.lookup(caller, ino, name))?.attributes.ino;
      } finally {
        this.#forget(ino);
      }
      if (next === undefined) throw new FilestoreError('not-found', 'no such file or directory');
      ino = next;
    }
    return ino;
  }

  async #at<T>(caller: Caller, path: string, work: (ino: number) => T | Promise<T>): Promise<T> {
    const ino = await this.#walk(caller, path);
    try {
      return await work(ino);
    } finally {
      this.#forget(ino);
    }
  }

  #inParent<T>(caller: Caller, path: string, work: (parent: number, name: string) => T | Promise<T>): Promise<T> {
    const { directory, name } = splitPath(path);
    return this.#at(caller, directory, (parent) => work(parent, name));
  }
}

function statOf(a: Attributes): NativeStat {
  return {
    mode: a.mode | (a.kind === 'directory' ? S_IFDIR : S_IFREG),
    uid: a.uid,
    gid: a.gid,
    size: a.sizeBytes,
    nlink: a.nlink,
    ino: a.ino,
    blksize: a.blockSizeBytes,
    blocks: Math.ceil(a.sizeBytes / STAT_BLOCK_BYTES),
    atime: a.atimeMs,
    mtime: a.mtimeMs,
    ctime: a.ctimeMs,
  };
}
