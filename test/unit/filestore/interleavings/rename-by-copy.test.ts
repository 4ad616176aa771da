/** Renames by a COPY: what is closed, deleted or not answered meanwhile. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { eventually } from '../../../helpers/processes.js';
import { CONTAINER, HeldNode } from './held-node.js';

describe('what may interleave with a rename that Swift carries out', () => {
  let node: HeldNode;
  beforeEach(() => {
    node = new HeldNode();
  });
  afterEach(() => node.end());

  it('a close during a rename belongs to the name the file has in the end, whether the rename succeeds or fails', async () => {
    const client = await node.start({ writeMode: 'back' });
    for (const [outcome, wanted] of [
      ['fails', { a: 'new a', b: 'old b' }],
      ['succeeds', { a: undefined, b: 'new a' }],
    ] as const) {
      await client.writeFile('a', Buffer.from('old a'));
      await client.writeFile('b', Buffer.from('old b'));
      await node.drained();
      const file = await client.open('a', 'r+');
      const copy = node.hold(({ method }) => method === 'copy');
      if (outcome === 'fails') node.store.failNext('copy', 'too-large');
      const renamed = client.rename('a', 'b').then(
        () => 'succeeds',
        () => 'fails',
      );
      await copy.held;
      await file.write(Buffer.from('new a'), 0);
      const closed = file.close();
      copy.go();
      assert.equal(await renamed, outcome);
      await closed;
      await node.drained();
      for (const name of ['a', 'b'] as const) {
        assert.equal(node.store.peek(CONTAINER, name)?.toString(), wanted[name], `${name} in Swift when it ${outcome}`);
        assert.equal((await client.readFile(name).catch(() => undefined))?.toString(), wanted[name], `${name} here when it ${outcome}`);
      }
    }
  });

  it('what is closed under the old name while Swift copies it to the new one is what the new name has', async () => {
    const client = await node.start({ writeMode: 'back' });
    await client.writeFile('cfg', Buffer.from('old'));
    await node.drained();
    const { held, go } = node.hold(({ method }) => method === 'copy');
    const renamed = client.rename('cfg', 'cfg.2');
    await held;
    // Opened, written and closed meanwhile: answered from the spool.
    await client.writeFile('cfg', Buffer.from('new'));
    go();
    await renamed;
    assert.equal(await client.exists('cfg'), false);
    assert.equal((await client.readFile('cfg.2')).toString(), 'new');
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), ['cfg.2']);
    assert.equal(node.store.peek(CONTAINER, 'cfg.2')?.toString(), 'new');
  });

  it('who has the target of a failed rename open still writes to it', async () => {
    const client = await node.start();
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile('b', Buffer.from('b'));
    const target = await client.open('b', 'r+');
    node.store.failNext('copy', 'too-large');
    await assert.rejects(client.rename('a', 'b'));
    await target.write(Buffer.from('written after'), 0);
    await target.close();
    await node.drained();
    assert.equal(node.store.peek(CONTAINER, 'b')?.toString(), 'written after');
    assert.equal((await client.readFile('a')).toString(), 'a');
  });

  it('a rename that was given up does not bring back what was deleted since', async () => {
    const client = await node.start({ lookupWaitMs: 100 });
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile('b', Buffer.from('b'));
    const copy = node.hold(({ method }) => method === 'copy');
    // Else the rename would go on by the spool.
    node.cache.forget(`md5-${createHash('md5').update('a').digest('hex')}`);
    await assert.rejects(client.rename('a', 'b'), /Swift cannot be reached/);
    await client.unlink('b');
    copy.go();
    await eventually('Swift is back', () => node.filestore.databases[0]?.state === 'serving');
    await node.drained();
    assert.deepEqual(node.store.names(CONTAINER), ['a']);
    assert.equal(await client.exists('b'), false);
  });

  it('a rename whose answer is lost, or that Swift does not take, is done all the same', async () => {
    const client = await node.start();
    for (const fault of ['lost', 'away'] as const) {
      await client.writeFile('a', Buffer.from(`a ${fault}`));
      await client.writeFile('b', Buffer.from('b'));
      await node.drained();
      if (fault === 'lost') node.store.loseNext('copy');
      else node.store.failNext('copy', 'unavailable');
      await client.rename('a', 'b');
      assert.equal(await client.exists('a'), false);
      assert.equal((await client.readFile('b')).toString(), `a ${fault}`);
      await node.drained();
      await eventually('Swift has the one name', () => node.store.names(CONTAINER)?.join() === 'b');
      assert.equal(node.store.peek(CONTAINER, 'b')?.toString(), `a ${fault}`);
    }
  });

  it('with several nodes a rename that fails leaves its target as it was, also when Swift has carried out what it did not answer', async () => {
    const client = await node.start({ nodes: 'many' });
    for (const fault of ['none', 'lost', 'away'] as const) {
      await client.writeFile('a', Buffer.from(`a ${fault}`));
      await client.writeFile('b', Buffer.from(`b ${fault}`));
      await node.drained();
      if (fault === 'lost') node.store.loseNext('copy');
      node.store.down = fault === 'away';
      const isDone = await client.rename('a', 'b').then(
        () => true,
        () => false,
      );
      node.store.down = false;
      await eventually('Swift is there', () => node.filestore.databases[0]?.state === 'serving');
      await node.drained();
      const wanted = isDone ? `a ${fault}` : `b ${fault}`;
      assert.equal((await client.readFile('b')).toString(), wanted);
      await eventually('Swift has the same', () => node.store.peek(CONTAINER, 'b')?.toString() === wanted);
      assert.equal(await client.exists('a'), !isDone);
      assert.equal(isDone, fault !== 'away');
      if (!isDone) await client.unlink('a');
      await client.unlink('b');
    }
  });

  it('a rename that went on by the spool is not undone by its COPY, which comes late, nor is what was deleted since', async () => {
    const client = await node.start({ lookupWaitMs: 100 });
    for (const name of ['a', 'b', 'c', 'd']) await client.writeFile(name, Buffer.from(name));
    await node.drained();
    const copy = node.hold(({ method }) => method === 'copy');
    await client.rename('a', 'b');
    await client.rename('c', 'd');
    await client.unlink('b');
    copy.go();
    await eventually('Swift is back', () => node.filestore.databases[0]?.state === 'serving');
    await node.drained();
    await eventually('Swift has the one name', () => node.store.names(CONTAINER)?.join() === 'd');
    assert.equal(await client.exists('b'), false);
    assert.equal((await client.readFile('d')).toString(), 'c');
    assert.equal(node.store.peek(CONTAINER, 'd')?.toString(), 'c');
  });
});
