/** What the background sends, in which order, and when: writers first, but none of them for ever. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FilestoreError, StoreFaltered } from '../../../src/base/errors.js';
import { createLog } from '../../../src/base/log.js';
import { RetrySchedule } from '../../../src/filestore/retry-schedule.js';
import type { FilestoreSettings } from '../../../src/filestore/filestore-options.js';
import { owedDeletes, owedWrites, owesNothing, sumOfWrites } from '../../../src/filestore/owed.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { open, sealBlob } from '../spool/spools.js';

describe('what is owed to Swift', () => {
  it('is counted without temporaries and without deletes that wait, oldest first', async () => {
    const directory = tempDir('owed');
    const spool = await open(directory);
    try {
      assert.equal(owesNothing(spool), true);
      assert.deepEqual(sumOfWrites(spool), { count: 0, bytes: 0, oldestMs: undefined });
      await sealBlob(spool, blobOf('temporary'), 'upload/x');
      spool.bury('waits', { owedToSwift: true, dueAtMs: Date.now() + 3600_000 });
      spool.bury('an origin has it', { owedToSwift: false });
      assert.equal(owesNothing(spool), true);
      const [a, b] = [await sealBlob(spool, makeBlob(1, 1000), 'a'), await sealBlob(spool, makeBlob(2, 2000), 'b')];
      const again = await sealBlob(spool, makeBlob(3, 4000), 'a');
      assert.deepEqual([...owedWrites(spool)], [b, again]);
      assert.deepEqual(sumOfWrites(spool), { count: 2, bytes: 6000, oldestMs: Math.min(b.sealedAtMs, again.sealedAtMs) });
      assert.equal(await spool.markPublished(a, { keepFile: false }), false);
      const due = spool.bury('a', { owedToSwift: true });
      assert.deepEqual([...owedDeletes(spool)], [due]);
      assert.equal(owesNothing(spool), false);
    } finally {
      await spool.close();
      removeDir(directory);
    }
  });
});

/** A filestore over a store in memory, whose PUTs are counted and may be held up, mounted in this process. */
class Behind {
  puts = 0;
  readonly store: MemoryStore;
  readonly #mounted: FilestoreInMemory;

  static async start(changed: Partial<FilestoreSettings>): Promise<Behind> {
    const store = new MemoryStore();
    const log = createLog('error', (line) => assert.fail(line));
    return new Behind(store, await mountInMemory(store, log, changed));
  }

  private constructor(store: MemoryStore, mounted: FilestoreInMemory) {
    this.store = store;
    this.#mounted = mounted;
    this.onPut(() => Promise.resolve());
  }

  get client(): FilestoreInMemory['client'] {
    return this.#mounted.client;
  }

  get filestore(): FilestoreInMemory['filestore'] {
    return this.#mounted.filestore;
  }

  stop(): Promise<void> {
    return this.#mounted.close();
  }

  /** @param answer of the PUT with this number, from 1 on */
  onPut(answer: (number: number) => Promise<void>): void {
    this.store.before = ({ method }) => (method === 'put' ? answer(++this.puts) : Promise.resolve());
  }

  /** The PUT with this number is not answered until the function that is returned is called. */
  holdPut(held: number): () => void {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    this.onPut((number) => (number === held ? answered : Promise.resolve()));
    return answer;
  }

  isStored(name: string): boolean {
    return this.store.peek(this.filestore.databases[0]?.container ?? assert.fail('none'), name) !== undefined;
  }

  get owed(): { readonly writes: number | undefined; readonly deletes: number | undefined } {
    const database = this.filestore.databases[0];
    return { writes: database?.pendingWrites, deletes: database?.pendingDeletes };
  }

  async write(content: string): Promise<void> {
    const blob = blobOf(content);
    await this.client.mkdir(blob.name.slice(0, 2)).catch(() => undefined);
    await this.client.writeFile(blob.name, blob.content);
  }

  /** As the newest Odoo does. */
  async writeByRename(content: string): Promise<void> {
    const blob = blobOf(content);
    for (const directory of ['upload', blob.name.slice(0, 2)]) await this.client.mkdir(directory).catch(() => undefined);
    await this.client.writeFile('upload/x', blob.content);
    await this.client.rename('upload/x', blob.name);
  }
}

describe('publishing behind writers', () => {
  let behind: Behind;
  beforeEach(async () => {
    behind = await Behind.start({ writeMode: 'back' });
  });
  afterEach(() => behind.stop());

  it('a writer who never pauses does not keep what is pending from Swift', async () => {
    for (let n = 0; behind.puts === 0; n++) await behind.write(`blob ${n}`);
  });

  it('a PUT that is not answered keeps neither later writes nor deletes from Swift, and is not sent twice', async () => {
    const answer = behind.holdPut(1);
    await behind.write('first');
    await eventually('it is sent', () => behind.puts === 1);
    const [later, deleted] = [blobOf('later'), blobOf('deleted')];
    for (const { content } of [later, deleted]) await behind.write(content.toString());
    await eventually('they are sent beside it', () => [later, deleted].every(({ name }) => behind.isStored(name)), 15_000);
    await behind.client.unlink(deleted.name);
    await eventually('it is removed', () => !behind.isStored(deleted.name), 15_000);
    assert.equal(behind.owed.writes, 1);
    answer();
    await eventually('it is there', () => behind.owed.writes === 0);
    assert.equal(behind.puts, 3);
  });

  it('beside a PUT that is known to hang each later one goes out at once', async () => {
    const answer = behind.holdPut(1);
    await behind.write('first');
    await eventually('it is sent', () => behind.puts === 1);
    await sleep(2_500);
    const startedMs = performance.now();
    for (let n = 0; n < 4; n++) {
      await behind.write(`later ${n}`);
      await eventually('it is stored', () => behind.isStored(blobOf(`later ${n}`).name), 15_000);
    }
    assert.ok(performance.now() - startedMs < 4_000, 'none waited for the one that hangs');
    answer();
  });

  it('the delete of a name whose PUT is not answered keeps nothing else waiting, and is told after it', async () => {
    const answer = behind.holdPut(1);
    const [first, later] = [blobOf('first'), blobOf('later')];
    await behind.write('first');
    await eventually('it is sent', () => behind.puts === 1);
    await behind.client.unlink(first.name);
    await behind.write('later');
    await eventually('what came later is sent', () => behind.isStored(later.name), 15_000);
    answer();
    await eventually('the delete is told', () => behind.owed.deletes === 0, 15_000);
    assert.equal(behind.isStored(first.name), false);
  });

  it('a PUT that fails beside one that is not answered is tried again', async () => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    behind.onPut(async (number) => {
      if (number === 1) await answered;
      if (number === 2) throw new FilestoreError('unavailable', 'busy for a moment');
    });
    await behind.write('first');
    await eventually('it is sent', () => behind.puts === 1);
    await behind.write('later');
    await eventually('it is sent again', () => behind.isStored(blobOf('later').name), 15_000);
    answer();
  });

  it('a retry that is not answered leaves the loop asleep', async (t) => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    behind.onPut(async (number) => {
      if (number === 1) throw new StoreFaltered('busy for a moment');
      await answered;
    });
    await behind.write('first');
    await eventually('it is tried again', () => behind.puts === 2);
    const turns = t.mock.method(RetrySchedule.prototype, 'keepOwed').mock;
    await sleep(4_000);
    assert.ok(turns.callCount() <= 4, `${turns.callCount()} turns in four seconds`);
    answer();
  });

  it('A dozen PUTs that are not answered hold up the others until they have been given up once (`request_timeout`), and no longer.', async (t) => {
    const hung = Array.from({ length: 14 }, (_, n) => blobOf(`hung ${n}`));
    const tries = new Map(hung.map(({ name }) => [name, 0]));
    behind.store.before = async ({ method, name }) => {
      const tried = method === 'put' ? tries.get(name) : undefined;
      if (tried === undefined) return;
      tries.set(name, tried + 1);
      if (tried > 0) await new Promise(() => undefined);
      await sleep(2_200);
      throw new FilestoreError('unavailable', 'no answer');
    };
    for (const { content } of hung) await behind.write(content.toString());
    await eventually('all were given up once', () => [...tries.values()].every((tried) => tried > 0), 15_000);
    const [later, deleted] = [blobOf('later'), blobOf('deleted')];
    for (const { content } of [later, deleted]) await behind.write(content.toString());
    await eventually('they are sent beside them', () => [later, deleted].every(({ name }) => behind.isStored(name)), 15_000);
    await behind.client.unlink(deleted.name);
    await eventually('it is removed', () => !behind.isStored(deleted.name), 15_000);
    const again = (): number => [...tries.values()].filter((tried) => tried > 1).length;
    await eventually('of those that hang four are tried again', () => again() === 4, 15_000);
    const turns = t.mock.method(RetrySchedule.prototype, 'keepOwed').mock;
    await sleep(2_000);
    assert.equal(again(), 4);
    assert.ok(turns.callCount() <= 3, `${turns.callCount()} turns in two seconds`);
  });

  it('of those that have hung the one whose last try is the longest ago comes first: a few that hang for ever keep no other from Swift', async () => {
    const hung = Array.from({ length: 8 }, (_, n) => blobOf(`hung ${n}`));
    const tries = new Map(hung.map(({ name }) => [name, 0]));
    const forEver = new Set(hung.slice(0, 4).map(({ name }) => name));
    behind.store.before = async ({ method, name }) => {
      const tried = method === 'put' ? tries.get(name) : undefined;
      if (tried === undefined) return;
      tries.set(name, tried + 1);
      if (tried > 0 && !forEver.has(name)) return;
      await sleep(2_200);
      throw new FilestoreError('unavailable', 'no answer');
    };
    for (const { content } of hung) await behind.write(content.toString());
    await eventually('four are in Swift', () => behind.owed.writes === 4, 20_000);
    for (const { name } of hung) assert.equal(behind.isStored(name), !forEver.has(name));
  });

  it('a stop does not wait for a PUT that is not answered', async () => {
    behind.onPut(() => new Promise(() => undefined));
    await behind.write('first');
    assert.equal(await behind.filestore.drain(3_000), false);
  });

  it('a stop does not wait for writers to be quiet', async () => {
    for (let n = 0; n < 20; n++) await behind.write(`blob ${n}`);
    assert.equal(await behind.filestore.drain(60_000), true);
    assert.equal(behind.puts, 20);
    assert.equal(behind.owed.writes, 0);
  });
});

describe('publishing what a rename waits for', () => {
  let behind: Behind;
  beforeEach(async () => {
    behind = await Behind.start({ nodes: 'many', writeMode: 'through', deleteBoundMs: 60_000 });
  });
  afterEach(() => behind.stop());

  it('a PUT that fails is tried again', async () => {
    behind.onPut(async (number) => {
      if (number > 1) return;
      await sleep(300);
      throw new StoreFaltered('busy for a moment');
    });
    await behind.writeByRename('first');
    await eventually('it is stored', () => behind.isStored(blobOf('first').name), 10_000);
  });

  it('what was replaced while its PUT was not answered is sent when that is over', async () => {
    const answer = behind.holdPut(1);
    await behind.writeByRename('first');
    await behind.writeByRename('first');
    await sleep(500);
    answer();
    await eventually('nothing is pending', () => behind.owed.writes === 0, 10_000);
    assert.ok(behind.isStored(blobOf('first').name));
  });
});
