/** What an ordinary file system would do: a tree of nodes with identity, for model tests. Failures are error kinds. */
import { FilestoreError, type ErrorKind } from '../../src/base/errors.js';

export interface RefFile {
  readonly kind: 'file';
  content: Buffer;
  linked: boolean;
}

interface RefDirectory {
  readonly kind: 'directory';
  readonly names: Map<string, RefNode>;
  linked: boolean;
}

export type RefNode = RefFile | RefDirectory;

function fail(kind: ErrorKind): never {
  throw new FilestoreError(kind, `the reference says ${kind}`);
}

export class ReferenceTree {
  readonly root: RefDirectory = { kind: 'directory', names: new Map(), linked: true };

  node(path: string): RefNode {
    return this.#walk(path.split('/'));
  }

  /** @throws as open(2) with O_CREAT does */
  openToWrite(path: string, options: { truncate: boolean; exclusive: boolean; create: boolean }): RefFile {
    const { parent, name } = this.#parent(path);
    const there = parent.names.get(name);
    if (there === undefined) {
      if (!options.create) fail('not-found');
      const file: RefFile = { kind: 'file', content: Buffer.alloc(0), linked: true };
      parent.names.set(name, file);
      return file;
    }
    if (options.exclusive) fail('exists');
    if (there.kind === 'directory') fail('is-directory');
    if (options.truncate) there.content = Buffer.alloc(0);
    return there;
  }

  file(path: string): RefFile {
    const { parent, name } = this.#parent(path);
    const there = parent.names.get(name) ?? fail('not-found');
    return there.kind === 'file' ? there : fail('is-directory');
  }

  mkdir(path: string): void {
    const { parent, name } = this.#parent(path);
    if (parent.names.has(name)) fail('exists');
    parent.names.set(name, { kind: 'directory', names: new Map(), linked: true });
  }

  unlink(path: string): void {
    const { parent, name } = this.#parent(path);
    const there = parent.names.get(name) ?? fail('not-found');
    if (there.kind === 'directory') fail('is-directory');
    parent.names.delete(name);
    there.linked = false;
  }

  rmdir(path: string): void {
    const { parent, name } = this.#parent(path);
    const there = parent.names.get(name) ?? fail('not-found');
    if (there.kind !== 'directory') fail('not-directory');
    if (there.names.size > 0) fail('not-empty');
    parent.names.delete(name);
    there.linked = false;
  }

  rename(from: string, to: string, noReplace: boolean): void {
    const source = this.#parent(from);
    const moved = source.parent.names.get(source.name) ?? fail('not-found');
    const target = this.#parent(to);
    const over = target.parent.names.get(target.name);
    if (over !== undefined && noReplace) fail('exists');
    if (over === moved) return;
    if (moved.kind === 'directory' && to.startsWith(`${from}/`)) fail('invalid-argument');
    if (over !== undefined) {
      if (over.kind === 'file' && moved.kind === 'directory') fail('not-directory');
      if (over.kind === 'directory' && moved.kind === 'file') fail('is-directory');
      if (over.kind === 'directory' && over.names.size > 0) fail('not-empty');
      over.linked = false;
    }
    source.parent.names.delete(source.name);
    target.parent.names.set(target.name, moved);
  }

  list(path: string): string[] {
    const node = path === '' ? this.root : this.node(path);
    return node.kind === 'directory' ? [...node.names.keys()].sort() : fail('not-directory');
  }

  #parent(path: string): { parent: RefDirectory; name: string } {
    const names = path.split('/');
    const name = names.pop() ?? '';
    const parent = this.#walk(names);
    return parent.kind === 'directory' ? { parent, name } : fail('not-directory');
  }

  #walk(names: readonly string[]): RefNode {
    let node: RefNode = this.root;
    for (const name of names) {
      if (node.kind !== 'directory') fail('not-directory');
      node = node.names.get(name) ?? fail('not-found');
    }
    return node;
  }
}

export function resized(content: Buffer, sizeBytes: number): Buffer {
  const next = Buffer.alloc(sizeBytes);
  content.copy(next, 0, 0, Math.min(sizeBytes, content.length));
  return next;
}

export function written(content: Buffer, offset: number, data: Uint8Array): Buffer {
  const next = resized(content, Math.max(content.length, offset + data.length));
  next.set(data, offset);
  return next;
}
