/** Files that are opened. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { MemoryFile } from '../../../helpers/memory-handles.js';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with an open', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('a write that begins on a copy while another descriptor is closed has the bytes of its own file', async () => {
    const client = await node.start({ writeMode: 'back' });
    await client.writeFile('other.txt', Buffer.from('the bytes of another file'));
    await client.writeFile('notes.txt', Buffer.from(''));
    const [file, again] = [await client.open('notes.txt', 'r+'), await client.open('notes.txt', 'r+')];
    for (let round = 0; round < 50; round++) {
      await file.write(Buffer.from('mine'), 0);
      await (await client.open('notes.txt', 'r+')).close();
      // Sealed; the next write begins on a copy, and a close in its midst seals once more.
      const closed = await client.open('notes.txt', 'r+');
      await Promise.all([again.write(Buffer.from('s'), 4), closed.close(), client.readFile('other.txt')]);
      assert.equal((await client.readFile('notes.txt')).toString(), 'mines');
    }
    await Promise.all([file.close(), again.close()]);
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'notes.txt')?.toString(), 'mines');
  });

  describe('while a file is fetched for who opens it', () => {
    /** Its bytes are on their way from Swift when `change` is called. @returns the file that was opened, or why not */
    const openedAcross = async (change: () => Promise<void>): Promise<MemoryFile | string> => {
      node.cache.forget(`md5-${createHash('md5').update('notes').digest('hex')}`);
      let [answered, go] = [false, (): void => undefined];
      const released = new Promise<void>((resolve) => (go = resolve));
      const get = node.store.get.bind(node.store);
      mock.method(node.store, 'get', async (...args: Parameters<typeof get>) => {
        const read = await get(...args);
        answered = true;
        await released;
        return read;
      });
      const opened = node.client.open('notes.txt', 'r+').catch((error: unknown) => String(error));
      await eventually('Swift answers', () => answered);
      await change();
      go();
      return opened;
    };
    const writeAndClose = async (file: MemoryFile | string): Promise<void> => {
      if (typeof file === 'string') return;
      await file.write(Buffer.from('NOTES'), 0);
      await file.close();
    };

    it('it is removed: it does not come back', async () => {
      const client = await node.start();
      await client.writeFile('notes.txt', Buffer.from('notes'));
      const file = await openedAcross(() => client.unlink('notes.txt'));
      assert.equal(await client.exists('notes.txt'), false);
      await writeAndClose(file);
      assert.equal(await client.exists('notes.txt'), false);
      await node.drained();
      assert.deepEqual(node.store.names(CONTAINER), []);
    });

    it('it is renamed: its old name does not come back', async () => {
      const client = await node.start();
      await client.writeFile('notes.txt', Buffer.from('notes'));
      const file = await openedAcross(() => client.rename('notes.txt', 'kept.txt'));
      await writeAndClose(file);
      assert.equal(await client.exists('notes.txt'), false);
      await node.drained();
      assert.deepEqual(node.store.names(CONTAINER), ['kept.txt']);
    });

    it('another file takes its place: who has opened it writes on that one', async () => {
      const client = await node.start();
      await client.writeFile('notes.txt', Buffer.from('notes'));
      await client.writeFile('other.txt', Buffer.from('something else'));
      const file = await openedAcross(() => client.rename('other.txt', 'notes.txt'));
      assert.equal((await client.readFile('notes.txt')).toString(), 'something else');
      await writeAndClose(file);
      assert.equal((await client.readFile('notes.txt')).toString(), 'NOTEShing else');
    });
  });
});
