/**
 * A directory tree as an origin. The directory is opened once, before the mount, and everything goes through that descriptor, so the mount
 * may lie over it: `/proc/self/fd/N` leads to the directory itself, not to what is mounted on its path (proc(5)).
 *
 * INVARIANT: no access leaves the tree. Components are opened one by one without following links; a symbolic link is read and followed
 * by us, and only where it stays inside. Nothing here asks for a real path: that walk would go through the mount and wait for ourselves.
 */
import type { Dirent } from 'node:fs';
import { closeSync, constants, openSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { DiskFailed, FilestoreError, kindOf, kindOfOptionPath, messageOf } from '../base/errors.js';
import { displayName, fromUtf8, joinPath } from '../base/names.js';
import type { FillSource } from '../cache/cache.js';
import { FileStream } from './file-stream.js';
import type { Origin, OriginStat } from './origin.js';
import { PatientDisk, type DiskPatience } from './patient-disk.js';
import { TreeWalk } from './tree-walk.js';

/**
 * Without a turn of the loop, for the moment between two mounts.
 * @param directory path of the directory, as text
 * @throws FilestoreError bad-config where there is no such directory, forbidden, unavailable; the message names the directory
 */
export function openOrigin(directory: string, patience: DiskPatience): Origin {
  const path = resolve(directory);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    const kind = kindOfOptionPath(error);
    throw new FilestoreError(
      kind === 'internal' ? 'unavailable' : kind,
      `cannot open the origin ${path}: ${messageOf(error)}; correct the option origin, or let the daemon's user read it`,
      { cause: error },
    );
  }
  return new DirectoryOrigin({ fd, path, disk: new PatientDisk(`the origin ${path}`, patience), isOpen: true }, '');
}

/** Shared by an origin and those below it. */
interface Root {
  readonly fd: number;
  readonly path: string;
  readonly disk: PatientDisk;
  isOpen: boolean;
}

class DirectoryOrigin implements Origin {
  readonly #root: Root;
  readonly #walk: TreeWalk;
  /** Byte string below the root; '' is the root itself. */
  readonly #directory: string;

  constructor(root: Root, directory: string) {
    this.#root = root;
    this.#directory = directory;
    this.#walk = new TreeWalk(root.fd, fromUtf8(root.path));
  }

  get description(): string {
    return this.#describe('');
  }

  get trouble(): string | undefined {
    return this.#root.disk.trouble;
  }

  get isAsked(): boolean {
    return this.#root.disk.isAsked;
  }

  stat(path: string): Promise<OriginStat | undefined> {
    return this.#ask(path, (absolute) => this.#statOf(absolute));
  }

  list(path: string): Promise<readonly { readonly name: string; readonly kind: 'file' | 'directory' }[] | undefined> {
    return this.#ask(path, async (absolute) => {
      const entries = await this.#walk.at(absolute, entriesOf);
      const listed: { name: string; kind: 'file' | 'directory' }[] = [];
      for (const entry of entries) {
        const kind = await this.#kindOf(entry, joinPath(absolute, entry.name));
        if (kind !== undefined) listed.push({ name: entry.name, kind });
      }
      return listed;
    });
  }

  names(path: string): Promise<readonly string[] | undefined> {
    return this.#ask(path, async (absolute) => (await this.#walk.at(absolute, entriesOf)).map((entry) => entry.name));
  }

  source(path: string): FillSource {
    return {
      description: this.#describe(path),
      open: (startByte, signal) => {
        const openAt = async (absolute: string): Promise<OpenedFile | undefined> => {
          const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
          const handle = await this.#walk.at(absolute, (entry) => open(entry, flags));
          return streamFrom(this.#root.disk, handle, startByte);
        };
        return this.#ask(path, openAt, { signal, onLate: (opened) => void opened?.body.destroy() });
      },
    };
  }

  below(directory: string): Origin {
    return new DirectoryOrigin(this.#root, joinPath(this.#directory, directory));
  }

  forget(): void {
    // It keeps nothing in mind.
  }

  /** An origin below another shares its descriptor: only the one that was opened closes it. */
  close(): Promise<void> {
    if (this.#directory === '' && this.#root.isOpen) {
      this.#root.isOpen = false;
      closeSync(this.#root.fd);
    }
    return Promise.resolve();
  }

  async #statOf(absolute: string): Promise<OriginStat | undefined> {
    const stats = await this.#walk.at(absolute, (entry) => lstat(entry));
    if (!(stats.isFile() || stats.isDirectory())) return undefined;
    return { kind: stats.isFile() ? 'file' : 'directory', sizeBytes: stats.size, mtimeMs: stats.mtimeMs };
  }

  async #kindOf(entry: Dirent, absolute: string): Promise<'file' | 'directory' | undefined> {
    if (entry.isFile()) return 'file';
    if (entry.isDirectory()) return 'directory';
    // A link, or a file system that does not tell the type in its directories.
    if (!entry.isSymbolicLink() && isKnownType(entry)) return undefined;
    try {
      return (await this.#statOf(absolute))?.kind;
    } catch (error) {
      // A link that leads nowhere we go: who asks for its name is told so, and the others are listed.
      if (entry.isSymbolicLink()) return undefined;
      throw error;
    }
  }

  /** What says "not there" is undefined; everything else says nothing about the name and is `unavailable`. */
  async #ask<T>(
    path: string,
    question: (absolute: string) => Promise<T | undefined>,
    waiting: { readonly signal?: AbortSignal; readonly onLate?: (answer: T | undefined) => void } = {},
  ): Promise<T | undefined> {
    const { disk, isOpen } = this.#root;
    if (!isOpen) throw new FilestoreError('unavailable', `the origin ${this.#root.path} is closed`);
    const absolute = path === '' ? this.#directory : joinPath(this.#directory, path);
    try {
      return await disk.ask(() => question(absolute), waiting.signal, waiting.onLate);
    } catch (error) {
      const kind = kindOf(error);
      if (kind === 'not-found' || kind === 'not-directory' || kind === 'name-too-long') return undefined;
      if (kind === 'interrupted' || error instanceof DiskFailed) throw error;
      throw new DiskFailed(`cannot read ${this.#describe(path)} in the origin: ${messageOf(error)}`, { cause: error });
    }
  }

  #describe(path: string): string {
    const below = path === '' ? this.#directory : joinPath(this.#directory, path);
    return below === '' ? this.#root.path : `${this.#root.path}/${displayName(below)}`;
  }
}

async function entriesOf(directory: Buffer): Promise<Dirent[]> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    return await readdir(`/proc/self/fd/${handle.fd}/.`, { withFileTypes: true, encoding: 'latin1' });
  } finally {
    await handle.close();
  }
}

function isKnownType(entry: Dirent): boolean {
  return entry.isFIFO() || entry.isSocket() || entry.isBlockDevice() || entry.isCharacterDevice();
}

interface OpenedFile {
  readonly body: Readable;
  readonly totalBytes: number;
}

async function streamFrom(disk: PatientDisk, handle: FileHandle, startByte: number): Promise<OpenedFile | undefined> {
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      await handle.close();
      return undefined;
    }
    if (startByte >= stats.size) {
      await handle.close();
      return { body: Readable.from([]), totalBytes: stats.size };
    }
    return { body: new FileStream(disk, handle, startByte, stats.size), totalBytes: stats.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
