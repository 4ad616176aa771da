/** Swift is there, and answers slowly, in parts, or not at all: what that holds up, and for how long. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { blobOf, makeBlob, makeBlobs, writeBlob, type Blob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';
import { AT_ONCE_MS, measured, withTrouble } from './trouble.js';

/** `drain_timeout` and the orderly end; `request_timeout`, which nothing may wait for then, is longer. */
const STOP_AT_MOST_MS = 25_000;

describe('while Swift is slow or silent', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());
  const withMount = (database: string, work: (mount: Mount) => Promise<void>): Promise<void> =>
    withTrouble({ swift, proxy }, database, work);

  /** Works while another process reads large files, which come slowly and take the connections. A test's own threads would wait for them. */
  const whileTheyCome = async (mount: Mount, large: readonly Blob[], work: () => Promise<void>): Promise<void> => {
    for (const { sha1 } of large) proxy.add({ do: 'slow', method: 'GET', path: new RegExp(sha1), bytesPerSecond: 50_000 });
    const files = large.map(({ name }) => mount.file(name));
    const readers = spawn('sh', ['-c', 'for name; do cat "$name" > /dev/null & done; wait', 'sh', ...files]);
    try {
      await eventually('connections are busy', () => proxy.running >= 12);
      await work();
    } finally {
      proxy.clear();
      await proxy.down();
      await once(readers, 'exit');
      await proxy.up();
    }
  };

  it('A file that comes slowly is read, however long it takes, as long as bytes come.', () =>
    withMount('slow', async (mount) => {
      const remote = makeBlob(3, 2_000_000);
      await writeBlob(mount.path, makeBlob(4));
      await (await swift.client()).put('odoo-slow', remote.name, remote.content);
      // With `nodes: one` nobody else puts anything into a container that this life has made.
      await mount.restart();
      proxy.add({ do: 'slow', method: 'GET', path: new RegExp(remote.sha1), bytesPerSecond: 250_000 });
      const takenMs = await measured(async () => {
        assert.deepEqual(await fs.readFile(mount.file(remote.name)), remote.content);
      });
      assert.ok(takenMs > 4_000, `well above read_timeout: ${takenMs} ms`);
    }));

  it('A file whose answers always break off is EIO after `read_timeout`, however often it is begun anew.', () =>
    withMount('breaking', async (mount) => {
      const remote = makeBlob(9, 200_000);
      await writeBlob(mount.path, makeBlob(4));
      await (await swift.client()).put('odoo-breaking', remote.name, remote.content);
      await mount.restart();
      proxy.add({ do: 'truncate', method: 'GET', path: new RegExp(remote.sha1), bytes: 1_000 });
      const takenMs = await measured(() => assert.rejects(fs.readFile(mount.file(remote.name)), { code: 'EIO' }));
      assert.ok(takenMs < 30_000, `${takenMs} ms`);
      proxy.clear();
      assert.deepEqual(await fs.readFile(mount.file(remote.name)), remote.content);
    }));

  it('However many large files come slowly, a small one is read, a new one is written, and Swift is not said to be away.', () =>
    withMount('crowd', async (mount) => {
      const client = await swift.client();
      const small = makeBlob(5);
      await writeBlob(mount.path, makeBlob(6));
      const large = makeBlobs(20, 2 << 20, 7_000);
      for (const blob of [small, ...large]) await client.put('odoo-crowd', blob.name, blob.content);
      await mount.restart();
      await whileTheyCome(mount, large, async () => {
        // Longer than `read_timeout`: those that wait for a connection give up.
        await setTimeout(3_000);
        assert.deepEqual(await fs.readFile(mount.file(small.name)), small.content);
        await writeBlob(mount.path, makeBlob(8));
        const [database] = (await mount.status()).databases;
        assert.deepEqual([database?.state, database?.pendingWrites], ['serving', 0]);
      });
    }));

  it('A walk that has asked for small files ahead reads them at once, however many large files come slowly.', () =>
    withMount('overtaken', async (mount) => {
      const client = await swift.client();
      await writeBlob(mount.path, makeBlob(6));
      const large = makeBlobs(14, 2 << 20, 7_100);
      const small: Blob[] = [];
      // In one directory, so that reading them in order is a walk.
      for (let seed = 20_000; small.length < 12; seed += 1) {
        const blob = makeBlob(seed, 2048);
        if (blob.sha1.startsWith('5a')) small.push(blob);
      }
      small.sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const blob of [...small, ...large]) await client.put('odoo-overtaken', blob.name, blob.content);
      await mount.restart();
      await whileTheyCome(mount, large, async () => {
        for (const { name, content } of small) assert.deepEqual(await fs.readFile(mount.file(name)), content);
      });
    }));

  it('A walk through directories that Swift has to be asked for waits for a few of them, and not for each.', async () => {
    const delayMs = 300;
    const blobs = new Map<string, Blob>();
    for (let seed = 30_000; blobs.size < 32; seed += 1) {
      const blob = makeBlob(seed, 100);
      if (/^[01]/.test(blob.name)) blobs.set(blob.name.slice(0, 2), blob);
    }
    const shards = [...blobs.keys()].sort();
    const client = await swift.client();
    const mount = await startMount({
      swift: { ...swift, authUrl: proxy.authUrl },
      database: 'walked',
      args: ['--nodes', 'many', '--delete-bound', '3s'],
    });
    try {
      await writeBlob(mount.path, makeBlob(2));
      await mount.drained();
      for (const { name, content } of blobs.values()) await client.put('odoo-walked', name, content);
      for (const shard of shards) assert.ok((await fs.stat(mount.file(shard))).isDirectory());
      // Until none of it is believed any more.
      await setTimeout(3_500);
      proxy.add({ do: 'delay', ms: delayMs, method: 'GET', path: /prefix=/ });
      const files: string[] = [];
      const takenMs = await measured(async () => {
        for (const shard of shards) files.push(...(await fs.readdir(mount.file(shard))));
      });
      assert.deepEqual(
        files,
        shards.map((shard) => blobs.get(shard)?.sha1),
      );
      assert.ok(takenMs >= 3 * delayMs, `Swift was asked: ${takenMs} ms`);
      assert.ok(takenMs < (shards.length * delayMs) / 2, `it took ${takenMs} ms`);
    } finally {
      proxy.clear();
      await mount.stop();
    }
  });

  it('A large file that takes longer than `write_timeout` is pending, and nobody else notices', () =>
    withMount('long-put', async (mount) => {
      const known = makeBlob(24);
      await writeBlob(mount.path, known);
      // With `nodes: one` nobody is asked for names of a container that this life has made.
      await mount.restart();
      const large = makeBlob(25, 3 << 20);
      proxy.add({ do: 'delay', ms: 6_000, method: 'PUT', path: new RegExp(large.sha1) });
      // Others are answered meanwhile: else it would be an outage.
      const shard = known.sha1.slice(0, 2);
      const ask = `for n in $(seq 1000 1040); do stat ${mount.file(shard)}/${shard}${'0'.repeat(34)}$n; sleep 0.1; done`;
      const reading = spawn('sh', ['-c', ask], { stdio: 'ignore' });
      await writeBlob(mount.path, large);
      const [database] = (await mount.status()).databases;
      assert.deepEqual([database?.state, database?.pendingWrites], ['serving', 1]);
      proxy.clear();
      await once(reading, 'exit');
      await mount.drained();
    }));

  it('A start of what was served before waits for a silent Swift for five seconds at most.', () =>
    withMount('silent-start', async (mount) => {
      const blob = makeBlob(18);
      await writeBlob(mount.path, blob);
      for (const path of [/^\/auth\//, /^\/v1\/AUTH_test\/odoo-silent-start$/]) {
        proxy.add({ do: 'hang', path });
        await mount.kill9();
        const tookMs = await measured(() => mount.restart());
        console.log(`start while ${path.source} is not answered: ${tookMs} ms`);
        // A login alone would be given up after 40 s.
        assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
        assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
        proxy.clear();
        await mount.drained();
      }
    }));

  it('a Swift that hangs holds up neither creations, removals nor renames in a shard', () =>
    withMount('hangs', async (mount) => {
      const blobs = [blobOf('first of the shard'), makeBlob(31), makeBlob(32)] as const;
      for (const blob of blobs) await writeBlob(mount.path, blob);
      const [first, second] = blobs;
      proxy.add({ do: 'hang' });
      const tookMs = {
        write: await measured(() => writeBlob(mount.path, makeBlob(33))),
        unlink: await measured(() => fs.unlink(mount.file(first.name))),
        rename: await measured(() => fs.rename(mount.file(second.name), mount.file(`${second.name}.__gc`))),
        back: await measured(() => fs.rename(mount.file(`${second.name}.__gc`), mount.file(second.name))),
      };
      console.log(`while Swift hangs, ms: ${JSON.stringify(tookMs)}`);
      for (const [what, ms] of Object.entries(tookMs)) assert.ok(ms < AT_ONCE_MS, `${what} took ${ms} ms`);
      await assert.rejects(fs.stat(mount.file(first.name)), { code: 'ENOENT' });
      assert.deepEqual(await fs.readFile(mount.file(second.name)), second.content);
      // what hangs is let go before Swift answers again
      await proxy.down();
      proxy.clear();
      await proxy.up();
      await mount.drained();
      await eventually('Swift is told of the delete', async () => (await mount.status()).databases[0]?.pendingDeletes === 0);
      const client = await swift.client();
      // a delete that waits makes nobody lose anything, so `drained` does not wait for it
      await eventually('the delete reaches Swift', async () => (await client.get('odoo-hangs', first.name)) === undefined);
      assert.deepEqual(await client.names('odoo-hangs'), [second, blobs[2], makeBlob(33)].map(({ name }) => name).sort());
    }));

  it('SIGTERM ends the daemon soon after drain_timeout also while Swift accepts requests and never answers', () =>
    withMount('stuck', async (mount) => {
      await writeBlob(mount.path, makeBlob(50));
      const [blob, doomed] = [makeBlob(51), makeBlob(50)];
      proxy.add({ do: 'hang' });
      await writeBlob(mount.path, blob);
      await fs.unlink(mount.file(doomed.name));
      const tookMs = await measured(async () => assert.equal(await mount.terminate(), 0));
      console.log(`stop while Swift hangs: ${tookMs} ms`);
      assert.ok(tookMs < STOP_AT_MOST_MS, `the stop took ${tookMs} ms`);
      await proxy.down();
      proxy.clear();
      await proxy.up();
      await mount.restart();
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-stuck', blob.name), blob.content);
    }));
});
