/**
 * Random lives of databases in a whole-filestore mount: made, written to, dropped as Odoo does (rmtree), made anew under the same name, renamed
 * (which is refused, so shutil.move copies), with faults, outages and restarts between. A database that was dropped starts empty, and in
 * the end Swift holds what the reference holds, in one container for each database and no others.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { unreachable } from '../../src/base/errors.js';
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';
import { makeBlobs } from '../helpers/blobs.js';
import { MemoryStore } from '../helpers/memory-store.js';
import type { StoreMethod } from '../helpers/store-faults.js';
import { eventually } from '../helpers/processes.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { Machine, outcomeOf, runsOf } from './machine.js';
import { ReferenceFilestore } from './reference-filestore.js';

const BLOBS = makeBlobs(6, 2000);
const NAMES = [...BLOBS.map(({ name }) => name), 'notes.txt', 'docs/one'];
const DATABASES = ['one', 'two', 'three'];

const database = fc.constantFrom(...DATABASES);
const name = fc.constantFrom(...NAMES);

type Call =
  | { op: 'make' | 'drop' | 'check'; database: string }
  | { op: 'rename'; database: string; to: string }
  | { op: 'write' | 'unlink'; database: string; name: string }
  | { op: 'restart' };
type Operation = Call | { op: 'outage'; calls: Call[] } | { op: 'fault'; method: StoreMethod; how: 'refused' | 'answer lost'; call: Call };

const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('make' as const), database }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('drop' as const, 'check' as const), database }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rename' as const), database, to: database }) },
  { weight: 12, arbitrary: fc.record({ op: fc.constant('write' as const), database, name }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unlink' as const), database, name }) },
  { weight: 1, arbitrary: fc.constant({ op: 'restart' as const }) },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 16, arbitrary: call },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('outage' as const), calls: fc.array(call, { minLength: 1, maxLength: 6 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('fault' as const),
      method: fc.constantFrom(...(['put', 'head', 'delete', 'deleteMany', 'createContainer', 'deleteContainer', 'headContainer'] as const)),
      how: fc.constantFrom('refused' as const, 'answer lost' as const),
      call,
    }),
  },
);

const SETTINGS: Partial<FilestoreSettings> = { database: undefined, writeTimeoutMs: 2_000, lookupWaitMs: 500, readTimeoutMs: 400 };

class Run {
  readonly #store = new MemoryStore();
  readonly #machine: Machine;
  /** Those that exist. */
  readonly #databases = new Map<string, ReferenceFilestore>();
  #what = '';
  #isWell = true;

  constructor(directory: string) {
    this.#machine = new Machine(this.#store, directory, SETTINGS);
  }

  async play(operations: readonly Operation[]): Promise<void> {
    try {
      await this.#machine.start();
      // Always there: its status tells when Swift is back.
      await this.#machine.client.mkdir('keeper');
      for (const one of operations) {
        this.#what = JSON.stringify(one);
        await this.#step(one);
      }
      this.#what = 'in the end';
      await this.#machine.drained();
      await this.#machine.stop();
      await this.#machine.start();
      await this.#machine.drained();
      for (const name of DATABASES) {
        await this.#check(name);
        await this.#inSwift(name);
      }
    } finally {
      this.#store.down = false;
      this.#store.clearFaults();
      await this.#machine.stop();
    }
  }

  async #step(operation: Operation): Promise<void> {
    switch (operation.op) {
      case 'outage':
        this.#store.down = true;
        this.#isWell = false;
        for (const one of operation.calls) await this.#call(one);
        this.#store.down = false;
        break;
      case 'fault':
        if (operation.how === 'answer lost') this.#store.loseNext(operation.method);
        else this.#store.failNext(operation.method);
        this.#isWell = false;
        await this.#call(operation.call);
        this.#store.clearFaults();
        break;
      default:
        return this.#call(operation);
    }
    await this.#machine.drained();
    this.#isWell = true;
    for (const name of DATABASES) await this.#check(name);
  }

  async #call(call: Call): Promise<void> {
    const { client } = this.#machine;
    switch (call.op) {
      case 'make': {
        const wanted = this.#databases.has(call.database) ? 'exists' : 'done';
        assert.equal(await outcomeOf(client.mkdir(call.database)), wanted, this.#what);
        if (wanted === 'done') this.#databases.set(call.database, new ReferenceFilestore(1));
        return this.#check(call.database);
      }
      case 'drop':
        if (!this.#databases.has(call.database)) return this.#check(call.database);
        await this.#removeTree(call.database);
        this.#databases.delete(call.database);
        return this.#check(call.database);
      case 'rename':
        return this.#rename(call.database, call.to);
      case 'write':
        return this.#write(call.database, call.name, contentOf(call.name, call.database));
      case 'unlink': {
        const wanted = this.#databases.get(call.database)?.unlink(0, call.name) ?? 'not-found';
        const outcome = await outcomeOf(client.unlink(`${call.database}/${call.name}`));
        if (wanted === 'done' || this.#isWell) assert.equal(outcome, wanted, this.#what);
        return;
      }
      case 'check':
        return this.#check(call.database);
      case 'restart':
        await this.#machine.stop();
        return this.#machine.start();
      default:
        return unreachable(call);
    }
  }

  async #write(database: string, name: string, bytes: Buffer): Promise<void> {
    const { client } = this.#machine;
    const reference = this.#databases.get(database);
    if (reference === undefined) {
      assert.equal(await outcomeOf(client.writeFile(`${database}/${name}`, bytes)), 'not-found', this.#what);
      return;
    }
    const parent = path.posix.dirname(`${database}/${name}`);
    if (!(await client.exists(parent).catch(() => false))) await client.mkdir(parent).catch(() => undefined);
    const outcome = await outcomeOf(client.writeFile(`${database}/${name}`, bytes));
    // A name that is not content-named cannot be looked up while Swift does not answer.
    if (outcome !== 'done') return assert.ok(!this.#isWell && BLOBS.every((blob) => blob.name !== name), `${this.#what}: ${outcome}`);
    reference.write(0, name, bytes);
    assert.deepEqual(await client.readFile(`${database}/${name}`), bytes, this.#what);
  }

  /** As shutil.move does where a rename is refused: copytree, then rmtree. */
  async #rename(from: string, to: string): Promise<void> {
    const { client } = this.#machine;
    const source = this.#databases.get(from);
    if (source === undefined) {
      assert.equal(await outcomeOf(client.rename(from, to)), 'not-found', this.#what);
      return;
    }
    if (this.#databases.has(to) || !this.#isWell) return;
    assert.equal(await outcomeOf(client.rename(from, to)), 'cross-device', this.#what);
    await this.#call({ op: 'make', database: to });
    for (const name of [...source.files.keys()]) await this.#write(to, name, await client.readFile(`${from}/${name}`));
    await this.#call({ op: 'drop', database: from });
  }

  /** shutil.rmtree: each directory is listed, its files unlinked, then it is removed. */
  async #removeTree(directory: string): Promise<void> {
    const { client } = this.#machine;
    for (const { name, kind } of await client.readdirEntries(directory)) {
      const below = `${directory}/${name}`;
      if (kind === 'directory') await this.#removeTree(below);
      else await client.unlink(below);
    }
    await client.rmdir(directory);
  }

  async #check(database: string): Promise<void> {
    const { client } = this.#machine;
    const reference = this.#databases.get(database);
    assert.equal(await client.exists(database), reference !== undefined, `${this.#what}: ${database} is there`);
    assert.equal((await client.readdir('')).includes(database), reference !== undefined, `${this.#what}: ${database} is listed`);
    for (const name of NAMES) {
      const outcome = await outcomeOf(client.stat(`${database}/${name}`));
      const wanted = reference?.read(0, name);
      if (this.#isWell || wanted !== undefined)
        assert.equal(outcome, wanted === undefined ? 'not-found' : 'done', `${this.#what}: ${name}`);
      if (this.#isWell && wanted !== undefined) assert.deepEqual(await client.readFile(`${database}/${name}`), wanted, this.#what);
    }
  }

  async #inSwift(database: string): Promise<void> {
    const reference = this.#databases.get(database);
    const container = `odoo-${database}`;
    if (reference === undefined) {
      await eventually(`${container} is removed`, () => this.#store.names(container) === undefined, 20_000);
      return;
    }
    assert.deepEqual(this.#store.names(container) ?? [], [...reference.files.keys()].sort(), `${database} in Swift`);
    for (const [name, bytes] of reference.files) assert.deepEqual(this.#store.peek(container, name), bytes);
  }
}

function contentOf(name: string, database: string): Buffer {
  return BLOBS.find((blob) => blob.name === name)?.content ?? Buffer.from(`${name} of ${database}`);
}

test('databases that are made, dropped, made anew and renamed agree with plain maps', { timeout: 600_000 }, async (t) => {
  const awake = setInterval(() => undefined, 1000);
  const runs = runsOf({ runs: 8, seed: 11 });
  t.diagnostic(`seed ${runs.seed}, ${runs.numRuns} runs`);
  const property = fc.asyncProperty(fc.array(operation, { maxLength: 30, size: 'max' }), async (operations) => {
    const directory = tempDir('databases-model');
    try {
      await new Run(directory).play(operations);
    } finally {
      removeDir(directory);
    }
  });
  try {
    await fc.assert(property, { ...runs, interruptAfterTimeLimit: 400_000 });
  } finally {
    clearInterval(awake);
  }
});
