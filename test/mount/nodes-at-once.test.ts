/** Sentences of docs/SEMANTICS.md about how soon a node sees what another one did: two mounts of the real program, one Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, type Blob, writeBlob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

const MANY = ['--nodes', 'many', '--delete-bound', '3s', '--write-timeout', '2s', '--drain-timeout', '1s'];

describe('docs/SEMANTICS.md: how soon another node sees it', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let a: Mount;
  let b: Mount;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
    a = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'soon', args: MANY });
    b = await startMount({ swift, database: 'soon', args: MANY });
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await swift.stop();
  });
  /** As the newest Odoo does: the shard is made first. */
  const writeByRename = async (blob: Blob): Promise<number> => {
    await fs.mkdir(a.file('upload'), { recursive: true });
    await fs.mkdir(a.file(path.dirname(blob.name)), { recursive: true });
    await fs.writeFile(a.file('upload', blob.sha1), blob.content);
    const startedMs = performance.now();
    await fs.rename(a.file('upload', blob.sha1), a.file(blob.name));
    return performance.now() - startedMs;
  };

  it('A blob that gets its name by a rename on one node is readable on the other at once.', async () => {
    for (let seed = 900; seed < 905; seed++) {
      const blob = makeBlob(seed);
      await writeByRename(blob);
      assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
    }
    const slow = makeBlob(905);
    proxy.add({ do: 'delay', ms: 2_000, method: 'PUT', times: 1 });
    assert.ok((await writeByRename(slow)) < 1_000, 'a rename does not wait for a PUT that takes long');
    assert.deepEqual(await fs.readFile(a.file(slow.name)), slow.content);
    await a.drained();
    assert.deepEqual(await fs.readFile(b.file(slow.name)), slow.content);
  });

  it('A PUT that is not answered holds up nothing but itself.', async () => {
    const [hung, later] = [makeBlob(920), makeBlob(921)];
    proxy.add({ do: 'hang', method: 'PUT', path: new RegExp(hung.sha1) });
    await writeBlob(a.path, hung);
    await writeBlob(a.path, later);
    const readOnB = (): Promise<Buffer | undefined> => fs.readFile(b.file(later.name)).catch(() => undefined);
    assert.deepEqual(await eventually('B has the later one', readOnB, 10_000), later.content);
    assert.deepEqual(await fs.readFile(a.file(hung.name)), hung.content);
    proxy.clear();
    await a.drained();
    assert.deepEqual(await fs.readFile(b.file(hung.name)), hung.content);
  });

  it('A listing does not make a blob that was deleted on another node be believed for longer.', async () => {
    const blob = makeBlob(910);
    await writeBlob(a.path, blob);
    // What B listed when it started is too old by the time of the listing below.
    await sleep(1_500);
    await fs.stat(b.file(blob.name));
    await fs.unlink(a.file(blob.name));
    const deletedMs = performance.now();
    await sleep(1_500);
    await fs.readdir(b.file(path.dirname(blob.name)));
    await sleep(deletedMs + 3_600 - performance.now());
    await assert.rejects(fs.stat(b.file(blob.name)), { code: 'ENOENT' });
    assert.deepEqual(await fs.readdir(b.file(path.dirname(blob.name))), []);
  });
});
