/**
 * Random operations through the in-memory driver, each held against a plain reference tree: results, kinds of failure, identity of inodes
 * across renames, files that live on behind their handles, and that nothing is left when all is closed and forgotten.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { kindOf, unreachable } from '../../src/base/errors.js';
import { SILENT_LOG } from '../../src/base/log.js';
import { ROOT_INO, type Caller } from '../../src/fuse/file-system.js';
import { createMemoryDriver, type MemoryMount } from '../helpers/memory-driver.js';
import { createVfs, type Vfs } from '../../src/vfs/vfs.js';
import { MemoryFilestore } from '../helpers/memory-filestore.js';
import { ReferenceTree, resized, written, type RefFile, type RefNode } from './reference-tree.js';

const path = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const bytes = fc.uint8Array({ minLength: 0, maxLength: 9 });
const slot = fc.nat({ max: 3 });

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('mkdir'), path }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('write'), path, bytes }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('write-exclusive'), path, bytes }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('append'), path, bytes }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate'), path, size: fc.nat({ max: 12 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unlink'), path }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('rmdir'), path }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('rename'), path, to: path, noReplace: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read'), path }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('list'), path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('hold-open'), path, slot }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('write-held'), slot, bytes, offset: fc.nat({ max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('close-held'), slot }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('hold-inode'), path, slot }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('forget-inode'), slot }) },
) satisfies fc.Arbitrary<{ op: string }>;

type Operation =
  | { op: 'mkdir' | 'unlink' | 'rmdir' | 'read' | 'list'; path: string }
  | { op: 'write' | 'write-exclusive' | 'append'; path: string; bytes: Uint8Array }
  | { op: 'truncate'; path: string; size: number }
  | { op: 'rename'; path: string; to: string; noReplace: boolean }
  | { op: 'hold-open' | 'hold-inode'; path: string; slot: number }
  | { op: 'write-held'; slot: number; bytes: Uint8Array; offset: number }
  | { op: 'close-held' | 'forget-inode'; slot: number };

type HeldFile = Awaited<ReturnType<MemoryMount['client']['open']>>;

class Comparison {
  readonly vfs: Vfs;
  readonly #mount: MemoryMount;
  readonly #reference = new ReferenceTree();
  readonly #files = new Map<number, { file: HeldFile; ref: RefFile }>();
  readonly #inodes = new Map<number, { ino: number; ref: RefNode }>();
  readonly #me: Caller = { uid: 0, gid: 0, pid: process.pid, signal: new AbortController().signal };

  constructor(vfs: Vfs, mount: MemoryMount) {
    this.vfs = vfs;
    this.#mount = mount;
  }

  /** The same question to both; the same answer or the same kind of failure. */
  async #same<T>(what: string, real: () => Promise<T>, reference: () => T): Promise<void> {
    const [got, wanted] = [await outcome(real), await outcome(() => Promise.resolve().then(reference))];
    assert.deepEqual(got, wanted, what);
  }

  async step(operation: Operation): Promise<void> {
    const { client } = this.#mount;
    const reference = this.#reference;
    const what = JSON.stringify(operation);
    switch (operation.op) {
      case 'mkdir':
        return this.#same(
          what,
          () => client.mkdir(operation.path).then(nothing),
          () => reference.mkdir(operation.path),
        );
      case 'unlink':
        return this.#same(
          what,
          () => client.unlink(operation.path),
          () => reference.unlink(operation.path),
        );
      case 'rmdir':
        return this.#same(
          what,
          () => client.rmdir(operation.path),
          () => reference.rmdir(operation.path),
        );
      case 'read':
        return this.#same(
          what,
          () => client.readFile(operation.path),
          () => reference.file(operation.path).content,
        );
      case 'list':
        return this.#same(
          what,
          async () => (await client.readdir(operation.path)).sort(),
          () => reference.list(operation.path),
        );
      case 'write':
      case 'write-exclusive':
      case 'append':
        return this.#write(what, operation.op, operation.path, operation.bytes);
      case 'truncate':
        return this.#same(
          what,
          () => client.truncate(operation.path, operation.size).then(nothing),
          () => {
            const node = reference.node(operation.path);
            if (node.kind === 'directory') throw Object.assign(new Error('directory'), { code: 'EISDIR' });
            node.content = resized(node.content, operation.size);
          },
        );
      case 'rename':
        return this.#same(
          what,
          () => client.rename(operation.path, operation.to, { noReplace: operation.noReplace }),
          () => reference.rename(operation.path, operation.to, operation.noReplace),
        );
      case 'hold-open':
        return this.#holdOpen(operation.path, operation.slot);
      case 'write-held':
        return this.#writeHeld(operation.slot, operation.offset, operation.bytes);
      case 'close-held':
        return this.#closeHeld(operation.slot);
      case 'hold-inode':
        return this.#holdInode(operation.path, operation.slot);
      case 'forget-inode':
        this.#forgetInode(operation.slot);
        return;
      default:
        return unreachable(operation);
    }
  }

  /** What is held is still what it was, wherever its name went. */
  async checkHeld(): Promise<void> {
    for (const { file, ref } of this.#files.values()) {
      assert.deepEqual(await file.readAll(), ref.content);
      const stat = await file.stat();
      assert.deepEqual([stat.sizeBytes, stat.nlink, stat.ino], [ref.content.length, ref.linked ? 1 : 0, file.ino]);
    }
    for (const { ino, ref } of this.#inodes.values()) {
      const isOpen = [...this.#files.values()].some((held) => held.ref === ref);
      if (!ref.linked && !isOpen && ref.kind === 'file') {
        assert.equal((await outcome(async () => this.vfs.getattr(this.#me, ino, undefined))).failed, 'stale');
        continue;
      }
      const { attributes } = await this.vfs.getattr(this.#me, ino, undefined);
      assert.deepEqual([attributes.kind, attributes.nlink === 0], [ref.kind, !ref.linked]);
      if (ref.kind === 'file') assert.equal(attributes.sizeBytes, ref.content.length);
    }
    const inodes = [...this.#inodes.values(), ...[...this.#files.values()].map(({ file, ref }) => ({ ino: file.ino, ref }))];
    for (const one of inodes) for (const other of inodes) assert.equal(one.ino === other.ino, one.ref === other.ref, 'one inode, one file');
  }

  async letGo(): Promise<void> {
    for (const slot of [...this.#files.keys()]) await this.#closeHeld(slot);
    for (const slot of [...this.#inodes.keys()]) this.#forgetInode(slot);
    assert.equal(this.#mount.client.heldLookups.size, 0);
    assert.deepEqual([this.vfs.openFiles, this.vfs.knownInodes], [0, 1]);
  }

  #write(what: string, op: 'write' | 'write-exclusive' | 'append', name: string, data: Uint8Array): Promise<void> {
    const mode = op === 'write' ? 'w' : op === 'append' ? 'a' : 'wx';
    return this.#same(
      what,
      () => this.#mount.client.writeFile(name, data, mode),
      () => {
        const file = this.#reference.openToWrite(name, { truncate: mode === 'w', exclusive: mode === 'wx', create: true });
        file.content = written(file.content, mode === 'a' ? file.content.length : 0, data);
      },
    );
  }

  async #holdOpen(name: string, slot: number): Promise<void> {
    if (this.#files.has(slot)) return;
    let file: HeldFile | undefined;
    let ref: RefFile | undefined;
    await this.#same(
      `open ${name}`,
      async () => {
        file = await this.#mount.client.open(name, 'r+');
      },
      () => {
        ref = this.#reference.openToWrite(name, { truncate: false, exclusive: false, create: false });
      },
    );
    if (file !== undefined && ref !== undefined) this.#files.set(slot, { file, ref });
  }

  async #writeHeld(slot: number, offset: number, data: Uint8Array): Promise<void> {
    const held = this.#files.get(slot);
    if (held === undefined || data.length === 0) return;
    await held.file.write(data, offset);
    held.ref.content = written(held.ref.content, offset, data);
  }

  async #closeHeld(slot: number): Promise<void> {
    await this.#files.get(slot)?.file.close();
    this.#files.delete(slot);
  }

  async #holdInode(name: string, slot: number): Promise<void> {
    if (this.#inodes.has(slot)) return;
    let parent = ROOT_INO;
    const walked: number[] = [];
    for (const part of name.split('/')) {
      const kind = parent === ROOT_INO ? 'directory' : (await this.vfs.getattr(this.#me, parent, undefined)).attributes.kind;
      const entry = kind === 'directory' ? await this.vfs.lookup(this.#me, parent, part) : undefined;
      if (entry === undefined) break;
      parent = entry.attributes.ino;
      walked.push(parent);
    }
    const ino = walked.length === name.split('/').length ? walked.pop() : undefined;
    for (const passed of walked) this.vfs.forget(passed, 1);
    const { failed } = await outcome(() => Promise.resolve().then(() => this.#reference.node(name)));
    assert.equal(ino === undefined, failed !== undefined);
    if (ino !== undefined) this.#inodes.set(slot, { ino, ref: this.#reference.node(name) });
  }

  #forgetInode(slot: number): void {
    const held = this.#inodes.get(slot);
    if (held !== undefined) this.vfs.forget(held.ino, 1);
    this.#inodes.delete(slot);
  }
}

function nothing(): void {
  return undefined;
}

async function outcome<T>(work: () => Promise<T>): Promise<{ value?: T; failed?: string }> {
  try {
    return { value: await work() };
  } catch (error) {
    return { failed: kindOf(error) };
  }
}

for (const slow of [false, true]) {
  test(`a mount behaves as a plain tree does when the filestore answers ${slow ? 'later' : 'at once'}`, async () => {
    const property = fc.asyncProperty(
      fc.array(operation as fc.Arbitrary<Operation>, { maxLength: 80, size: 'max' }),
      async (operations) => {
        const vfs = createVfs(new MemoryFilestore({ slow }), { uid: 0, gid: 0, log: SILENT_LOG });
        const comparison = new Comparison(vfs, await createMemoryDriver().mount(vfs));
        for (const one of operations) {
          await comparison.step(one);
          await comparison.checkHeld();
        }
        await comparison.letGo();
      },
    );
    await fc.assert(property, { numRuns: slow ? 60 : 250, seed: 20_231_107 });
  });
}
