/**
 * A disk that remembers what was asked of it, so that a power cut can be played at any moment afterwards. The calls of node:fs are wrapped before
 * the product is loaded (as in crash-child.ts); what goes on below one directory is written to a log, between notes of the test.
 *
 * What a power cut leaves, of the calls before it: all that an fsync covered, and of the rest whatever the file system likes. An fsync of a
 * file covers its bytes and its length, not its name; one of a directory covers the names in it (strictly POSIX: ext4 keeps more). A rename
 * is there wholly or not at all, and an fsync of either directory covers it. A sync covers what was done before it began.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';

class Node {
  readonly isDirectory: boolean;

  constructor(isDirectory: boolean) {
    this.isDirectory = isDirectory;
  }
}

type Entry =
  | { readonly kind: 'link' | 'unlink'; readonly directory: Node; readonly name: string; readonly node: Node }
  | {
      readonly kind: 'rename';
      readonly from: Node;
      readonly name: string;
      readonly to: Node;
      readonly newName: string;
      readonly node: Node;
    }
  | { readonly kind: 'write'; readonly node: Node; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly node: Node; readonly sizeBytes: number }
  /** Covers entries before `before`. */
  | { readonly kind: 'sync'; readonly node: Node; readonly before: number }
  | { readonly kind: 'note'; readonly note: unknown };

/** What of the calls that no sync covers is on the disk. `subset`: any of them, of writes perhaps a part. */
export const LEAVINGS = ['all', 'none', 'prefix', 'subset'] as const;
export type Leaving = (typeof LEAVINGS)[number];

interface OpenFile {
  readonly node: Node;
  readonly appends: boolean;
  position: number;
}

/** Contents as they are now or at a replayed moment. */
class Tree {
  readonly root: Node;
  readonly #names = new Map<Node, Map<string, Node>>();
  readonly #bytes = new Map<Node, Buffer>();

  constructor(root: Node) {
    this.root = root;
  }

  find(names: readonly string[]): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of names) node = node === undefined ? undefined : this.#names.get(node)?.get(name);
    return node;
  }

  bytesOf(node: Node): Buffer {
    return this.#bytes.get(node) ?? Buffer.alloc(0);
  }

  apply(entry: Entry): void {
    switch (entry.kind) {
      case 'link':
        this.#in(entry.directory).set(entry.name, entry.node);
        return;
      case 'unlink':
        if (this.#in(entry.directory).get(entry.name) === entry.node) this.#in(entry.directory).delete(entry.name);
        return;
      case 'rename':
        if (this.#in(entry.from).get(entry.name) === entry.node) this.#in(entry.from).delete(entry.name);
        this.#in(entry.to).set(entry.newName, entry.node);
        return;
      case 'write': {
        const end = entry.at + entry.bytes.length;
        let bytes = this.bytesOf(entry.node);
        if (bytes.length < end) {
          const longer = Buffer.alloc(end);
          bytes.copy(longer);
          bytes = longer;
          this.#bytes.set(entry.node, bytes);
        }
        entry.bytes.copy(bytes, entry.at);
        return;
      }
      case 'truncate': {
        const after = Buffer.alloc(entry.sizeBytes);
        this.#bytes.get(entry.node)?.copy(after);
        this.#bytes.set(entry.node, after);
        return;
      }
      case 'sync':
      case 'note':
    }
  }

  copyTo(directory: string, node = this.root): void {
    fs.mkdirSync(directory, { recursive: true });
    for (const [name, child] of this.#names.get(node) ?? []) {
      const target = path.join(directory, name);
      if (child.isDirectory) this.copyTo(target, child);
      else fs.writeFileSync(target, this.bytesOf(child));
    }
  }

  #in(directory: Node): Map<string, Node> {
    let names = this.#names.get(directory);
    if (names === undefined) this.#names.set(directory, (names = new Map<string, Node>()));
    return names;
  }
}

type AnyFunction = (...args: unknown[]) => unknown;

export class RecordedDisk {
  readonly log: Entry[] = [];
  readonly #directory: string;
  readonly #root = new Node(true);
  readonly #now = new Tree(this.#root);
  readonly #open = new Map<number, OpenFile>();
  #syncing = 0;

  /** @param directory what lies below it is recorded; it must be there and empty */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Syncs under way. */
  get syncing(): number {
    return this.#syncing;
  }

  note(note: unknown): void {
    this.log.push({ kind: 'note', note });
  }

  /** Moments worth a cut: right before and after each sync, and after each note. A cut at `n` leaves the entries before `n`. */
  moments(): number[] {
    const found = new Set<number>();
    for (const [index, { kind }] of this.log.entries()) {
      if (kind === 'sync') found.add(index);
      if (kind === 'sync' || kind === 'note') found.add(index + 1);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** Writes what a cut leaves below `target`. @param random 0 … 1 */
  cut(moment: number, leaving: Leaving, random: () => number, target: string): void {
    const covered = new Map<Node, number>();
    for (const entry of this.log.slice(0, moment)) {
      if (entry.kind === 'sync') covered.set(entry.node, Math.max(covered.get(entry.node) ?? 0, entry.before));
    }
    const isCovered = (entry: Entry, index: number): boolean => nodesOf(entry).some((node) => index < (covered.get(node) ?? 0));
    const entries = [...this.log.slice(0, moment).entries()];
    const loose = entries.filter(([index, entry]) => entry.kind !== 'sync' && entry.kind !== 'note' && !isCovered(entry, index));
    const kept = new Map<number, Entry>();
    const prefix = Math.floor(random() * (loose.length + 1));
    for (const [place, [index, entry]] of loose.entries()) {
      if (leaving === 'all' || (leaving === 'prefix' && place < prefix)) kept.set(index, entry);
      if (leaving === 'subset' && random() < 0.5) kept.set(index, partOf(entry, random));
    }
    const tree = new Tree(this.#root);
    for (const [index, entry] of entries) {
      if (isCovered(entry, index)) tree.apply(entry);
      const left = kept.get(index);
      if (left !== undefined) tree.apply(left);
    }
    tree.copyTo(target);
  }

  /** From now on. Modules of the product must not have been loaded yet: they take their functions when they are. */
  install(): void {
    const table = fs as unknown as Record<string, AnyFunction>;
    const promises = fs.promises as unknown as Record<string, AnyFunction>;
    this.#wrap(table, 'openSync', (args, result) => this.#opened(args[0], args[1], result as number));
    this.#wrap(table, 'closeSync', (args) => void this.#open.delete(args[0] as number));
    for (const name of ['writeSync', 'write']) this.#wrap(table, name, (args, result) => this.#written(args, result as number));
    this.#wrap(table, 'writevSync', ([fd, pieces, position], result) =>
      this.#written([fd, Buffer.concat(pieces as Uint8Array[]), 0, undefined, position], result as number),
    );
    for (const name of ['ftruncateSync', 'truncateSync'])
      this.#wrap(table, name, (args) => this.#truncated(args[0], (args[1] as number | undefined) ?? 0));
    this.#wrap(promises, 'truncate', (args) => this.#truncated(args[0], (args[1] as number | undefined) ?? 0));
    for (const [of, names] of [
      [table, ['renameSync']],
      [promises, ['rename']],
    ] as const) {
      for (const name of names) this.#wrap(of, name, (args) => this.#renamed(String(args[0]), String(args[1])));
    }
    for (const name of ['unlinkSync', 'unlink', 'rmdirSync', 'rmSync']) this.#wrap(table, name, (args) => this.#unlinked(String(args[0])));
    this.#wrap(promises, 'unlink', (args) => this.#unlinked(String(args[0])));
    this.#wrap(table, 'mkdirSync', (args) => this.#made(String(args[0])));
    this.#wrap(table, 'copyFileSync', (args) => this.#copied(String(args[1])));
    this.#wrap(promises, 'copyFile', (args) => this.#copied(String(args[1])));
    this.#wrap(table, 'writeFileSync', (args) => {
      this.#copied(String(args[0]));
      const node = this.#find(String(args[0]));
      if ((args[2] as { flush?: boolean } | undefined)?.flush === true && node !== undefined) this.#synced(node, this.log.length);
    });
    for (const name of ['fsync', 'fdatasync', 'fsyncSync', 'fdatasyncSync']) this.#wrapSync(table, name);
    syncBuiltinESMExports();
  }

  /** @param done called when the call has succeeded, before its caller learns of it */
  #wrap(table: Record<string, AnyFunction>, name: string, done: (args: readonly unknown[], result: unknown) => void): void {
    const original = table[name];
    if (original === undefined) return;
    const wrapped: AnyFunction = (...args) => {
      const callback = args.at(-1);
      if (typeof callback === 'function') {
        args[args.length - 1] = (error: unknown, result: unknown, ...more: unknown[]): void => {
          if (error == null) done(args.slice(0, -1), result);
          (callback as AnyFunction)(error, result, ...more);
        };
        return original(...args);
      }
      const result = original(...args);
      if (result instanceof Promise) {
        return result.then((value: unknown) => {
          done(args, value);
          return value;
        });
      }
      done(args, result);
      return result;
    };
    // What promisify looks for.
    Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
    table[name] = wrapped;
  }

  #wrapSync(table: Record<string, AnyFunction>, name: string): void {
    const original = table[name];
    if (original === undefined) return;
    const wrapped: AnyFunction = (fd, ...rest) => {
      const node = this.#open.get(fd as number)?.node;
      const before = this.log.length;
      const callback = rest.at(-1);
      this.#syncing++;
      const ended = (error: unknown): void => {
        this.#syncing--;
        if (error == null && node !== undefined) this.#synced(node, before);
      };
      if (typeof callback === 'function') {
        return original(fd, (error: unknown) => {
          ended(error);
          (callback as AnyFunction)(error);
        });
      }
      try {
        const result = original(fd, ...rest);
        ended(undefined);
        return result;
      } catch (error) {
        ended(error);
        throw error;
      }
    };
    Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(original));
    table[name] = wrapped;
  }

  #record(entry: Entry): void {
    this.log.push(entry);
    this.#now.apply(entry);
  }

  #synced(node: Node, before: number): void {
    this.#record({ kind: 'sync', node, before });
  }

  #opened(file: unknown, flags: unknown, fd: number): void {
    const names = this.#namesOf(String(file));
    if (names === undefined) return;
    const { O_CREAT, O_TRUNC, O_APPEND } = fs.constants;
    const text = typeof flags === 'string' ? flags : '';
    const bits = typeof flags === 'number' ? flags : 0;
    let node = this.#now.find(names);
    if (node === undefined && (/[wa]/.test(text) || (bits & O_CREAT) !== 0)) node = this.#link(names);
    if (node === undefined) return;
    if (text.startsWith('w') || (bits & O_TRUNC) !== 0) this.#record({ kind: 'truncate', node, sizeBytes: 0 });
    this.#open.set(fd, { node, appends: text.startsWith('a') || (bits & O_APPEND) !== 0, position: 0 });
  }

  #written([fd, data, ...rest]: readonly unknown[], written: number): void {
    const open = this.#open.get(fd as number);
    if (open === undefined) return;
    const [offset, , position] = rest as (number | null | undefined)[];
    const bytes = Buffer.from(data as Uint8Array).subarray(offset ?? 0, (offset ?? 0) + written);
    const own = open.appends ? this.#now.bytesOf(open.node).length : open.position;
    const at = open.appends ? own : (position ?? own);
    this.#record({ kind: 'write', node: open.node, at, bytes: Buffer.from(bytes) });
    if (position == null) open.position = at + written;
  }

  #truncated(file: unknown, sizeBytes: number): void {
    const node = typeof file === 'number' ? this.#open.get(file)?.node : this.#find(String(file));
    if (node !== undefined) this.#record({ kind: 'truncate', node, sizeBytes });
  }

  #renamed(from: string, to: string): void {
    const [source, target] = [this.#namesOf(from), this.#namesOf(to)];
    if (source === undefined || target === undefined) return;
    const node = this.#now.find(source);
    // Written by a call that is not recorded: it is taken in with the bytes it has now.
    if (node === undefined) return this.#copied(to);
    const [fromDirectory, toDirectory] = [this.#now.find(source.slice(0, -1)), this.#now.find(target.slice(0, -1))];
    if (fromDirectory === undefined || toDirectory === undefined) return;
    const [name, newName] = [source.at(-1) ?? '', target.at(-1) ?? ''];
    this.#record({ kind: 'rename', from: fromDirectory, name, to: toDirectory, newName, node });
  }

  #unlinked(file: string): void {
    const names = this.#namesOf(file);
    if (names === undefined) return;
    const [directory, node] = [this.#now.find(names.slice(0, -1)), this.#now.find(names)];
    if (directory !== undefined && node !== undefined) this.#record({ kind: 'unlink', directory, name: names.at(-1) ?? '', node });
  }

  #made(directory: string): void {
    const names = this.#namesOf(directory) ?? [];
    for (let depth = 1; depth <= names.length; depth++) {
      if (this.#now.find(names.slice(0, depth)) === undefined) this.#link(names.slice(0, depth), true);
    }
  }

  #copied(to: string): void {
    const names = this.#namesOf(to);
    if (names === undefined) return;
    const node = this.#now.find(names) ?? this.#link(names);
    const bytes = fs.readFileSync(to);
    // The calls within the call may have been recorded.
    if (node === undefined || this.#now.bytesOf(node).equals(bytes)) return;
    this.#record({ kind: 'truncate', node, sizeBytes: 0 });
    this.#record({ kind: 'write', node, at: 0, bytes });
  }

  #link(names: readonly string[], isDirectory = false): Node | undefined {
    const directory = this.#now.find(names.slice(0, -1));
    if (directory === undefined) return undefined;
    const node = new Node(isDirectory);
    this.#record({ kind: 'link', directory, name: names.at(-1) ?? '', node });
    return node;
  }

  #find(file: string): Node | undefined {
    const names = this.#namesOf(file);
    return names === undefined ? undefined : this.#now.find(names);
  }

  /** @returns the names below the recorded directory; undefined for what lies elsewhere */
  #namesOf(file: string): string[] | undefined {
    if (file === this.#directory) return [];
    const prefix = `${this.#directory}/`;
    return file.startsWith(prefix) ? file.slice(prefix.length).split('/') : undefined;
  }
}

function nodesOf(entry: Entry): readonly Node[] {
  switch (entry.kind) {
    case 'link':
    case 'unlink':
      return [entry.directory];
    case 'rename':
      return [entry.from, entry.to];
    case 'write':
    case 'truncate':
    case 'sync':
      return [entry.node];
    case 'note':
      return [];
  }
}

/** A write may have come to the disk in part: some of its sectors, with zeros or nothing for the rest. */
function partOf(entry: Entry, random: () => number): Entry {
  if (entry.kind !== 'write' || random() < 0.5) return entry;
  const bytes = Buffer.from(entry.bytes);
  const end = Math.floor(random() * bytes.length);
  if (random() < 0.5) return { ...entry, bytes: bytes.subarray(0, end) };
  bytes.fill(0, 0, end);
  return { ...entry, bytes };
}
