/**
 * Random operations of two machines on one container, with restarts and outages, held against a plain map: what was written is read
 * everywhere, what was deleted is gone everywhere, torn bytes are nowhere, and in the end Swift holds exactly what the map holds.
 *
 * With `negative_ttl` and `delete_bound` at nothing the two machines must agree after every answer (docs/SEMANTICS.md says what they may
 * differ by otherwise).
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { kindOf, unreachable } from '../../src/base/errors.js';
import { createLog } from '../../src/base/log.js';
import { openCache } from '../../src/cache/blob-cache.js';
import type { BlobCache } from '../../src/cache/cache.js';
import type { FilestoreSettings, RunningFilestore } from '../../src/filestore/filestore-options.js';
import { openFilestore } from '../../src/filestore/open-filestore.js';
import { createMemoryDriver, type MemoryMount } from '../../src/fuse/memory-driver.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { makeBlobs, type Blob } from '../helpers/blobs.js';
import { filestoreSettings } from '../helpers/filestore-settings.js';
import { MemoryStore } from '../helpers/memory-store.js';
import { eventually } from '../helpers/processes.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';

const BLOBS = makeBlobs(5, 3000);
const PLAIN = ['notes.txt', 'docs/one', 'docs/two'];
const DATABASE = 'model';

const machine = fc.constantFrom(0, 1);
const blob = fc.nat({ max: BLOBS.length - 1 });
const plain = fc.constantFrom(...PLAIN);

type Operation =
  | { op: 'write' | 'read' | 'exists' | 'unlink' | 'list' | 'torn' | 'upload'; machine: number; blob: number }
  | { op: 'write-plain'; machine: number; name: string; size: number }
  | { op: 'read-plain' | 'unlink-plain'; machine: number; name: string }
  | { op: 'restart'; machine: number }
  | { op: 'outage'; machine: number; blobs: number[] };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constantFrom('write' as const), machine, blob }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('read' as const, 'exists' as const), machine, blob }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('unlink' as const), machine, blob }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('list' as const, 'torn' as const, 'upload' as const), machine, blob }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('write-plain' as const), machine, name: plain, size: fc.nat({ max: 5000 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('read-plain' as const, 'unlink-plain' as const), machine, name: plain }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const), machine }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('outage' as const), machine, blobs: fc.array(blob, { minLength: 1, maxLength: 3 }) }),
  },
);

const SETTINGS: Partial<FilestoreSettings> = { database: DATABASE, nodes: 'many', writeTimeoutMs: 100, lookupWaitMs: 100 };

/** One machine: its spool and cache stay over a restart. */
class Machine {
  readonly #store: MemoryStore;
  readonly #directory: string;
  #running: { filestore: RunningFilestore; cache: BlobCache; mount: MemoryMount } | undefined;

  constructor(store: MemoryStore, directory: string) {
    this.#store = store;
    this.#directory = directory;
  }

  async start(): Promise<void> {
    // Warnings are part of an outage here; an error is not part of anything.
    const log = createLog('error', (line) => assert.fail(line));
    const cache = await openCache({ directory: path.join(this.#directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
    const filestore = await openFilestore(filestoreSettings(path.join(this.#directory, 'spool'), SETTINGS), {
      store: this.#store,
      cache,
      origin: undefined,
      log,
    });
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
    const mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
    this.#running = { filestore, cache, mount };
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { filestore, cache, mount } = this.#running;
    this.#running = undefined;
    await mount.unmount('clean');
    await filestore.close();
    await cache.close();
  }

  get client(): MemoryMount['client'] {
    assert.ok(this.#running !== undefined);
    return this.#running.mount.client;
  }

  /** As Odoo does: the shard's directory first. */
  async write(name: string, content: Uint8Array): Promise<void> {
    const directory = path.dirname(name);
    if (directory !== '.' && !(await this.client.exists(directory))) {
      await this.client.mkdir(directory).catch((error: unknown) => assert.equal(kindOf(error), 'exists'));
    }
    await this.client.writeFile(name, content);
  }

  /** Waits until Swift is known to be back, and for what is pending then. */
  async drained(): Promise<void> {
    await eventually('Swift is back', () => this.#running?.filestore.databases[0]?.state === 'serving', 20_000);
    assert.equal(await this.#running?.filestore.drain(20_000), true, 'what is pending is published');
  }
}

async function kindFrom(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return kindOf(error);
  }
}

class Run {
  readonly #store = new MemoryStore();
  readonly #reference = new Map<string, Buffer>();
  readonly #machines: readonly Machine[];

  constructor(directory: string) {
    this.#machines = ['a', 'b'].map((name) => new Machine(this.#store, path.join(directory, name)));
  }

  async play(operations: readonly Operation[]): Promise<void> {
    try {
      for (const one of this.#machines) await one.start();
      for (const one of operations) await this.#step(one);
      for (const one of this.#machines) await one.drained();
      const container = `odoo-${DATABASE}`;
      assert.deepEqual(this.#store.names(container)?.sort(), [...this.#reference.keys()].sort(), 'Swift holds what the map holds');
      for (const [name, content] of this.#reference) assert.deepEqual(this.#store.peek(container, name), content);
    } finally {
      this.#store.down = false;
      for (const one of this.#machines) await one.stop();
    }
  }

  async #step(operation: Operation): Promise<void> {
    const on = this.#machine(operation.machine);
    const what = JSON.stringify(operation);
    switch (operation.op) {
      case 'write': {
        const { name, content } = blobAt(operation.blob);
        await on.write(name, content);
        this.#reference.set(name, content);
        return;
      }
      case 'torn': {
        const { name } = blobAt(operation.blob);
        await on.write(name, Buffer.from('not these bytes')).catch(() => undefined);
        return this.#sameContent(on, name, what);
      }
      case 'upload': {
        const { name, content } = blobAt(operation.blob);
        await on.write('upload/fresh', content);
        if (!(await on.client.exists(path.dirname(name)))) await on.client.mkdir(path.dirname(name));
        await on.client.rename('upload/fresh', name);
        this.#reference.set(name, content);
        return this.#sameContent(on, name, what);
      }
      case 'read':
        return this.#sameContent(on, blobAt(operation.blob).name, what);
      case 'exists': {
        const { name } = blobAt(operation.blob);
        assert.equal(await on.client.exists(name), this.#reference.has(name), what);
        return;
      }
      case 'unlink':
        return this.#unlink(on, blobAt(operation.blob).name, what);
      case 'list': {
        const directory = path.dirname(blobAt(operation.blob).name);
        const wanted = [...this.#reference.keys()].filter((name) => path.dirname(name) === directory).map((name) => path.basename(name));
        if (wanted.length > 0) assert.deepEqual((await on.client.readdir(directory)).sort(), wanted.sort(), what);
        return;
      }
      case 'write-plain': {
        const content = Buffer.alloc(operation.size, operation.name);
        await on.write(operation.name, content);
        this.#reference.set(operation.name, content);
        return;
      }
      case 'read-plain':
        return this.#sameContent(on, operation.name, what);
      case 'unlink-plain':
        return this.#unlink(on, operation.name, what);
      case 'restart':
        await on.stop();
        await on.start();
        return;
      case 'outage':
        return this.#outage(on, operation.blobs, what);
      default:
        return unreachable(operation);
    }
  }

  /** Swift is away while one machine writes: its writes are there for itself at once and for all when Swift is back. */
  async #outage(on: Machine, blobs: readonly number[], what: string): Promise<void> {
    this.#store.down = true;
    for (const index of blobs) {
      const { name, content } = blobAt(index);
      await on.write(name, content);
      this.#reference.set(name, content);
      await this.#sameContent(on, name, what);
    }
    this.#store.down = false;
    await on.drained();
  }

  async #sameContent(on: Machine, name: string, what: string): Promise<void> {
    const wanted = this.#reference.get(name);
    if (wanted === undefined) {
      assert.equal(await kindFrom(on.client.readFile(name)), 'not-found', what);
      return;
    }
    assert.deepEqual(await on.client.readFile(name), wanted, what);
    assert.equal((await on.client.stat(name)).sizeBytes, wanted.length, what);
  }

  async #unlink(on: Machine, name: string, what: string): Promise<void> {
    const wasThere = this.#reference.delete(name);
    assert.equal(await kindFrom(on.client.unlink(name)), wasThere ? 'done' : 'not-found', what);
  }

  #machine(index: number): Machine {
    const found = this.#machines[index];
    assert.ok(found !== undefined);
    return found;
  }
}

function blobAt(index: number): Blob {
  const found = BLOBS[index];
  assert.ok(found !== undefined);
  return found;
}

test('two machines, restarts and outages agree with a plain map', { timeout: 120_000 }, async () => {
  const property = fc.asyncProperty(fc.array(operation, { maxLength: 25, size: 'max' }), async (operations) => {
    const directory = tempDir('filestore-model');
    try {
      await new Run(directory).play(operations);
    } finally {
      removeDir(directory);
    }
  });
  await fc.assert(property, { numRuns: 10, seed: 7, interruptAfterTimeLimit: 60_000 });
});
