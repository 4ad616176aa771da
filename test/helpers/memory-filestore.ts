/**
 * A small filestore in memory for tests of vfs and of drivers: a plain tree, and the one thing that is not plain, content names. A blob
 * being written is its writer's alone until a close finds that its bytes hash to its name; what does not hash is torn and never appears.
 * Everything is answered at once, or in a later turn of the loop (`slow`), so that both ways through vfs are walked.
 */
import { createHash } from 'node:crypto';
import { FilestoreError } from '../../src/base/errors.js';
import type { Answer } from '../../src/base/maybe-promise.js';
import { contentSha1, joinPath, splitPath } from '../../src/base/names.js';
import type { ChangeListener, Filestore, ListedName, OpenFile, OpenMode, Stat, TakeNames, Usage } from '../../src/filestore/filestore.js';

export interface MemoryFilestoreOptions {
  /** Answers come in a later turn of the loop. */
  readonly slow?: boolean;
  /** What `Stat.validMs` says; default 1,000. */
  readonly validMs?: number;
}

class Bytes {
  data = Buffer.alloc(0);
  sizeBytes = 0;
  mtimeMs = Date.now();
  mode: number;

  constructor(mode: number) {
    this.mode = mode;
  }

  resize(sizeBytes: number): void {
    if (sizeBytes > this.data.length) {
      const larger = Buffer.alloc(Math.max(sizeBytes, this.data.length * 2));
      this.data.copy(larger, 0, 0, this.sizeBytes);
      this.data = larger;
    } else if (sizeBytes < this.sizeBytes) this.data.fill(0, sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
    this.mtimeMs = Date.now();
  }

  get content(): Buffer {
    return this.data.subarray(0, this.sizeBytes);
  }
}

interface Directory {
  mtimeMs: number;
  mode: number;
  readonly names: Set<string>;
}

export class MemoryFilestore implements Filestore {
  readonly #directories = new Map<string, Directory>([['', { mtimeMs: Date.now(), mode: 0o755, names: new Set() }]]);
  readonly #files = new Map<string, Bytes>();
  readonly #listeners: ChangeListener[] = [];
  readonly #slow: boolean;
  readonly #validMs: number;
  /** Calls by name, for tests of what a request costs. */
  readonly calls = new Map<string, number>();
  /** The next call of that name throws this. */
  readonly failures = new Map<string, FilestoreError>();
  openFiles = 0;

  constructor(options: MemoryFilestoreOptions = {}) {
    this.#slow = options.slow ?? false;
    this.#validMs = options.validMs ?? 1000;
  }

  lookup(path: string): Answer<Stat | undefined> {
    return this.#answer('lookup', () => this.statNow(path));
  }

  list(path: string): Answer<TakeNames> {
    return this.#answer('list', () => {
      const names: ListedName[] = [];
      for (const name of this.#directory(path).names) {
        const stat = this.statNow(joinPath(path, name));
        if (stat !== undefined) names.push({ name, kind: stat.kind, stat });
      }
      return () => names;
    });
  }

  open(path: string, mode: OpenMode): Answer<OpenFile> {
    return this.#answer('open', () => {
      if (this.#directories.has(path)) throw new FilestoreError('is-directory', `${path} is a directory`);
      const bytes = this.#files.get(path);
      if (bytes === undefined) throw new FilestoreError('not-found', `${path} is not there`);
      if (mode.write && this.isImmutable(path)) {
        const staging = new Bytes(bytes.mode);
        if (!mode.truncate) {
          staging.resize(bytes.sizeBytes);
          bytes.content.copy(staging.data);
        }
        return this.#opened(path, staging, mode, true);
      }
      if (mode.truncate) bytes.resize(0);
      return this.#opened(path, bytes, mode, false);
    });
  }

  create(path: string, options: { mode: number; exclusive: boolean; read: boolean }): Answer<OpenFile> {
    return this.#answer('create', () => {
      const { directory, name } = splitPath(path);
      const parent = this.#directory(directory);
      if (this.#directories.has(path)) throw new FilestoreError(options.exclusive ? 'exists' : 'is-directory', `${path} is a directory`);
      if (this.#files.has(path) && options.exclusive) throw new FilestoreError('exists', `${path} exists`);
      const mode = { read: options.read, write: true, truncate: true };
      if (this.isImmutable(path)) return this.#opened(path, new Bytes(options.mode), mode, true);
      const bytes = this.#files.get(path) ?? new Bytes(options.mode);
      bytes.resize(0);
      this.#files.set(path, bytes);
      this.#named(parent, name);
      return this.#opened(path, bytes, mode, false);
    });
  }

  mkdir(path: string, mode: number): Answer<void> {
    return this.#answer('mkdir', () => {
      const { directory, name } = splitPath(path);
      const parent = this.#directory(directory);
      if (parent.names.has(name)) throw new FilestoreError('exists', `${path} exists`);
      this.#directories.set(path, { mtimeMs: Date.now(), mode, names: new Set() });
      this.#named(parent, name);
    });
  }

  rmdir(path: string): Answer<void> {
    return this.#answer('rmdir', () => {
      if (this.#directory(path).names.size > 0) throw new FilestoreError('not-empty', `${path} is not empty`);
      this.#directories.delete(path);
      this.#unnamed(path);
    });
  }

  unlink(path: string): Answer<void> {
    return this.#answer('unlink', () => {
      if (this.#directories.has(path)) throw new FilestoreError('is-directory', `${path} is a directory`);
      if (!this.#files.delete(path)) throw new FilestoreError('not-found', `${path} is not there`);
      this.#unnamed(path);
    });
  }

  rename(from: string, to: string, options: { noReplace: boolean }): Answer<void> {
    return this.#answer('rename', () => {
      this.#renameNow(from, to, options.noReplace);
    });
  }

  setTimes(path: string, mtimeMs: number): Answer<void> {
    return this.#answer('setTimes', () => {
      this.#attributes(path).mtimeMs = mtimeMs;
    });
  }

  setMode(path: string, mode: number): Answer<void> {
    return this.#answer('setMode', () => {
      this.#attributes(path).mode = mode;
    });
  }

  truncate(path: string, sizeBytes: number): Answer<void> {
    return this.#answer('truncate', () => {
      const bytes = this.#files.get(path);
      if (bytes === undefined) throw new FilestoreError('not-found', `${path} is not there`);
      bytes.resize(sizeBytes);
    });
  }

  usage(): Answer<Usage> {
    return { totalBytes: 2 ** 40, freeBytes: 2 ** 39, files: this.#files.size };
  }

  isImmutable(path: string): boolean {
    return contentSha1(path) !== undefined;
  }

  onChange(listener: ChangeListener): void {
    this.#listeners.push(listener);
  }

  // What another node does, unseen by this mount's kernel.

  writeElsewhere(path: string, content: Uint8Array, mtimeMs = Date.now()): void {
    const { directory, name } = splitPath(path);
    const bytes = new Bytes(0o644);
    bytes.resize(content.length);
    bytes.data.set(content);
    bytes.mtimeMs = mtimeMs;
    this.#files.set(path, bytes);
    this.#named(this.#directory(directory), name);
    for (const listener of this.#listeners) listener(path);
  }

  unlinkElsewhere(path: string): void {
    this.#files.delete(path);
    this.#unnamed(path);
    for (const listener of this.#listeners) listener(path);
  }

  statNow(path: string): Stat | undefined {
    const directory = this.#directories.get(path);
    if (directory !== undefined)
      return { kind: 'directory', sizeBytes: 4096, mtimeMs: directory.mtimeMs, mode: directory.mode, validMs: 0 };
    const bytes = this.#files.get(path);
    return bytes === undefined ? undefined : this.#statOf(bytes);
  }

  #statOf(bytes: Bytes): Stat {
    return { kind: 'file', sizeBytes: bytes.sizeBytes, mtimeMs: bytes.mtimeMs, mode: bytes.mode, validMs: this.#validMs };
  }

  #renameNow(from: string, to: string, noReplace: boolean): void {
    const isDirectory = this.#directories.has(from);
    if (!isDirectory && !this.#files.has(from)) throw new FilestoreError('not-found', `${from} is not there`);
    const target = splitPath(to);
    const parent = this.#directory(target.directory);
    if (parent.names.has(target.name)) {
      if (noReplace) throw new FilestoreError('exists', `${to} exists`);
      if (from === to) return;
    }
    if (isDirectory && to.startsWith(`${from}/`)) throw new FilestoreError('invalid-argument', `${to} lies below ${from}`);
    if (parent.names.has(target.name)) {
      const over = this.#directories.get(to);
      if (over === undefined && isDirectory) throw new FilestoreError('not-directory', `${to} is not a directory`);
      if (over !== undefined && !isDirectory) throw new FilestoreError('is-directory', `${to} is a directory`);
      if (over !== undefined && over.names.size > 0) throw new FilestoreError('not-empty', `${to} is not empty`);
    }
    this.#files.delete(to);
    this.#directories.delete(to);
    move(this.#files, from, to);
    move(this.#directories, from, to);
    this.#unnamed(from);
    this.#named(parent, target.name);
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory !== undefined) return directory;
    if (this.#files.has(path)) throw new FilestoreError('not-directory', `${path} is not a directory`);
    throw new FilestoreError('not-found', `${path} is not there`);
  }

  #attributes(path: string): { mtimeMs: number; mode: number } {
    const found = this.#directories.get(path) ?? this.#files.get(path);
    if (found === undefined) throw new FilestoreError('not-found', `${path} is not there`);
    return found;
  }

  #named(parent: Directory, name: string): void {
    parent.names.add(name);
    parent.mtimeMs = Date.now();
  }

  #unnamed(path: string): void {
    const { directory, name } = splitPath(path);
    const parent = this.#directories.get(directory);
    if (parent === undefined) return;
    parent.names.delete(name);
    parent.mtimeMs = Date.now();
  }

  /** @param staged the bytes are the writer's alone until a close finds them to hash to the name */
  #opened(path: string, bytes: Bytes, mode: OpenMode, staged: boolean): OpenFile {
    this.openFiles++;
    let written = mode.truncate;
    const seal = (): void => {
      if (!staged || !written) return;
      if (createHash('sha1').update(bytes.content).digest('hex') !== contentSha1(path)) return;
      written = false;
      const { directory, name } = splitPath(path);
      const parent = this.#directories.get(directory);
      if (parent === undefined) return;
      this.#files.set(path, bytes);
      this.#named(parent, name);
    };
    return {
      passthroughFd: undefined,
      immutable: this.isImmutable(path) && !mode.write,
      streaming: false,
      stat: () => this.#answer('file.stat', () => this.#statOf(bytes)),
      read: (offset, length) =>
        this.#answer('file.read', () => {
          if (!mode.read) throw new FilestoreError('bad-handle', 'not open for reading');
          return Buffer.from(bytes.data.subarray(Math.min(offset, bytes.sizeBytes), Math.min(offset + length, bytes.sizeBytes)));
        }),
      write: (offset, data) => {
        // Taken at once: the driver uses its buffer again.
        if (offset + data.length > bytes.sizeBytes) bytes.resize(offset + data.length);
        bytes.data.set(data, offset);
        bytes.mtimeMs = Date.now();
        written = true;
        return this.#answer('file.write', () => data.length);
      },
      truncate: (sizeBytes) =>
        this.#answer('file.truncate', () => {
          bytes.resize(sizeBytes);
          written = true;
        }),
      setTimes: (mtimeMs) => {
        bytes.mtimeMs = mtimeMs;
      },
      flush: () => this.#answer('file.flush', seal),
      fsync: () => this.#answer('file.fsync', () => undefined),
      release: () => {
        this.openFiles--;
        seal();
      },
    };
  }

  #answer<T>(call: string, work: () => T): Answer<T> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const failure = this.failures.get(call);
    if (failure !== undefined) {
      this.failures.delete(call);
      throw failure;
    }
    if (!this.#slow) return work();
    return new Promise<void>((resolve) => setImmediate(resolve)).then(work);
  }
}

function move<T>(map: Map<string, T>, from: string, to: string): void {
  for (const [path, value] of [...map]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    map.delete(path);
    map.set(to + path.slice(from.length), value);
  }
}
