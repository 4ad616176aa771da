/** Times that are set. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
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
});
