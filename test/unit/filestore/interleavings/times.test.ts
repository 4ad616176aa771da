/** Times that are set. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FilestoreError } from '../../../../src/base/errors.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with setting a time', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('A time that was set goes along with a rename and reaches Swift.', async () => {
    const client = await node.start({ writeMode: 'back' });
    const timeMs = 1_000_000_000_000;
    for (const state of ['pending', 'stored'] as const) {
      const put = node.hold(({ method, name }) => method === 'put' && name === '.cfg.aB3xYz' && state === 'pending');
      await client.writeFile('.cfg.aB3xYz', Buffer.from(state));
      if (state === 'stored') await node.drained();
      await client.utimes('.cfg.aB3xYz', timeMs, timeMs);
      await client.rename('.cfg.aB3xYz', 'cfg');
      put.go();
      assert.equal((await client.stat('cfg')).mtimeMs, timeMs, state);
      await node.drained();
      assert.equal((await client.stat('cfg')).mtimeMs, timeMs, state);
      assert.equal((await node.store.head(CONTAINER, 'cfg'))?.metadata['mtime'], String(timeMs), state);
    }
  });

  it('A time that is set while the last close is under way, or while the bytes travel to Swift, is kept.', async () => {
    const client = await node.start({ writeMode: 'back' });
    const requester = { pid: 1, signal: new AbortController().signal };
    const isKept = async (name: string, timeMs: number): Promise<void> => {
      assert.equal((await client.stat(name)).mtimeMs, timeMs, name);
      await node.drained();
      assert.equal((await client.stat(name)).mtimeMs, timeMs, name);
      assert.equal((await node.store.head(CONTAINER, name))?.metadata['mtime'], String(timeMs), name);
    };
    const file = await node.filestore.create('closed', { mode: 0o644, exclusive: true, read: false }, requester);
    await file.write(0, Buffer.from('x'));
    await file.flush();
    // Both requests of one wake-up: nothing that waits runs between them.
    const released = file.release();
    await node.filestore.setTimes('closed', 1_000_000_000_000, requester);
    await released;
    await isKept('closed', 1_000_000_000_000);
    const put = node.hold(({ method, name }) => method === 'put' && name === 'travelling');
    await client.writeFile('travelling', 'x');
    await put.held;
    await client.utimes('travelling', 1_100_000_000_000, 1_100_000_000_000);
    put.go();
    await isKept('travelling', 1_100_000_000_000);
  });

  it('a file that is renamed while Swift is told its time has that time under its new name', async () => {
    const client = await node.start();
    await client.writeFile('a.1', Buffer.from('one'));
    const post = node.hold(({ method }) => method === 'updateMetadata');
    await client.setattr('a.1', { mtimeMs: 1_000_000_000_000 });
    await post.held;
    const renamed = client.rename('a.1', 'a.2');
    await delay(50);
    post.go();
    await renamed;
    assert.equal((await client.stat('a.2')).mtimeMs, 1_000_000_000_000);
  });

  it('A time that was being set does not bring back what was deleted meanwhile, where Swift was not told of that at once.', async () => {
    const client = await node.start({ nodes: 'many' });
    await client.writeFile('notes.txt', Buffer.from('notes'));
    const post = node.hold(({ method }) => method === 'updateMetadata');
    await client.setattr('notes.txt', { mtimeMs: 1_000_000_000_000 });
    await post.held;
    // The DELETE waits for the POST, and is put off after a second.
    await client.unlink('notes.txt');
    const posted = (): number => node.store.counts.updateMetadata ?? 0;
    assert.equal(posted(), 1);
    node.store.before = ({ method }) => (method === 'delete' ? Promise.reject(new FilestoreError('busy', 'no')) : undefined);
    post.go();
    await eventually('the time is set', async () => (await node.store.head(CONTAINER, 'notes.txt'))?.metadata['mtime'] === '1000000000000');
    assert.deepEqual(await client.readdir(''), []);
    assert.equal(await client.exists('notes.txt'), false);
    node.store.before = undefined;
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), []);
  });
});
