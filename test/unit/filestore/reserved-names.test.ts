/** Names of databases whose containers would be those that Swift or this program makes beside another one. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { MemoryStore } from '../../helpers/memory-store.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { WholeNode } from './whole-nodes.js';

describe('databases beside which something else would lie', () => {
  it('are refused when they are made, and the segments of another are not one', async () => {
    const directory = tempDir('beside');
    const store = new MemoryStore();
    store.plant('odoo-db_segments', 'x', Buffer.from('segment'));
    const one = await new WholeNode(store, directory, { nodes: 'one' }).start();
    one.announced = /^WARN database\.refused database=\w+ reason=".* choose a name that does not end in _segments or _trash"/;
    for (const name of ['a_segments', 'A_Segments', 'b_trash', 'db_segments', 'b_trash']) {
      await assert.rejects(one.client.mkdir(name), /_segments or _trash/, name);
      assert.equal(await one.has(name), false);
    }
    assert.equal(one.lines.filter((line) => /^WARN/.test(line)).length, 4, 'told once for each name');
    await one.client.mkdir('segments');
    assert.deepEqual(await one.client.readdir(''), ['segments']);
    await one.stop();
    const single = new WholeNode(store, path.join(directory, 'single'), { database: 'a_segments' });
    await assert.rejects(single.start(), /_segments or _trash/);
    removeDir(directory);
  });
});
