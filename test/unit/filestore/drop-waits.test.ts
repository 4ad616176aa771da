/** The container of a dropped database stays until each node that may know the database has seen the drop: over a store in memory, with nodes that come and go. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { makeBlob, type Blob } from '../../helpers/blobs.js';
import { eventually } from '../../helpers/processes.js';
import { CONTAINER, Nodes, type WholeNode } from './whole-nodes.js';

describe('a database whose drop another node has not seen', () => {
  let nodes: Nodes;
  beforeEach(() => {
    nodes = new Nodes();
  });
  afterEach(() => nodes.end());

  it('keeps its empty container for a node that has stopped, and ends there when it comes again', async () => {
    const [old, fresh] = [makeBlob(25, 100), makeBlob(26, 100)];
    const [a, b] = await nodes.two(old);
    await b.stop();
    await a.dropAndWait();
    assert.deepEqual([await a.has('db'), await a.client.readdir('')], [false, []]);
    // Over a restart of who dropped it.
    await a.stop();
    await a.start();
    assert.deepEqual([await a.has('db'), await a.client.readdir('')], [false, []]);
    assert.deepEqual(nodes.store.names(CONTAINER), []);
    await b.start();
    await b.loses('db');
    assert.deepEqual(await b.client.readdir(''), []);
    await nodes.containerGone();
    assert.equal(nodes.store.counts.createContainer, 1, 'nobody has made it again');
    await b.client.mkdir('db');
    await b.write(fresh);
    assert.equal(await a.has(`db/${fresh.name}`), true);
  });

  it('is not removed by who dropped it, with `nodes: one` by now, when another node has made it anew', async () => {
    const [old, fresh] = [makeBlob(31, 100), makeBlob(32, 100)];
    const [a, b] = await nodes.two(old);
    await b.stop();
    await a.dropAndWait();
    await a.stop();
    await b.start();
    await b.loses('db');
    await b.client.mkdir('db');
    await b.write(fresh);
    assert.deepEqual([nodes.store.names(CONTAINER), await nodes.isMarked()], [[fresh.name], false]);
    await b.stop();
    await a.start({ nodes: 'one' });
    assert.equal(await a.has(`db/${fresh.name}`), true);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.deepEqual(nodes.store.names(CONTAINER), [fresh.name]);
  });

  it('is not emptied by who dropped it while Swift was away, with `nodes: one` by now, of what another node has stored since', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    a.announced = /^WARN /;
    const [old, since] = [makeBlob(36, 100), makeBlob(37, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    let isHeld = true;
    nodes.store.before = ({ method }) => {
      if (method === 'updateContainer' && isHeld) throw new FilestoreError('busy', 'not now');
    };
    await a.drop();
    await a.stop();
    isHeld = false;
    await b.write(since);
    await b.stop();
    await a.start({ nodes: 'one' });
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.deepEqual(nodes.store.names(CONTAINER), [since.name]);
  });

  it('is dropped on two nodes at once, and neither waits for the other', async () => {
    const [a, b] = await nodes.two(makeBlob(33, 100));
    let isHeld = true;
    nodes.store.before = async ({ method }) => {
      if (method === 'updateContainer') await eventually('both have dropped it', () => !isHeld);
    };
    await a.drop();
    await b.drop();
    isHeld = false;
    await nodes.containerGone();
    assert.deepEqual([await a.has('db'), await b.has('db')], [false, false]);
  });

  it('keeps its container from a name that differs in case only, which is refused while it waits', async () => {
    const [a, b] = await nodes.two(makeBlob(34, 100));
    a.announced = /^WARN database\.refused /;
    await b.stop();
    await a.dropAndWait();
    await assert.rejects(a.client.mkdir('DB'), { kind: 'invalid-name' });
    await b.start();
    await b.loses('db');
    await nodes.containerGone();
    await eventually('A has removed it', () => a.lines.some((line) => line.includes('container.removed')));
    await a.client.mkdir('DB');
  });

  it('is not found again, while its container waits, because one server of Swift lags behind its mark', async () => {
    const [a, b] = await nodes.two(makeBlob(35, 100));
    await b.stop();
    await a.dropAndWait();
    const { metadata } = (await nodes.store.headContainer(CONTAINER)) ?? assert.fail();
    let asked = 0;
    nodes.store.before = async ({ method }) => {
      if (method !== 'headContainer') return;
      const mark = ++asked % 3 === 1 ? '' : (metadata['osf-dropped'] ?? '');
      await nodes.store.updateContainer(CONTAINER, { 'osf-dropped': mark });
    };
    for (let i = 0; i < 20; i++) {
      assert.deepEqual([await a.has('db'), await a.client.readdir('')], [false, []]);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(asked > 20, `${asked} questions`);
    nodes.store.before = undefined;
    await nodes.store.updateContainer(CONTAINER, metadata);
    assert.equal(
      a.lines.some((line) => /container\.(left|removed)/.test(line)),
      false,
    );
  });

  it('is made anew, and dropped again, where a node that has stopped has not heard of its drop', async () => {
    const [old, fresh] = [makeBlob(27, 100), makeBlob(28, 100)];
    const [a, b] = await nodes.two(old);
    await b.stop();
    await a.dropAndWait();
    await a.client.mkdir('db');
    await a.write(fresh);
    assert.deepEqual([nodes.store.names(CONTAINER), await nodes.isMarked()], [[fresh.name], false]);
    await b.start();
    assert.equal(await b.has(`db/${fresh.name}`), true);
    assert.equal(await b.has(`db/${old.name}`), false);
    await a.drop();
    await b.loses('db');
    await nodes.containerGone();
    assert.deepEqual([await a.has('db'), await b.has('db')], [false, false]);
  });

  it('lives on with what waits in a node that has stopped before its drop', async () => {
    const [old, late] = [makeBlob(29, 100), makeBlob(30, 100)];
    const [a, b] = await nodes.two(old, { writeTimeoutMs: 100 });
    b.announced = /^WARN /;
    nodes.store.before = ({ method, name }) => {
      if (method === 'put' && name === late.name) throw new FilestoreError('busy', 'not now');
    };
    await b.write(late);
    await b.stop();
    nodes.store.before = undefined;
    await a.dropAndWait();
    await b.start();
    await eventually('B has stored it', () => nodes.store.peek(CONTAINER, late.name) !== undefined, 20_000);
    assert.equal(await nodes.isMarked(), false);
    await eventually('A finds it', () => a.has(`db/${late.name}`), 10_000);
    assert.deepEqual([await a.has(`db/${old.name}`), await b.has(`db/${old.name}`)], [false, false]);
  });

  it('is not made again by a node that has found it and not registered yet', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const blob = makeBlob(38, 100);
    await a.client.mkdir('db');
    await a.write(blob);
    let isHeld = true;
    nodes.store.before = async ({ method }) => {
      if (method === 'updateContainer') await eventually('it is dropped', () => !isHeld);
    };
    assert.equal(await b.has(`db/${blob.name}`), true);
    nodes.store.before = undefined;
    await a.drop();
    await nodes.containerGone();
    isHeld = false;
    await b.loses('db');
    assert.deepEqual(await b.client.readdir(''), []);
    assert.equal(nodes.store.names(CONTAINER), undefined);
  });

  /** A has dropped the database and is gone, and B, which has not heard of that, stores something in it. @param deleteBoundMs of B */
  async function storedAfterDrop(since: Blob, deleteBoundMs: number): Promise<[WholeNode, WholeNode]> {
    const [a, b] = await nodes.two(makeBlob(39, 100), { deleteBoundMs });
    await a.dropAndWait();
    await a.stop();
    await b.write(since);
    assert.equal(await nodes.isMarked(), true);
    return [a, b];
  }

  it('lives on with what was stored after its drop, also where the node that has dropped it does not come again', async () => {
    const since = makeBlob(40, 100);
    const [a, b] = await storedAfterDrop(since, 3_000);
    for (const untilMs = performance.now() + 5_000; performance.now() < untilMs;) {
      assert.equal(await b.has(`db/${since.name}`), true);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(await nodes.isMarked(), false);
    await a.start();
    assert.deepEqual(await a.client.readFile(`db/${since.name}`), since.content);
  });

  it('lives on with what was stored after its drop where no listing shows that yet', async () => {
    const since = makeBlob(44, 100);
    const [, b] = await storedAfterDrop(since, 2_000);
    nodes.store.list = async function* () {
      yield await Promise.resolve([]);
    };
    await eventually(
      'B has taken the mark away',
      async () => {
        assert.equal(await b.has(`db/${since.name}`), true);
        return !(await nodes.isMarked());
      },
      10_000,
    );
    assert.equal(await b.has(`db/${since.name}`), true);
  });

  it('takes nothing along that is stored under the same name while an old listing is gone through', async () => {
    const blob = makeBlob(45, 100);
    const [a, b] = await nodes.two(blob);
    const [list, before] = [nodes.store.list.bind(nodes.store), Date.now() - 60_000];
    let [lags, listed] = [false, 0];
    nodes.store.list = async function* (container, options) {
      if (lags && listed++ === 0) {
        nodes.store.plant(CONTAINER, blob.name, blob.content);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (lags) yield [{ name: blob.name, sizeBytes: 100, lastModifiedMs: before }];
      else yield* list(container, options);
    };
    await b.stop();
    await a.drop();
    lags = true;
    await eventually('A has gone through it', () => listed > 0, 20_000);
    for (const untilMs = performance.now() + 6_000; performance.now() < untilMs;) {
      assert.deepEqual(nodes.store.names(CONTAINER), [blob.name]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    lags = false;
  });

  it('is registered again where it is made anew while the acknowledgement of its drop is on its way', async () => {
    const [old, fresh] = [makeBlob(41, 100), makeBlob(42, 100)];
    const [a, b] = await nodes.two(old);
    await a.dropAndWait();
    let isHeld = true;
    nodes.store.before = async ({ method }) => {
      if (method === 'updateContainer' && isHeld) await eventually('the test goes on', () => !isHeld);
    };
    await b.loses('db');
    await b.client.mkdir('db');
    const written = b.write(fresh);
    await new Promise((resolve) => setTimeout(resolve, 300));
    isHeld = false;
    await written;
    assert.equal(await a.has(`db/${fresh.name}`), true);
    await a.drop();
    await b.loses('db');
    await nodes.containerGone();
    assert.deepEqual([await a.has('db'), await b.has('db')], [false, false]);
  });
});
