/** How the container of a dropped database goes, over a store in memory that other nodes use too. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import { FilestoreError } from '../../../src/base/errors.js';
import { makeBlob } from '../../helpers/blobs.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { CONTAINER, Nodes, type WholeNode } from './whole-nodes.js';

describe('a database that is dropped', () => {
  let nodes: Nodes;
  beforeEach(() => {
    nodes = new Nodes();
  });
  afterEach(() => nodes.end());

  it('is not removed once more when the answer to its removal was lost and somebody has made it anew', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(7, 100));
    assert.equal(await b.has('db'), true);
    nodes.store.loseNext('deleteContainer');
    await a.drop();
    await b.loses('db');
    await nodes.containerGone();
    await b.client.mkdir('db');
    await eventually('B makes its container', () => nodes.store.names(CONTAINER) !== undefined);
    await eventually('A has looked again', () => a.lines.some((line) => line.includes('container.left')), 20_000);
    assert.equal(nodes.store.counts.deleteContainer, 1);
    assert.equal(await a.has('db'), true);
  });

  it('is not taken for one that another node has dropped where it is made anew before its own mark has come to Swift', async () => {
    const a = await nodes.start('a');
    const [old, later] = [makeBlob(8, 100), makeBlob(10, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    let isHeld = true;
    nodes.store.before = async ({ method }) => {
      if (method === 'updateContainer') await eventually('the test goes on', () => !isHeld);
    };
    await a.drop();
    await a.client.mkdir('db');
    await a.write(later);
    isHeld = false;
    await eventually(
      'the mark is there and taken away',
      async () => {
        assert.equal(await a.has(`db/${later.name}`), true);
        return a.lines.filter((line) => line.includes('container.bound')).length > 0;
      },
      20_000,
    );
    assert.equal((await nodes.store.headContainer(CONTAINER))?.metadata['osf-dropped'], undefined);
    assert.deepEqual(nodes.store.names(CONTAINER), [later.name]);
    assert.equal(await a.has(`db/${later.name}`), true);
  });

  describe('by a node that makes it again before its container is gone', () => {
    let a: WholeNode;
    const refuseRemoval = (): void => {
      nodes.store.before = ({ method }) => {
        if (method === 'deleteContainer') throw new FilestoreError('busy', 'not now');
      };
    };
    /** @param old an object that was there before, and that no listing of A shows any more; what is no file of the database holds no drop up */
    const makeAgain = async (old?: string): Promise<void> => {
      a = await nodes.start('a');
      await a.client.mkdir('db');
      await a.write(makeBlob(8, 100));
      if (old !== undefined) nodes.store.plant(CONTAINER, old, Buffer.from('old'));
      refuseRemoval();
      await a.drop();
      await eventually('the drop is marked', () => nodes.isMarked());
      await a.client.mkdir('db');
      await eventually('the mark is taken away', async () => !(await nodes.isMarked()));
      nodes.store.before = undefined;
    };

    it('ends when another node drops it, once what was stored since was seen', async () => {
      await makeAgain();
      const [b, later] = [await nodes.start('b'), makeBlob(10, 100)];
      await a.write(later);
      assert.deepEqual(nodes.store.names(CONTAINER), [later.name]);
      assert.equal(await b.has(`db/${later.name}`), true);
      assert.equal(await a.has('db'), true);
      await b.drop();
      const startedMs = performance.now();
      await a.loses('db');
      assert.ok(performance.now() - startedMs < 10_000);
      await nodes.containerGone();
      assert.equal(nodes.store.names(CONTAINER), undefined);
    });

    it('lives on when the end of its own drop comes late, though a server that lags has shown what was there before', async () => {
      await makeAgain('checklist/old');
      assert.equal(await a.has('db'), true);
      assert.equal((await nodes.store.headContainer(CONTAINER))?.objectCount, 1);
      nodes.store.takeAway(CONTAINER);
      const untilMs = performance.now() + 4_000;
      while (performance.now() < untilMs) {
        assert.equal(await a.has('db'), true);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });

    it('ends when another node drops it before anything was stored', async () => {
      await makeAgain();
      const b = await nodes.start('b');
      assert.equal(await b.has('db'), true);
      refuseRemoval();
      await b.drop();
      await eventually('the drop is marked', () => nodes.isMarked());
      await a.loses('db');
      assert.equal(await nodes.isMarked(), true, 'nobody has taken it away');
      nodes.store.before = undefined;
      await nodes.containerGone();
    });
  });

  it('is left with what another node has stored after the drop', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [old, later] = [makeBlob(8, 100), makeBlob(10, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has('db'), true);
    let isHeld = true;
    nodes.store.before = async ({ method }) => {
      if (method === 'deleteContainer') await eventually('the test goes on', () => !isHeld);
    };
    await a.drop();
    await eventually('the drop is marked', () => nodes.isMarked());
    assert.equal(await a.has('db'), false);
    nodes.store.plant(CONTAINER, later.name, later.content);
    isHeld = false;
    await eventually(
      'A leaves it',
      () => a.lines.some((line) => line.includes('container.left') || line.includes('container.removed')),
      20_000,
    );
    assert.deepEqual(nodes.store.names(CONTAINER), [later.name]);
    assert.equal(await a.has(`db/${later.name}`), true);
    assert.equal(await b.has(`db/${later.name}`), true);
    assert.equal(await a.has(`db/${old.name}`), false);
  });

  it('takes nothing of what another node has stored since the last complete listing, when nobody can look before it', async () => {
    const a = await nodes.start('a', { lookupWaitMs: 20, deleteBoundMs: 60_000 });
    a.announced = /^WARN /;
    const [old, unseen] = [makeBlob(16, 100), makeBlob(17, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    await eventually('A has listed it', () => nodes.store.counts.list !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    nodes.store.plant(CONTAINER, unseen.name, unseen.content);
    nodes.store.before = ({ method }) => {
      if (method === 'list') throw new FilestoreError('busy', 'listings are refused');
    };
    await a.drop();
    nodes.store.before = undefined;
    await eventually(
      'A leaves it',
      () => a.lines.some((line) => line.includes('container.left') || line.includes('container.removed')),
      20_000,
    );
    assert.deepEqual(nodes.store.names(CONTAINER), [unseen.name]);
    assert.equal(await a.has(`db/${unseen.name}`), true);
  });

  it('takes along what no listing has shown, with one node also when the clock of Swift is ahead', async () => {
    nodes.store = new MemoryStore({ clock: { ...SYSTEM_CLOCK, nowMs: () => Date.now() + 3_600_000 } });
    const a = await nodes.start('a', { nodes: 'one' });
    await a.client.mkdir('db');
    await a.write(makeBlob(14, 100));
    await eventually('A has listed it', () => nodes.store.counts.list !== undefined);
    nodes.store.plant(CONTAINER, makeBlob(15, 100).name, Buffer.from('late'));
    nodes.store.plant(CONTAINER, 'ab/', Buffer.alloc(0));
    await a.drop();
    await nodes.containerGone();
  });

  it('is dropped no further after the daemon has closed, and on by its next life', async () => {
    const a = await nodes.start('a');
    await a.client.mkdir('db');
    await a.write(makeBlob(24, 100));
    await eventually('A has stored it', () => nodes.store.names(CONTAINER)?.length === 1);
    let [isHeld, isAsked] = [true, false];
    nodes.store.before = async ({ method }) => {
      if (method !== 'updateContainer' || !isHeld) return;
      isAsked = true;
      await eventually('the test goes on', () => !isHeld, 60_000);
    };
    await a.drop();
    await eventually('the drop is to be marked', () => isAsked);
    const stopped = a.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    nodes.store.before = undefined;
    isHeld = false;
    await stopped;
    nodes.store.clearRequests();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(nodes.store.requests.filter(({ method }) => method === 'deleteContainer').length, 0);
    await a.start();
    await nodes.containerGone();
  });
});
