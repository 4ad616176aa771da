/** What is kept of deleted objects, and how it comes back, over a store in memory with a clock of its own. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { kindOf } from '../../../src/base/errors.js';
import { timeOf } from '../../../src/cli/commands/undelete.js';
import { Trash } from '../../../src/filestore/retention.js';
import { undelete, type UndeleteRequest } from '../../../src/filestore/undelete.js';
import { FakeClock } from '../../helpers/clock.js';
import { MemoryStore } from '../../helpers/memory-store.js';

const DAY_MS = 86_400_000;

describe('retention', () => {
  let clock: FakeClock;
  let store: MemoryStore;
  beforeEach(() => {
    clock = new FakeClock();
    store = new MemoryStore({ clock });
    for (const name of ['ab/1', 'ab/2', 'cd/3']) store.plant('c', name, Buffer.from(name), { sha1: name });
  });
  const remove = async (...names: string[]): Promise<void> => {
    await new Trash(store, 'c', DAY_MS).keepMany(names);
    for (const name of names) await store.delete('c', name);
  };
  const bring = async (request: Partial<UndeleteRequest> = {}): Promise<Record<string, string>> => {
    const outcomes: Record<string, string> = {};
    for await (const page of undelete(store, { container: 'c', names: [], sinceMs: undefined, dryRun: false, ...request })) {
      for (const { name, outcome } of page) outcomes[name] = outcome;
    }
    return outcomes;
  };

  it('with no retention nothing is copied and no trash is made', async () => {
    await new Trash(store, 'c', 0).keep('ab/1');
    assert.equal(store.names('c_trash'), undefined);
  });

  it('a failed copy fails the keep, so that no delete follows, and what is not there needs none', async () => {
    const trash = new Trash(store, 'c', DAY_MS);
    store.failNext('copy', 'forbidden');
    await assert.rejects(trash.keep('ab/1'), (error) => kindOf(error) === 'forbidden');
    await trash.keepMany(['absent', 'ab/1']);
    assert.deepEqual(store.names('c_trash'), ['ab/1']);
  });

  it('what Swift refuses of one object is told of that one, and what it would refuse of each fails all', async () => {
    const trash = new Trash(store, 'c', DAY_MS);
    store.failNext('copy', 'busy');
    const refused = await trash.keepMany(['ab/1', 'ab/2', 'cd/3']);
    assert.equal(refused.size, 1);
    assert.equal(store.names('c_trash')?.length, 2);
    for (const kind of ['no-space', 'forbidden', 'unavailable'] as const) {
      store.failNext('copy', kind);
      await assert.rejects(trash.keepMany(['ab/1', 'ab/2', 'cd/3']), (error) => kindOf(error) === kind);
    }
  });

  it('a trash that somebody removed is made again', async () => {
    const trash = new Trash(store, 'c', DAY_MS);
    await trash.keep('absent');
    await store.deleteContainer('c_trash');
    await trash.keepMany(['ab/1', 'ab/2', 'cd/3']);
    assert.deepEqual(store.names('c_trash'), ['ab/1', 'ab/2', 'cd/3']);
  });

  it('all, some by name, or those since a time come back with their metadata and without an end', async () => {
    await remove('ab/1');
    await clock.advance(3_600_000);
    await remove('ab/2', 'cd/3');
    assert.deepEqual(await bring({ dryRun: true }), { 'ab/1': 'restored', 'ab/2': 'restored', 'cd/3': 'restored' });
    assert.deepEqual(store.names('c'), []);
    assert.deepEqual(await bring({ sinceMs: clock.nowMs() - 60_000 }), { 'ab/2': 'restored', 'cd/3': 'restored' });
    assert.deepEqual(await bring({ names: ['ab/1', 'ab/2', 'none'] }), { 'ab/1': 'restored', 'ab/2': 'there', none: 'unknown' });
    await clock.advance(2 * DAY_MS);
    assert.deepEqual((await store.head('c', 'ab/1'))?.metadata, { sha1: 'ab/1' });
    assert.equal(store.peek('c', 'cd/3')?.toString(), 'cd/3');
  });

  it('what is over is too late, what is there is never overwritten', async () => {
    await remove('ab/1', 'ab/2');
    store.plant('c', 'ab/1', Buffer.from('newer'));
    assert.deepEqual(await bring(), { 'ab/1': 'there', 'ab/2': 'restored' });
    assert.equal(store.peek('c', 'ab/1')?.toString(), 'newer');
    await store.delete('c', 'ab/2');
    await clock.advance(DAY_MS);
    assert.deepEqual(await bring({ names: ['ab/2', 'ab/1'] }), { 'ab/2': 'too-late', 'ab/1': 'there' });
  });

  it('a name that is there but asked for gets a newer time, so that a delete that waits finds it in use', async () => {
    await remove('ab/1');
    const before = (await store.head('c', 'cd/3'))?.lastModifiedMs ?? 0;
    await clock.advance(1000);
    assert.deepEqual(await bring({ names: ['cd/3'] }), { 'cd/3': 'there' });
    assert.ok(((await store.head('c', 'cd/3'))?.lastModifiedMs ?? 0) > before);
  });

  it('what is brought back is no machine’s any more: one that still owes its delete, and closed it, would take it for what it has deleted', async () => {
    store.plant('c', 'notes', Buffer.from('notes'), { sha1: 'n', node: 'n1', closed: '1' });
    store.plant('c', 'plan', Buffer.from('plan'), { sha1: 'p', node: 'n1', closed: '1' });
    await remove('notes');
    assert.deepEqual(await bring({ names: ['notes', 'plan'] }), { notes: 'restored', plan: 'there' });
    assert.deepEqual((await store.head('c', 'notes'))?.metadata, { sha1: 'n', closed: '1' });
    assert.deepEqual((await store.head('c', 'plan'))?.metadata, { sha1: 'p', closed: '1' });
  });

  it('nothing is brought back into a container that goes with its database: it would live on with just that', async () => {
    await remove('ab/1');
    await store.updateContainer('c', { 'osf-dropped': String(clock.nowMs()) });
    await assert.rejects(bring(), /container c is being removed: .*make or restore the database first/);
    assert.equal(await store.head('c', 'ab/1'), undefined);
  });

  it('--since is a time or so long ago', () => {
    assert.equal(timeOf('2h', 10_000_000), 2_800_000);
    assert.equal(timeOf('2026-03-01T14:00Z', 0), Date.UTC(2026, 2, 1, 14));
    assert.throws(() => timeOf('yesterday', 0), /2026-03-01T14:00/);
  });
});
