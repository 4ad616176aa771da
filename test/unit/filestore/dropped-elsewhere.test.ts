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
    await b.stop();
    await b.start();
    assert.deepEqual(await b.client.readdir(''), []);
    assert.deepEqual([await a.has('db'), nodes.store.names(CONTAINER)], [false, undefined]);
    await b.client.mkdir(old.name.slice(0, 2));
    await b.client.writeFile(old.name, old.content);
    assert.equal(await a.has(`db/${old.name}`), true);
  });
});
