/** PUTs: which of two closes stays. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FilestoreError } from '../../../../src/base/errors.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with publishing', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('What was closed last is stored when our own PUT of what was closed before it comes late.', async () => {
    const client = await node.startInContainer();
    const put = node.hold(({ method }) => method === 'put');
    await client.writeFile('notes.txt', Buffer.from('one'));
    await put.held;
    await client.writeFile('notes.txt', Buffer.from('the last'));
    put.go();
    await node.drained();
    assert.equal((await client.readFile('notes.txt')).toString(), 'the last');
    assert.equal(node.store.peek(CONTAINER, 'notes.txt')?.toString(), 'the last');
  });

  it('what was closed last is stored when our own PUT of what was closed before it came late, and nobody heard of it before a restart', async () => {
    const client = await node.startInContainer();
    node.store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
    await client.writeFile('notes.txt', Buffer.from('the last'));
    await node.stop();
    const nodeId = (await readFile(path.join(node.directory, 'spool/node-id'), 'utf8')).trim();
    node.store.plant(CONTAINER, 'notes.txt', Buffer.from('one'), { node: nodeId });
    node.store.before = undefined;
    await node.start({ nodes: 'many', writeMode: 'back' });
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'notes.txt')?.toString(), 'the last');
  });

  it('Of two closes that both waited for Swift the later one counts, whichever reaches Swift first.', async () => {
    const client = await node.startInContainer();
    for (const [other, wanted] of [
      ['before ours', 'ours'],
      ['after ours', 'theirs'],
    ]) {
      await client.writeFile('notes.txt', Buffer.from('first'));
      await node.drained();
      node.store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
      const beforeMs = Date.now();
      await delay(20);
      await client.writeFile('notes.txt', Buffer.from('ours'));
      await delay(20);
      const closed = String(other === 'before ours' ? beforeMs : Date.now());
      node.store.plant(CONTAINER, 'notes.txt', Buffer.from('theirs'), { node: 'another', closed });
      node.store.before = undefined;
      await node.drained();
      assert.equal(node.store.peek(CONTAINER, 'notes.txt')?.toString(), wanted, `theirs was closed ${other}`);
      assert.equal((await client.readFile('notes.txt')).toString(), wanted);
    }
  });

  it('a close that comes late neither brings back a file that was unlinked meanwhile nor undoes a rename onto its name', async () => {
    const client = await node.start();
    let put = node.hold(({ method, name }) => method === 'put' && name === 'gone');
    const closing = client.writeFile('gone', Buffer.from('old')).catch(() => undefined);
    await put.held;
    await client.unlink('gone');
    put.go();
    await closing;
    await node.drained();
    await eventually('it is gone', () => node.store.peek(CONTAINER, 'gone') === undefined);
    await client.writeFile('fresh', Buffer.from('new'));
    put = node.hold(({ method, name }) => method === 'put' && name === 'cfg');
    const late = client.writeFile('cfg', Buffer.from('old')).catch(() => undefined);
    await put.held;
    await client.mkdir('upload');
    await client.writeFile('upload/n', Buffer.from('newer'));
    await client.rename('upload/n', 'cfg');
    put.go();
    await late;
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'cfg')?.toString(), 'newer');
    assert.equal((await client.readFile('cfg')).toString(), 'newer');
  });

  it('objects that Swift refuses hold up no others', async () => {
    const client = await node.start({ writeMode: 'back' });
    node.store.before = ({ method, name }) => {
      if (method === 'put' && name?.startsWith('bad') === true) node.store.failNext('put', 'too-large');
    };
    for (let n = 0; n < 6; n++) await client.writeFile(`bad${n}`, Buffer.from('x'));
    for (let n = 0; n < 20; n++) await client.writeFile(`good${n}`, Buffer.from('x'));
    await eventually('the others are there', () => (node.store.names(CONTAINER) ?? []).filter((n) => n.startsWith('good')).length === 20);
    assert.equal(node.filestore.databases[0]?.pendingWrites, 6);
    assert.equal(node.filestore.databases[0]?.state, 'degraded');
  });

  it('who reads a file and closes it publishes nothing of what another one has half written', async () => {
    const client = await node.start();
    await client.writeFile('a', Buffer.from('whole'));
    const writer = await client.open('a', 'r+');
    const reader = await client.open('a', 'r');
    await writer.write(Buffer.from('HA'), 0);
    assert.equal(Buffer.from(await reader.read(0, 5)).toString(), 'HAole');
    await reader.close();
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'a')?.toString(), 'whole');
    await writer.write(Buffer.from('LF!'), 2);
    const last = await client.open('a', 'r');
    await writer.close();
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'a')?.toString(), 'HALF!');
    await last.close();
  });
});
