/**
 * `checklist/`: Odoo's markers, kept as plain files on this machine's disk under the spool's `local/` (never in Swift). Their times are
 * the host's own and settable, and they survive a restart; after a power cut some may be missing, which only leaves garbage behind
 * (the next delete or create of Odoo's makes them anew). All calls are synchronous: a local stat costs less than a hop to the thread pool.
 */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeSync,
  truncateSync,
  constants,
  type Stats,
} from 'node:fs';
import { FilestoreError, kindOf } from '../base/errors.js';
import type { FileSlice } from '../base/read-result.js';
import { displayName } from '../base/names.js';
import { DIRECTORY_SIZE_BYTES, type ListedName, type OpenFile, type OpenMode, type Stat } from './filestore.js';

const DIRECTORY_VALID_MS = 1_000;

export class LocalArea {
  readonly #root: Buffer;
  readonly #modes: { readonly file: number; readonly directory: number };
  readonly #fileValidMs: number;

  /** @param fileValidMs how long the kernel may answer for a file without asking */
  constructor(directory: string, modes: { readonly file: number; readonly directory: number }, fileValidMs: number) {
    this.#root = Buffer.from(`${directory}/`, 'utf8');
    this.#modes = modes;
    this.#fileValidMs = fileValidMs;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  stat(path: string): Stat | undefined {
    const stats = lstatSync(this.#real(path), { throwIfNoEntry: false });
    return stats === undefined ? undefined : this.#stat(stats);
  }

  list(path: string): ListedName[] {
    const entries = readdirSync(this.#real(path), { withFileTypes: true, encoding: 'buffer' });
    return entries.map((entry) => ({
      name: entry.name.toString('latin1'),
      kind: entry.isDirectory() ? 'directory' : 'file',
      stat: undefined,
    }));
  }

  open(path: string, mode: OpenMode, create?: { exclusive: boolean }): OpenFile {
    const flags =
      (mode.write ? constants.O_RDWR : constants.O_RDONLY) |
      (mode.truncate ? constants.O_TRUNC : 0) |
      (create === undefined ? 0 : constants.O_CREAT | (create.exclusive ? constants.O_EXCL : 0)) |
      constants.O_NOFOLLOW;
    const fd = openSync(this.#real(path), flags, 0o600);
    // O_TRUNC of an empty file leaves its time: Odoo's newest garbage collector reads the mtime as "seen just now".
    if (mode.truncate) futimesSync(fd, Date.now() / 1000, Date.now() / 1000);
    return new LocalFile(fd, (stats) => this.#stat(stats));
  }

  mkdir(path: string): void {
    const make = (): void => mkdirSync(this.#real(path), { mode: 0o700 });
    try {
      make();
    } catch (error) {
      if (kindOf(error) !== 'not-found' || path.includes('/')) throw error;
      // Somebody removed the whole of it under the daemon. Not what lies above: its disk may be gone.
      mkdirSync(this.#root, { mode: 0o700 });
      make();
    }
  }

  rmdir(path: string): void {
    rmdirSync(this.#real(path));
  }

  unlink(path: string): void {
    unlinkSync(this.#real(path));
  }

  /** Removes everything. */
  clear(): void {
    for (const entry of readdirSync(this.#root, { encoding: 'buffer' })) {
      rmSync(Buffer.concat([this.#root, entry]), { recursive: true, force: true });
    }
  }

  rename(from: string, to: string, noReplace: boolean): void {
    if (noReplace && this.stat(to) !== undefined) throw new FilestoreError('exists', `${displayName(to)} exists`);
    renameSync(this.#real(from), this.#real(to));
  }

  setTimes(path: string, mtimeMs: number): void {
    utimesSync(this.#real(path), secondsOf(mtimeMs), secondsOf(mtimeMs));
  }

  truncate(path: string, sizeBytes: number): void {
    truncateSync(this.#real(path), sizeBytes);
  }

  #real(path: string): Buffer {
    return Buffer.concat([this.#root, Buffer.from(path, 'latin1')]);
  }

  #stat(stats: Stats): Stat {
    const directory = stats.isDirectory();
    return {
      kind: directory ? 'directory' : 'file',
      sizeBytes: directory ? DIRECTORY_SIZE_BYTES : stats.size,
      mtimeMs: stats.mtimeMs,
      mode: directory ? this.#modes.directory : this.#modes.file,
      validMs: directory ? DIRECTORY_VALID_MS : this.#fileValidMs,
    };
  }
}

/** As text: of a number below 0 Node makes "now". */
function secondsOf(timeMs: number): string {
  return String(timeMs / 1000);
}

class LocalFile implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = false;
  readonly streaming = false;
  readonly #fd: number;
  readonly #toStat: (stats: Stats) => Stat;

  constructor(fd: number, toStat: (stats: Stats) => Stat) {
    this.#fd = fd;
    this.#toStat = toStat;
  }

  stat(): Stat {
    return this.#toStat(fstatSync(this.#fd));
  }

  read(offset: number, length: number): FileSlice {
    return { fd: this.#fd, position: offset, length };
  }

  write(offset: number, data: Uint8Array): number {
    return writeSync(this.#fd, data, 0, data.length, offset);
  }

  truncate(sizeBytes: number): void {
    ftruncateSync(this.#fd, sizeBytes);
  }

  setTimes(mtimeMs: number): void {
    futimesSync(this.#fd, secondsOf(mtimeMs), secondsOf(mtimeMs));
  }

  flush(): void {
    // Plain local files: the page cache has it, which outlives this daemon.
  }

  fsync(): void {
    fsyncSync(this.#fd);
  }

  release(): void {
    closeSync(this.#fd);
  }
}
