/**
 * Random operations of two machines on one container, or of one, with faults, outages and restarts, held against {@link ReferenceFilestore}: what was
 * written is read everywhere, what was deleted is gone everywhere, torn bytes are nowhere, and in the end Swift holds what the reference holds.
 *
 * With `negative_ttl`, `delete_bound` and `gc_grace` at nothing the two machines must agree after every answer (docs/SEMANTICS.md says what they
 * may differ by otherwise). `OSF_RUNS=n OSF_SEED=n` play others; a failure prints its seed and the shortest operations that show it.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { unreachable } from '../../src/base/errors.js';
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';
import type { MemoryFile } from '../helpers/memory-handles.js';
import { MemoryStore } from '../helpers/memory-store.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { Machine, outcomeOf, runsOf } from './machine.js';
import { bytesFor, operation, type Call, type Operation } from './operations.js';
import { ReferenceFilestore } from './reference-filestore.js';

const DATABASE = 'model';
const CONTAINER = `odoo-${DATABASE}`;
const SETTINGS: Partial<FilestoreSettings> = {
  database: DATABASE,
  writeTimeoutMs: 2_000,
  lookupWaitMs: 500,
  readTimeoutMs: 400,
};

/** Where Swift does not answer, a call may say that it does not know, and then changes nothing. */
const DONT_KNOW = 'unavailable';

class Run {
  readonly #store = new MemoryStore();
  readonly #reference: ReferenceFilestore;
  readonly #machines: readonly Machine[];
  #isWell = true;
  #what = '';

  constructor(directory: string, machines: number, settings: Partial<FilestoreSettings>) {
    this.#reference = new ReferenceFilestore(machines);
    this.#machines = ['a', 'b']
      .slice(0, machines)
      .map((name) => new Machine(this.#store, path.join(directory, name), { ...SETTINGS, ...settings }));
  }

  async play(operations: readonly Operation[]): Promise<void> {
    try {
      for (const one of this.#machines) await one.start();
      for (const one of operations) {
        this.#what = JSON.stringify(one);
        await this.#step(one);
      }
      this.#what = 'in the end';
      await this.#drained();
      const { files } = this.#reference;
      assert.deepEqual(this.#store.names(CONTAINER)?.sort(), [...files.keys()].sort(), 'Swift holds what the reference holds');
      for (const [name, bytes] of files) {
        assert.deepEqual(this.#store.peek(CONTAINER, name), bytes, name);
        for (const machine of this.#machines.keys()) await this.#sameContent(machine, name);
      }
    } finally {
      this.#store.down = false;
      this.#store.clearFaults();
      for (const one of this.#machines) await one.stop();
    }
  }

  async #step(operation: Operation): Promise<void> {
    switch (operation.op) {
      case 'two-open':
        return this.#twoOpen(operation);
      case 'outage':
        this.#store.down = true;
        this.#isWell = false;
        for (const one of operation.calls) await this.#call({ ...one, machine: operation.machine });
        this.#store.down = false;
        return this.#drained();
      case 'fault': {
        if (operation.how === 'answer lost') this.#store.loseNext(operation.method);
        else this.#store.failNext(operation.method);
        this.#isWell = false;
        await this.#call(operation.call);
        this.#store.clearFaults();
        return this.#drained();
      }
      case 'together':
        return this.#together(operation);
      default:
        return this.#call(operation);
    }
  }

  async #call(given: Call): Promise<void> {
    const call = { ...given, machine: this.#one(given.machine) };
    const { client } = this.#at(call.machine);
    const reference = this.#reference;
    // What another machine changed is as it was when it was last asked for, as long as Swift does not answer.
    const names = 'name' in call ? [call.name] : 'names' in call ? call.names : [];
    if (!this.#isWell && call.op !== 'write' && names.some((name) => !reference.knows(call.machine, name))) return;
    switch (call.op) {
      case 'write': {
        const bytes = bytesFor(call.name, call.content);
        await this.#makeParent(call.machine, call.name);
        await this.#may(call.machine, client.writeFile(call.name, bytes), ['done'], () => reference.write(call.machine, call.name, bytes));
        return this.#sameContent(call.machine, call.name);
      }
      case 'torn':
        await this.#makeParent(call.machine, call.name);
        await this.#may(call.machine, client.writeFile(call.name, `not these bytes ${call.content}`), ['done']);
        return this.#sameContent(call.machine, call.name);
      case 'read':
        return this.#sameContent(call.machine, call.name);
      case 'exists':
        await this.#may(call.machine, client.stat(call.name), [
          reference.read(call.machine, call.name) === undefined ? 'not-found' : 'done',
        ]);
        return;
      case 'unlink': {
        const there = reference.read(call.machine, call.name) !== undefined;
        const remove = (): unknown => reference.unlink(call.machine, call.name);
        await this.#may(call.machine, client.unlink(call.name), [there ? 'done' : 'not-found'], remove);
        if (this.#isWell) await this.#sameContent(call.machine, call.name);
        return;
      }
      case 'unlink-open': {
        await this.#makeParent(call.machine, call.name);
        const file = await this.#open(call.machine, call.name);
        if (file === undefined) return;
        await file.write(Buffer.from('soon gone'));
        await client.unlink(call.name);
        await file.close();
        reference.write(call.machine, call.name, Buffer.from('soon gone'));
        reference.unlink(call.machine, call.name);
        return this.#sameContent(call.machine, call.name);
      }
      case 'rename':
        return this.#rename(call.machine, call.names, call.noReplace);
      case 'rename-open':
        return this.#renameOpen(call.machine, call.names);
      case 'truncate':
        return this.#truncate(call.machine, call.name, call.size);
      case 'list': {
        const wanted = reference.list(call.machine, call.directory);
        const names = await client.readdir(call.directory).catch(() => undefined);
        if (names === undefined || !this.#isWell) return assert.ok(wanted.length === 0 || !this.#isWell, this.#what);
        const alive = names.filter(
          (name) => !name.endsWith('.__gc') || reference.read(call.machine, `${call.directory}/${name}`) !== undefined,
        );
        return assert.deepEqual(alive.sort(), wanted, this.#what);
      }
      case 'mkdir': {
        const may = reference.mkdir(call.machine, call.directory);
        await this.#may(call.machine, client.mkdir(call.directory), may, () => reference.made(call.machine, call.directory));
        return;
      }
      case 'rmdir': {
        const may = [...reference.rmdir(call.machine, call.directory), ...(this.#isWell ? [] : ['done'])];
        await this.#may(call.machine, client.rmdir(call.directory), may, () => reference.removed(call.machine, call.directory));
        return;
      }
      case 'rename-directory': {
        const may = [...reference.renameDirectory(call.machine, call.directory, call.to), ...(this.#isWell ? [] : ['done'])];
        await this.#may(call.machine, client.rename(call.directory, call.to), may, () => {
          reference.removed(call.machine, call.directory);
          reference.made(call.machine, call.to);
        });
        return;
      }
      case 'restart':
        await this.#at(call.machine).stop();
        await this.#at(call.machine).start();
        return;
      default:
        return unreachable(call);
    }
  }

  /** As mv does: where a rename is refused as not one step, copy and remove. */
  async #rename(machine: number, [from, to]: [string, string], noReplace: boolean): Promise<void> {
    const { client } = this.#at(machine);
    await this.#makeParent(machine, to);
    const may = this.#reference.rename(machine, from, to, noReplace);
    const before = this.#reference.read(machine, from);
    const outcome = await this.#may(machine, client.rename(from, to, { noReplace }), may, () => this.#reference.moved(machine, from, to));
    if (outcome === DONT_KNOW && before !== undefined && this.#store.peek(CONTAINER, to)?.equals(before) === true) {
      // The copy was made and its answer was lost: an EIO leaves it open whether the new name is there.
      this.#reference.write(machine, to, before);
    }
    if (outcome === 'cross-device' && before !== undefined && may.includes('done')) {
      const bytes = await client.readFile(from).catch((error: unknown) => {
        if (this.#isWell) throw error;
        return undefined;
      });
      if (bytes === undefined) return;
      assert.deepEqual(bytes, before, this.#what);
      if ((await this.#may(machine, client.writeFile(to, bytes), ['done'], () => this.#reference.write(machine, to, bytes))) !== 'done')
        return;
      await this.#may(machine, client.unlink(from), ['done'], () => this.#reference.unlink(machine, from));
    }
    if (!this.#isWell) return;
    await this.#sameContent(machine, from);
    await this.#sameContent(machine, to);
  }

  async #renameOpen(machine: number, [from, to]: [string, string]): Promise<void> {
    if (from === to) return;
    const { client } = this.#at(machine);
    await this.#makeParent(machine, from);
    await this.#makeParent(machine, to);
    const file = await this.#open(machine, from);
    if (file === undefined) return;
    await file.write(Buffer.from('before the rename'));
    this.#reference.write(machine, from, Buffer.from('before the rename'));
    const outcome = await this.#may(machine, client.rename(from, to), ['done', 'cross-device'], () =>
      this.#reference.moved(machine, from, to),
    );
    await file.write(Buffer.from(', after the rename'));
    await file.close();
    const now = outcome === 'done' ? to : from;
    this.#reference.write(machine, now, Buffer.from('before the rename, after the rename'));
    await this.#sameContent(machine, now);
  }

  async #truncate(machine: number, name: string, size: number): Promise<void> {
    const before = this.#reference.read(machine, name);
    const after = Buffer.alloc(size);
    before?.copy(after);
    const may = before === undefined ? ['not-found'] : ['done'];
    await this.#may(machine, this.#at(machine).client.truncate(name, size), may, () => this.#reference.write(machine, name, after));
    if (this.#isWell) await this.#sameContent(machine, name);
  }

  async #twoOpen(two: Extract<Operation, { op: 'two-open' }>): Promise<void> {
    const [a, b] = [this.#one(two.machine), this.#one(two.other)];
    await this.#makeParent(a, two.name);
    await this.#makeParent(b, two.name);
    const first = await this.#at(a).client.open(two.name, 'w');
    const second = await this.#at(b).client.open(two.name, 'w');
    const [ours, theirs] = [Buffer.alloc(two.sizes[0], 'a'), Buffer.alloc(two.sizes[1], 'b')];
    await first.write(ours, 0);
    await second.write(theirs, 0);
    // On one machine the two see each other's writes; on two each has a file of its own.
    const both = Buffer.concat([theirs, ours.subarray(theirs.length)]);
    for (const file of two.firstClosesLast ? [second, first] : [first, second]) await file.close();
    const last = two.firstClosesLast ? ours : theirs;
    this.#reference.write(a, two.name, a === b ? both : last);
    await this.#sameContent(a, two.name);
    await this.#sameContent(b, two.name);
  }

  async #together({ names, machines, unlink }: Extract<Operation, { op: 'together' }>): Promise<void> {
    for (const [index, name] of names.entries()) await this.#makeParent(this.#one(machines[index] ?? 0), name);
    const calls = names.map(async (name, index) => {
      const machine = machines[index] ?? 0;
      if (unlink[index] === true) return this.#call({ op: 'unlink', machine, name });
      return this.#call({ op: 'write', machine, name, content: index });
    });
    await Promise.all(calls);
  }

  /**
   * Waits for a call, which must answer one of `may`; `done` is called when it answered 'done'. While Swift does not answer it may also
   * say so, or not find what another machine wrote.
   */
  async #may(machine: number, work: Promise<unknown>, may: readonly string[], done: () => unknown = () => undefined): Promise<string> {
    const outcome = await outcomeOf(work);
    const allowed = this.#isWell ? may : [...may, DONT_KNOW, 'not-found', 'cross-device'];
    assert.ok(allowed.includes(outcome), `${this.#what}: machine ${machine} said ${outcome} and may say ${allowed.join(' or ')}`);
    if (outcome === 'done' && may.includes('done')) done();
    return outcome;
  }

  async #sameContent(machine: number, name: string): Promise<void> {
    const wanted = this.#reference.read(machine, name);
    const { client } = this.#at(machine);
    if (!this.#isWell && !this.#reference.knows(machine, name)) return;
    const read = client.readFile(name);
    const outcome = await this.#may(machine, read, [wanted === undefined ? 'not-found' : 'done']);
    if (outcome !== 'done') return;
    assert.deepEqual(await read, wanted, `${this.#what}: ${name} on machine ${machine}`);
    if (this.#isWell) assert.equal((await client.stat(name)).sizeBytes, wanted?.length, this.#what);
  }

  /** For writing, emptied; undefined when that cannot be while Swift does not answer. */
  #open(machine: number, name: string): Promise<MemoryFile | undefined> {
    return this.#at(machine)
      .client.open(name, 'w')
      .catch((error: unknown) => {
        if (this.#isWell) throw error;
        return undefined;
      });
  }

  /** As Odoo does: the directory first. */
  async #makeParent(machine: number, name: string): Promise<void> {
    const parent = path.dirname(name);
    if (
      parent === '.' ||
      (await this.#at(machine)
        .client.exists(parent)
        .catch(() => false))
    )
      return;
    const outcome = await this.#may(machine, this.#at(machine).client.mkdir(parent), ['done', 'exists']);
    if (outcome === 'done') this.#reference.made(machine, parent);
  }

  async #drained(): Promise<void> {
    for (const one of this.#machines) await one.drained();
    this.#isWell = true;
  }

  /** Where there is only one machine it does everything. */
  #one(machine: number): number {
    return machine % this.#machines.length;
  }

  #at(index: number): Machine {
    const found = this.#machines[index];
    assert.ok(found !== undefined);
    return found;
  }
}

for (const { title, machines, settings, runs } of [
  { title: 'two machines', machines: 2, settings: { nodes: 'many', writeMode: 'through' } as const, runs: 12 },
  { title: 'a machine that has its container for itself', machines: 1, settings: { nodes: 'one', writeMode: 'back' } as const, runs: 8 },
]) {
  test(`${title}, faults, outages and restarts agree with a plain map`, { timeout: 600_000 }, async (t) => {
    const awake = setInterval(() => undefined, 1000);
    const { numRuns, seed } = runsOf({ runs, seed: 7 });
    t.diagnostic(`seed ${seed}, ${numRuns} runs`);
    const property = fc.asyncProperty(fc.array(operation, { maxLength: 30, size: 'max' }), async (operations) => {
      const directory = tempDir('filestore-model');
      try {
        await new Run(directory, machines, settings).play(operations);
      } finally {
        removeDir(directory);
      }
    });
    try {
      await fc.assert(property, { numRuns, seed, interruptAfterTimeLimit: 400_000 });
    } finally {
      clearInterval(awake);
    }
  });
}
