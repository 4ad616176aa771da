/** A drop by another node, held against a store in memory: what those see who did not drop it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { makeBlob } from '../../helpers/blobs.js';
import { eventually } from '../../helpers/processes.js';
import { CONTAINER, Nodes } from './whole-nodes.js';

/** How it is told that a container is not where it was. */
const LOSS = /^(ERROR container\.lost|WARN publisher\.bind-refused) /;

describe('a database that another node drops', () => {
  let nodes: Nodes;
  beforeEach(() => {
    nodes = new Nodes();
  });
  afterEach(() => nodes.end());

  it('ends with its directories, names and markers, and rises empty when it is made anew, on every node', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [first, second, third] = [makeBlob(1, 100), makeBlob(2, 100), makeBlob(3, 100)];
    await a.client.mkdir('db');
    await a.write(first);
    assert.equal(await b.has(`db/${first.name}`), true);
    await b.write(second);
    await b.client.mkdir('db/checklist');
    await b.client.mkdir('db/empty');
    await a.drop();
    await b.loses('db');
    await nodes.containerGone();
    assert.deepEqual(await b.client.readdir(''), []);
    await assert.rejects(b.client.readdir('db'), /no such file/i);
    assert.equal(nodes.store.names(CONTAINER), undefined, 'nobody makes its container again');

    await b.client.mkdir('db');
    assert.deepEqual(await b.client.readdir('db'), []);
    await b.write(third);
    assert.equal(await a.has(`db/${third.name}`), true, 'found again by name where it was dropped');
    assert.deepEqual((await a.client.readdir('db')).sort(), [third.name.slice(0, 2)]);
    assert.equal(await a.has(`db/${first.name}`), false);
    await b.stop();
    await b.start();
    assert.deepEqual(await b.client.readdir('db'), [third.name.slice(0, 2)]);
  });

  it('is lost, and not dropped, for a node that was not there and finds no container; nothing it knows is forgotten', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const blob = makeBlob(4, 100);
    await a.client.mkdir('db');
    await a.write(blob);
    await b.client.mkdir('db/checklist');
    assert.equal(await b.has(`db/${blob.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    const bringBack = nodes.store.takeAway(CONTAINER);
    b.announced = LOSS;
    await b.start();
    await eventually('B says so', () => b.lines.some((line) => line.startsWith('ERROR container.lost')), 20_000);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal(await b.has('db'), true);
    assert.equal(await b.has('db/checklist'), true);
    assert.equal(
      b.lines.some((line) => line.includes('database.dropped-elsewhere')),
      false,
    );
    assert.equal(nodes.store.names(CONTAINER), undefined, 'none is made in its place');
    bringBack();
    await b.stop();
    await b.start();
    assert.equal(await b.has(`db/${blob.name}`), true);
  });

  it('is gone to who asks for it for the first time long after the drop, so that it can be made', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [first, second] = [makeBlob(23, 100), makeBlob(24, 100)];
    await a.client.mkdir('db');
    await a.write(first);
    assert.equal(await b.has(`db/${first.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await a.drop();
    await eventually('the drop is marked', () => nodes.isMarked());
    // As Odoo asks before it copies a filestore there.
    assert.equal(await b.has('db'), false);
    await nodes.containerGone();
    await b.client.mkdir('db');
    await b.write(second);
    assert.deepEqual(await a.client.readFile(`db/${second.name}`), second.content);
  });

  it('is lost, and not dropped, when its container is gone without a mark; it is whole again when that is back', async () => {
    const original = path.join(nodes.directory, 'original');
    const [blob, below] = [makeBlob(20, 100), makeBlob(21, 100)];
    fs.mkdirSync(path.join(original, 'db', below.name.slice(0, 2)), { recursive: true });
    fs.writeFileSync(path.join(original, 'db', below.name), below.content);
    const b = await nodes.start('b', {}, original);
    b.announced = LOSS;
    await b.write(blob);
    await eventually('B has stored it', () => nodes.store.peek(CONTAINER, blob.name) !== undefined);
    const bringBack = nodes.store.takeAway(CONTAINER);
    for (const untilMs = performance.now() + 3_000; performance.now() < untilMs;) {
      assert.equal(await b.has('db'), true);
      assert.equal(await b.has(`db/${below.name}`), true);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(
      b.lines.some((line) => line.includes('database.dropped-elsewhere')),
      false,
    );
    assert.equal(nodes.store.names(CONTAINER), undefined, 'none is made in its place');
    bringBack();
    assert.equal(await b.has(`db/${blob.name}`), true);
    assert.equal(await b.has(`db/${below.name}`), true);
  });

  it('keeps its empty container for a node that has stopped, and ends there when it comes again', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [old, fresh] = [makeBlob(25, 100), makeBlob(26, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
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
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [old, fresh] = [makeBlob(31, 100), makeBlob(32, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
    await a.stop();
    await b.start();
    await b.loses('db');
    await b.client.mkdir('db');
    await b.write(fresh);
    assert.deepEqual([nodes.store.names(CONTAINER), await nodes.isMarked()], [[fresh.name], false]);
    await b.stop();
    await a.start({ nodes: 'one' });
    await eventually('A has left it', () => a.lines.some((line) => line.includes('container.left')), 10_000);
    assert.deepEqual(nodes.store.names(CONTAINER), [fresh.name]);
  });

  it('is dropped on two nodes at once, and neither waits for the other', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(33, 100));
    assert.equal(await b.has('db'), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await a.client.unlink(`db/${makeBlob(33, 100).name}`);
    await a.client.rmdir(`db/${makeBlob(33, 100).name.slice(0, 2)}`);
    await Promise.allSettled([a.client.rmdir('db'), b.drop()]);
    await nodes.containerGone();
    assert.deepEqual([await a.has('db'), await b.has('db')], [false, false]);
  });

  it('keeps its container from a name that differs in case only, which is refused while it waits', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    a.announced = /^WARN database\.refused /;
    await a.client.mkdir('db');
    await a.write(makeBlob(34, 100));
    assert.equal(await b.has('db'), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
    await assert.rejects(a.client.mkdir('DB'), { kind: 'invalid-name' });
    await b.start();
    await b.loses('db');
    await nodes.containerGone();
    await eventually('A has removed it', () => a.lines.some((line) => line.includes('container.removed')));
    await a.client.mkdir('DB');
  });

  it('is not found again, while its container waits, because one server of Swift lags behind its mark', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(35, 100));
    assert.equal(await b.has('db'), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
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
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [old, fresh] = [makeBlob(27, 100), makeBlob(28, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
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
    const [a, b] = [await nodes.start('a'), await nodes.start('b', { writeTimeoutMs: 100 })];
    b.announced = /^WARN /;
    const [old, late] = [makeBlob(29, 100), makeBlob(30, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    nodes.store.before = ({ method, name }) => {
      if (method === 'put' && name === late.name) throw new FilestoreError('busy', 'not now');
    };
    await b.write(late);
    await b.stop();
    nodes.store.before = undefined;
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
    await b.start();
    await eventually('B has stored it', () => nodes.store.peek(CONTAINER, late.name) !== undefined, 20_000);
    assert.equal(await nodes.isMarked(), false);
    await eventually('A finds it', () => a.has(`db/${late.name}`), 10_000);
    assert.deepEqual([await a.has(`db/${old.name}`), await b.has(`db/${old.name}`)], [false, false]);
  });

  it('ends at once, and for good, for a node that was not there and sees the mark of the drop', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(22, 100));
    assert.equal(await b.has('db'), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await nodes.store.updateContainer(CONTAINER, { 'osf-dropped': String(Date.now()) });
    nodes.store.clearRequests();
    await b.start();
    await eventually('B has looked', () => b.lines.some((line) => line.includes('database.dropped-elsewhere')), 20_000);
    assert.equal(await b.has('db'), false);
    assert.equal(nodes.store.counts.createContainer, undefined);
  });

  it('is not asked for anew by each call while the question for its container fails', async () => {
    const a = await nodes.start('a');
    const blob = makeBlob(23, 100);
    await a.client.mkdir('db');
    await a.write(blob);
    await eventually('A has stored it', () => nodes.store.peek(CONTAINER, blob.name) !== undefined);
    let asked = 0;
    nodes.store.before = ({ method }) => {
      if (method !== 'headContainer') return;
      asked++;
      throw new FilestoreError('forbidden', 'not now');
    };
    const startedMs = performance.now();
    for (let i = 0; i < 20; i++) assert.equal(await a.has('db'), true);
    const elapsedMs = performance.now() - startedMs;
    assert.ok(asked >= 1 && asked <= 2 + elapsedMs / 1_000, `${asked} questions in ${elapsedMs} ms`);
  });

  it('is not waited for long when Swift answers others and does not say whether it has been made anew', async () => {
    const a = await nodes.start('a', { lookupWaitMs: 50 });
    await a.client.mkdir('db');
    nodes.store.before = ({ method, container }) =>
      method === 'headContainer' && container === 'odoo-late' ? new Promise((resolve) => setTimeout(resolve, 5_000)) : undefined;
    let others = 100;
    const busy = setInterval(() => void a.has(`db/${makeBlob(others++, 10).name}`), 20);
    const startedMs = performance.now();
    assert.equal(await a.has('late'), false);
    const elapsedMs = performance.now() - startedMs;
    clearInterval(busy);
    assert.ok(elapsedMs < 2_500, `${elapsedMs} ms`);
  });

  it('lives on with a write that is under way on another node', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b')];
    const [old, written] = [makeBlob(5, 100), makeBlob(6, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await b.client.mkdir(`db/${written.name.slice(0, 2)}`);
    const file = await b.client.open(`db/${written.name}`, 'w');
    await a.drop();
    await eventually('the drop is marked', () => nodes.isMarked());
    assert.equal(await b.has('db'), true, 'somebody writes here');
    await file.write(written.content, 0);
    await file.close();
    assert.deepEqual(nodes.store.names(CONTAINER), [written.name]);
    assert.equal(await nodes.isMarked(), false);
    await eventually('A has left it', () => a.lines.some((line) => line.includes('container.left')), 10_000);
    assert.equal(await a.has(`db/${written.name}`), true);
    assert.equal(await b.has(`db/${written.name}`), true);
  });

  it('does not rise from the original directory of another node', async () => {
    const original = path.join(nodes.directory, 'original');
    const blob = makeBlob(11, 100);
    fs.mkdirSync(path.join(original, 'db', blob.name.slice(0, 2)), { recursive: true });
    fs.writeFileSync(path.join(original, 'db', blob.name), blob.content);
    const a = await nodes.start('a');
    await a.client.mkdir('db');
    const b = await nodes.start('b', {}, original);
    await eventually('the container is there', () => nodes.store.names(CONTAINER) !== undefined);
    assert.equal(await b.has(`db/${blob.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await a.drop();
    await b.loses('db');
    await nodes.containerGone();
    await b.client.mkdir('db');
    assert.deepEqual(await b.client.readdir('db'), []);
    assert.equal(await b.has(`db/${blob.name}`), false);
  });

  it('empties the mount of that one database, whose container waits for a write or for another node', async () => {
    const [a, b] = [await nodes.start('a'), await nodes.start('b', { database: 'db' })];
    const [old, fresh] = [makeBlob(12, 100), makeBlob(13, 100)];
    await b.client.mkdir(old.name.slice(0, 2));
    await b.client.writeFile(old.name, old.content);
    await a.drop();
    await b.loses(old.name);
    await eventually('B knows', async () => (await b.client.readdir('')).length === 0);
    await nodes.containerGone();
    await a.client.mkdir('db');
    await a.write(fresh);
    assert.equal(await b.has(fresh.name), true);
    // Dropped while the mount of that one does not run: its start makes nothing anew.
    await b.stop();
    await a.drop();
    await eventually('A waits for B', () => a.lines.some((line) => line.includes('container.kept')));
    await b.start();
    assert.deepEqual(await b.client.readdir(''), []);
    await nodes.containerGone();
    assert.equal(await a.has('db'), false);
  });
});
