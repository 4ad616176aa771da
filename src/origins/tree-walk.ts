/**
 * Walks down a tree from a descriptor without ever leaving it (what openat2(2) does with RESOLVE_BENEATH, which Node does not offer).
 * Each directory on the way is opened with O_NOFOLLOW through the descriptor of the one above, so a directory that is swapped for a link
 * meanwhile is noticed by the kernel.
 */
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, open, readlink } from 'node:fs/promises';
import { FilestoreError } from '../base/errors.js';
import { displayName } from '../base/names.js';

/** As the kernel counts (path_resolution(7) allows 40); chains of links in a filestore are short. */
const LINKS_MAX = 8;
const DIRECTORY_FLAGS = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Says "look there instead": the walk met a link. */
class Redirect {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }
}

export class TreeWalk {
  readonly #fd: number;
  readonly #rootPath: string;

  /**
   * @param fd of the tree's root directory
   * @param rootPath byte string: an absolute link that begins with it leads inside
   */
  constructor(fd: number, rootPath: string) {
    this.#fd = fd;
    this.#rootPath = rootPath;
  }

  /**
   * @param path byte string below the root, '' for the root
   * @param use is given a path that leads to the entry itself, which is no link at the time of the look
   * @throws FilestoreError unavailable when a link leads out of the tree, or in a circle: what is behind it is not known to be absent; what the
   *   file system says (ENOENT and ENOTDIR among it)
   */
  async at<T>(path: string, use: (entry: Buffer) => Promise<T>): Promise<T> {
    let wanted: string | undefined = path;
    for (let links = 0; links <= LINKS_MAX; links++) {
      const result: T | Redirect = await this.#tryAt(wanted, use);
      if (!(result instanceof Redirect)) return result;
      wanted = this.#inside(result.path);
      if (wanted === undefined) {
        const remedy = 'links are followed within the origin only: mount what it leads to there (mount --bind), or move it';
        throw new FilestoreError('unavailable', `a symbolic link leads out of it, to ${displayName(result.path)}; ${remedy}`);
      }
    }
    throw new FilestoreError('unavailable', 'its symbolic links lead in a circle');
  }

  async #tryAt<T>(path: string, use: (entry: Buffer) => Promise<T>): Promise<T | Redirect> {
    // The dot makes the kernel look into the directory instead of at the link that /proc shows.
    if (path === '') return use(entryOf(this.#fd, '.'));
    const names = path.split('/');
    let handle: FileHandle | undefined;
    try {
      for (const [index, name] of names.entries()) {
        const entry = entryOf(handle?.fd ?? this.#fd, name);
        if ((await lstat(entry)).isSymbolicLink()) {
          const target = (await readlink(entry, { encoding: 'buffer' })).toString('latin1');
          return new Redirect(redirected(names.slice(0, index), target, names.slice(index + 1)));
        }
        if (index === names.length - 1) return await use(entry);
        const next = await open(entry, DIRECTORY_FLAGS);
        await handle?.close();
        handle = next;
      }
      throw new Error('a path has at least one name');
    } finally {
      await handle?.close();
    }
  }

  /** @returns the path below the root with '.' and '..' worked out; undefined when it leads out */
  #inside(path: string): string | undefined {
    let below = path;
    if (path.startsWith('/')) {
      if (path !== this.#rootPath && !path.startsWith(`${this.#rootPath}/`)) return undefined;
      below = path.slice(this.#rootPath.length + 1);
    }
    const names: string[] = [];
    for (const name of below.split('/')) {
      if (name === '' || name === '.') continue;
      if (name !== '..') names.push(name);
      else if (names.pop() === undefined) return undefined;
    }
    return names.join('/');
  }
}

function redirected(before: readonly string[], target: string, after: readonly string[]): string {
  return target.startsWith('/') ? [target, ...after].join('/') : [...before, target, ...after].join('/');
}

function entryOf(fd: number, name: string): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}/${name}`, 'latin1');
}
