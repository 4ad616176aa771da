/**
 * Path calls over a file system that is mounted in memory. Paths are byte strings relative to the mount (base/names.ts), '' is the root.
 * Every call walks from the root with one lookup a name and forgets them at its end; an open file keeps its own lookup until it is closed.
 * Failures are the FilestoreErrors a kernel client would see as errno.
 */
import { FilestoreError, unreachable } from '../../src/base/errors.js';
import { displayName, splitPath } from '../../src/base/names.js';
import type { Attributes, DirectoryEntry, OpenFlags, SetAttributes } from '../../src/fuse/file-system.js';
import { opendir, ROOT_INO } from '../../src/fuse/file-system.js';
import { MemoryDirectory, MemoryFile } from './memory-handles.js';
import type { Identity, RequestRunner } from './memory-requests.js';

/** As in Node's fs.open. */
type OpenMode = 'r' | 'r+' | 'w' | 'wx' | 'w+' | 'a';

/** A place on the walk: the root has no attributes of its own answer. */
interface Found {
  readonly ino: number;
  readonly attributes: Attributes;
}

export class MemoryClient {
  readonly #runner: RequestRunner;
  readonly #who: Identity;

  constructor(runner: RequestRunner, who: Identity) {
    this.#runner = runner;
    this.#who = who;
  }

  /** Lookups answered and not yet forgotten; empty when nothing is open. */
  get heldLookups(): ReadonlyMap<number, number> {
    return this.#runner.heldLookups;
  }

  stat(path: string): Promise<Attributes> {
    return this.#at(path, (found) => Promise.resolve(found.attributes));
  }

  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path);
      return true;
    } catch (error) {
      if (error instanceof FilestoreError && (error.kind === 'not-found' || error.kind === 'not-directory')) return false;
      throw error;
    }
  }

  /** Opens as the kernel does: a LOOKUP first, then OPEN of what is there or CREATE of what is not; once more when it is told that this is stale. */
  async open(path: string, mode: OpenMode = 'r', permissions = 0o644): Promise<MemoryFile> {
    try {
      return await this.#open(path, mode, permissions);
    } catch (error) {
      if (!(error instanceof FilestoreError) || error.kind !== 'stale') throw error;
      return this.#open(path, mode, permissions);
    }
  }

  #open(path: string, mode: OpenMode, permissions: number): Promise<MemoryFile> {
    const flags = openFlags(mode);
    return this.#inParent(path, async (parent, name) => {
      const there = await this.#lookup(parent, name);
      if (there !== undefined) {
        try {
          if (flags.exclusive) throw new FilestoreError('exists', `${displayName(path)} exists`);
          if (there.attributes.kind === 'directory') throw new FilestoreError('is-directory', `${displayName(path)} is a directory`);
          const opened = await this.#runner.ask('open', this.#who, (fs, caller) => fs.open(caller, there.ino, flags));
          return new MemoryFile(this.#runner, this.#who, there.ino, opened, flags);
        } catch (error) {
          this.#runner.forget(there.ino);
          throw error;
        }
      }
      if (mode === 'r' || mode === 'r+') throw notFound(path);
      const made = await this.#runner.ask('create', this.#who, (fs, caller) => fs.create(caller, parent, name, permissions, flags));
      this.#runner.hold(made.entry);
      return new MemoryFile(this.#runner, this.#who, made.entry.attributes.ino, made.opened, flags);
    });
  }

  async readFile(path: string): Promise<Buffer> {
    const file = await this.open(path, 'r');
    try {
      return await file.readAll();
    } finally {
      await file.close();
    }
  }

  /** Creates or truncates, writes, closes. The outcome of close() is part of it. */
  async writeFile(path: string, data: Uint8Array | string, mode: OpenMode = 'w', permissions = 0o644): Promise<void> {
    const file = await this.open(path, mode, permissions);
    try {
      await file.write(typeof data === 'string' ? Buffer.from(data) : data);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    await file.close();
  }

  mkdir(path: string, permissions = 0o755): Promise<Attributes> {
    return this.#inParent(path, async (parent, name) => {
      await this.#mustBeAbsent(parent, name);
      const entry = await this.#runner.ask('mkdir', this.#who, (fs, caller) => fs.mkdir(caller, parent, name, permissions));
      this.#runner.hold(entry);
      this.#runner.forget(entry.attributes.ino);
      return entry.attributes;
    });
  }

  unlink(path: string): Promise<void> {
    return this.#atName(path, async (parent, name, found) => {
      if (found.attributes.kind === 'directory') throw new FilestoreError('is-directory', `${displayName(path)} is a directory`);
      await this.#runner.ask('unlink', this.#who, (fs, caller) => fs.unlink(caller, parent, name));
    });
  }

  rmdir(path: string): Promise<void> {
    return this.#atName(path, async (parent, name, found) => {
      if (found.attributes.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(path)} is not a directory`);
      await this.#runner.ask('rmdir', this.#who, (fs, caller) => fs.rmdir(caller, parent, name));
    });
  }

  rename(from: string, to: string, options: { noReplace: boolean } = { noReplace: false }): Promise<void> {
    return this.#atName(from, (parent, name) =>
      this.#inParent(to, async (newParent, newName) => {
        const target = await this.#lookup(newParent, newName);
        try {
          if (target !== undefined && options.noReplace) throw new FilestoreError('exists', `${displayName(to)} exists`);
          await this.#runner.ask('rename', this.#who, (fs, caller) => fs.rename(caller, parent, name, newParent, newName, options));
        } finally {
          if (target !== undefined) this.#runner.forget(target.ino);
        }
      }),
    );
  }

  /** Names in the directory, without '.' and '..', in the order the file system lists them. */
  async readdir(path: string): Promise<string[]> {
    return (await this.readdirEntries(path)).map((entry) => entry.name);
  }

  async readdirEntries(path: string): Promise<DirectoryEntry[]> {
    const directory = await this.opendir(path);
    try {
      return await directory.readAll();
    } finally {
      directory.close();
    }
  }

  opendir(path: string): Promise<MemoryDirectory> {
    return this.#at(path, async (found) => {
      if (found.attributes.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(path)} is not a directory`);
      const handle = await this.#runner.ask('opendir', this.#who, (fs, caller) => opendir(fs, caller, found.ino));
      return new MemoryDirectory(this.#runner, this.#who, found.ino, handle);
    });
  }

  utimes(path: string, atimeMs: number | 'now', mtimeMs: number | 'now'): Promise<Attributes> {
    return this.setattr(path, { atimeMs, mtimeMs });
  }

  truncate(path: string, sizeBytes: number): Promise<Attributes> {
    return this.setattr(path, { sizeBytes });
  }

  setattr(path: string, changes: SetAttributes): Promise<Attributes> {
    return this.#at(path, async (found) => {
      const answer = await this.#runner.ask('setattr', this.#who, (fs, caller) => fs.setattr(caller, found.ino, changes, undefined));
      return answer.attributes;
    });
  }

  /** @returns the entry, whose lookup the caller must forget, or undefined */
  async #lookup(parent: number, name: string): Promise<Found | undefined> {
    const entry = await this.#runner.ask('lookup', this.#who, (fs, caller) => fs.lookup(caller, parent, name));
    if (entry === undefined) return undefined;
    this.#runner.hold(entry);
    return { ino: entry.attributes.ino, attributes: entry.attributes };
  }

  async #mustBeAbsent(parent: number, name: string): Promise<void> {
    const there = await this.#lookup(parent, name);
    if (there === undefined) return;
    this.#runner.forget(there.ino);
    throw new FilestoreError('exists', `${displayName(name)} exists`);
  }

  /** Walks to the path, works there, and gives every lookup of the walk back. */
  async #at<T>(path: string, work: (found: Found) => Promise<T>): Promise<T> {
    const walked: number[] = [];
    try {
      const root = await this.#runner.ask('getattr', this.#who, (fs, caller) => fs.getattr(caller, ROOT_INO, undefined));
      let here: Found = { ino: ROOT_INO, attributes: root.attributes };
      for (const name of path.split('/')) {
        if (name === '') continue;
        if (here.attributes.kind !== 'directory')
          throw new FilestoreError('not-directory', `${displayName(path)}: not a directory on the way`);
        const next = await this.#lookup(here.ino, name);
        if (next === undefined) throw notFound(path);
        walked.push(next.ino);
        here = next;
      }
      return await work(here);
    } finally {
      for (const ino of walked.reverse()) this.#runner.forget(ino);
    }
  }

  #inParent<T>(path: string, work: (parent: number, name: string) => Promise<T>): Promise<T> {
    const { directory, name } = splitPath(path.replace(/\/+$/, ''));
    return this.#at(directory, (found) => {
      if (found.attributes.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(directory)} is not a directory`);
      return work(found.ino, name);
    });
  }

  #atName<T>(path: string, work: (parent: number, name: string, found: Found) => Promise<T>): Promise<T> {
    return this.#inParent(path, async (parent, name) => {
      const found = await this.#lookup(parent, name);
      if (found === undefined) throw notFound(path);
      try {
        return await work(parent, name, found);
      } finally {
        this.#runner.forget(found.ino);
      }
    });
  }
}

function notFound(path: string): FilestoreError {
  return new FilestoreError('not-found', `${displayName(path)}: no such file or directory`);
}

function openFlags(mode: OpenMode): OpenFlags {
  const flags = { read: false, write: false, append: false, truncate: false, exclusive: false };
  switch (mode) {
    case 'r':
      return { ...flags, read: true };
    case 'r+':
      return { ...flags, read: true, write: true };
    case 'w':
      return { ...flags, write: true, truncate: true };
    case 'wx':
      return { ...flags, write: true, exclusive: true };
    case 'w+':
      return { ...flags, read: true, write: true, truncate: true };
    case 'a':
      return { ...flags, write: true, append: true };
    default:
      return unreachable(mode);
  }
}
