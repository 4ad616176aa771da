/** How a mount of many databases takes its registrations back at its end. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { WholeNode } from './whole-nodes.js';

describe('the end of a mount of many databases', () => {
  const made = async (store: MemoryStore, directory: string): Promise<WholeNode> => {
    const node = await new WholeNode(store, directory, { nodes: 'one' }).start();
    for (let n = 0; n < 20; n++) await node.client.mkdir(`db${n}`);
    await eventually('all have containers', () => (store.counts.createContainer ?? 0) >= 20);
    store.clearRequests();
    return node;
  };

  it('takes every registration back, a few at once, so that none waits its time away behind the others', async () => {
    const directory = tempDir('many-leave');
    const store = new MemoryStore();
    const node = await made(store, directory);
    let [running, most] = [0, 0];
    store.before = async ({ method }) => {
      if (method !== 'updateContainer') return;
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
    };
    await node.stop();
    assert.equal(store.counts.updateContainer, 20);
    assert.ok(most <= 4, `${most} at once`);
    store.before = undefined;
    for (let n = 0; n < 20; n++) {
      const info = await store.headContainer(`odoo-db${n}`);
      const keys = Object.keys(info?.metadata ?? {}).map((key) => key.replace(/[0-9a-f]{12}$/, 'ID'));
      assert.deepEqual(keys, ['osf-database', 'osf-left-ID']);
    }
    removeDir(directory);
  });

  it('asks no more once Swift has not answered', async () => {
    const directory = tempDir('many-leave-away');
    const store = new MemoryStore();
    const node = await made(store, directory);
    store.failNext('updateContainer', 'unavailable', 100);
    await node.stop();
    assert.ok((store.counts.updateContainer ?? 0) <= 4, String(store.counts.updateContainer));
    removeDir(directory);
  });
});
