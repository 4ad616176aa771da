/** Swift goes away and comes back, while Odoo works on: what is acknowledged, served, delayed and refused meanwhile. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { blobOf, makeBlob, makeBlobs, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { StartRefused, startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

/** Short waits: the tests are about what happens after them. */
const SHORT_WAITS = ['--read-timeout', '2s', '--lookup-wait', '200ms', '--write-timeout', '1s', '--drain-timeout', '2s'];
/** Nothing that works without Swift may take this long, however loaded the machine. */
const AT_ONCE_MS = 15_000;
/** `drain_timeout` and the orderly end; `request_timeout`, which nothing may wait for then, is longer. */
const STOP_AT_MOST_MS = 25_000;

describe('while Swift is gone', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());

  const start = (database: string): Promise<Mount> =>
    startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database, args: SHORT_WAITS });
  const measured = async (work: () => Promise<unknown>): Promise<number> => {
    const startMs = Date.now();
    await work();
    return Date.now() - startMs;
  };
  /** Runs with a mount that may warn, and puts everything right afterwards. */
  const withMount = async (database: string, work: (mount: Mount) => Promise<void>): Promise<void> => {
    const mount = await start(database);
    mount.log.expect(/^WARN /);
    try {
      await work(mount);
    } finally {
      proxy.clear();
      await proxy.up();
      await mount.stop();
    }
  };

  it('what was read before is served, and what was not is an I/O error after a delay, never "no such file"', () =>
    withMount('reads', async (mount) => {
      const [known, remote] = [makeBlob(1), makeBlob(2)];
      await writeBlob(mount.path, known);
      await (await swift.client()).put('odoo-reads', remote.name, remote.content);
      await mount.restart();
      assert.deepEqual(await fs.readdir(mount.file(remote.name.slice(0, 2))), [remote.sha1]);
      await proxy.down();
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      await assert.rejects(fs.readFile(mount.file(remote.name)), { code: 'EIO' });
      await proxy.up();
      assert.deepEqual(await fs.readFile(mount.file(remote.name)), remote.content);
    }));

  it('A file whose times are set between fsync() and close() is closed without an error, also when Swift went away in between.', () =>
    withMount('times', async (mount) => {
      const file = await fs.open(mount.file('notes.txt'), 'w');
      await file.write('stored at the fsync');
      await file.sync();
      assert.equal((await (await swift.client()).get('odoo-times', 'notes.txt'))?.toString(), 'stored at the fsync');
      await proxy.down();
      await file.utimes(1_500_000_000, 1_500_000_000);
      await file.close();
      assert.equal((await fs.stat(mount.file('notes.txt'))).mtimeMs, 1_500_000_000_000);
      await proxy.up();
      await eventually('its mtime is in the metadata', async () => {
        const found = await (await swift.client()).head('odoo-times', 'notes.txt');
        return found?.['x-object-meta-mtime'] === '1500000000000';
      });
      assert.deepEqual(
        mount.log.lines.filter((line) => /cache\.unwritable|not-stored/.test(line)),
        [],
      );
    }));

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

  it('What is deleted in one database stays readable in another one that has it too, also while Swift is away.', async () => {
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, args: SHORT_WAITS });
    mount.log.expect(/^WARN /);
    try {
      const [deleted, moved] = [makeBlob(21), makeBlob(22)];
      for (const database of ['live', 'copy']) for (const blob of [deleted, moved]) await writeBlob(mount.file(database), blob);
      await fs.unlink(mount.file('copy', deleted.name));
      await mount.drained();
      await proxy.down();
      await fs.rm(mount.file('copy'), { recursive: true });
      for (const { name, content } of [deleted, moved]) assert.deepEqual(await fs.readFile(mount.file('live', name)), content);
      await fs.unlink(mount.file('live', moved.name));
      assert.equal((await mount.status()).cache.files, 1, 'the last one to have it takes it along');
    } finally {
      proxy.clear();
      await proxy.up();
      await mount.stop();
    }
  });

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
      for (const { sha1 } of large) proxy.add({ do: 'slow', method: 'GET', path: new RegExp(sha1), bytesPerSecond: 50_000 });
      // Without a test's own threads waiting for them.
      const readers = spawn('sh', [
        '-c',
        'for name; do cat "$name" > /dev/null & done; wait',
        'sh',
        ...large.map(({ name }) => mount.file(name)),
      ]);
      try {
        await eventually('connections are busy', () => proxy.running >= 12);
        // Longer than `read_timeout`: those that wait for a connection give up.
        await setTimeout(3_000);
        assert.deepEqual(await fs.readFile(mount.file(small.name)), small.content);
        await writeBlob(mount.path, makeBlob(8));
        const [database] = (await mount.status()).databases;
        assert.deepEqual([database?.state, database?.pendingWrites], ['serving', 0]);
      } finally {
        proxy.clear();
        await proxy.down();
        await once(readers, 'exit');
        await proxy.up();
      }
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
      for (const { sha1 } of large) proxy.add({ do: 'slow', method: 'GET', path: new RegExp(sha1), bytesPerSecond: 50_000 });
      const names = large.map(({ name }) => mount.file(name));
      const readers = spawn('sh', ['-c', 'for name; do cat "$name" > /dev/null & done; wait', 'sh', ...names]);
      try {
        await eventually('connections are busy', () => proxy.running >= 12);
        for (const { name, content } of small) assert.deepEqual(await fs.readFile(mount.file(name)), content);
      } finally {
        proxy.clear();
        await proxy.down();
        await once(readers, 'exit');
        await proxy.up();
      }
    }));

  it('a write is acknowledged from the spool at once, survives SIGKILL, and reaches Swift when that is back', () =>
    withMount('writes', async (mount) => {
      await writeBlob(mount.path, makeBlob(10));
      const blob = makeBlob(11);
      await proxy.down();
      const tookMs = await measured(() => writeBlob(mount.path, blob));
      console.log(`write without Swift: ${tookMs} ms`);
      assert.ok(tookMs < AT_ONCE_MS);
      const status = await mount.status();
      assert.equal(status.safeToLoseThisMachine, false);
      assert.equal(status.databases[0]?.pendingWrites, 1);
      assert.equal(status.databases[0]?.pendingBytes, blob.content.length);
      await mount.kill9();
      await mount.restart();
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      await proxy.up();
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-writes', blob.name), blob.content);
    }));

  it('a start without Swift serves, though a database was dropped and others were made while it was away', async () => {
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, containerPrefix: 'several', args: SHORT_WAITS });
    mount.log.expect(/^WARN /);
    const make = async (database: string, seed: number): Promise<void> => {
      for (const { name, content } of makeBlobs(12, 2048, seed)) {
        await fs.mkdir(mount.file(database, name.slice(0, 2)), { recursive: true });
        await fs.writeFile(mount.file(database, name), content);
      }
    };
    try {
      await make('dropped', 500);
      await mount.drained();
      await proxy.down();
      await make('one', 520);
      await make('two', 540);
      await make('three', 560);
      await fs.rm(mount.file('dropped'), { recursive: true });
      await mount.kill9();
      const tookMs = await measured(() => mount.restart());
      assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
      assert.deepEqual((await fs.readdir(mount.path)).sort(), ['one', 'three', 'two']);
      await setTimeout(3_000);
      assert.equal(mount.log.lines.filter((line) => /swift\.back/.test(line)).length, 0, 'nobody said that Swift is back');
      await proxy.up();
      await mount.drained();
      const client = await swift.client();
      await eventually('the drop reaches Swift', async () => (await client.list('several-dropped')) === undefined);
      assert.equal((await client.names('several-two')).length, 12);
    } finally {
      await proxy.up();
      await mount.stop();
    }
  });

  it('Where Swift answers and takes no object, one close() waits a moment for it, and those that follow are pending at once.', async () => {
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'object-servers' });
    mount.log.expect(/^WARN /);
    try {
      await writeBlob(mount.path, makeBlob(15));
      await swift.faults.kill('object');
      const blobs = makeBlobs(8, 2048, 160);
      const tookMs = await measured(async () => {
        for (const blob of blobs) await writeBlob(mount.path, blob);
      });
      console.log(`eight writes without object servers: ${tookMs} ms`);
      // `write_timeout` is 10 s.
      assert.ok(tookMs < 9_000, `${tookMs} ms`);
      const [database] = (await mount.status()).databases;
      assert.equal(database?.state, 'degraded');
      assert.match(database.reason ?? '', /503/);
      assert.equal(database.pendingWrites, blobs.length);
      await swift.down();
      await swift.up();
      await mount.drained();
      await writeBlob(mount.path, makeBlob(16));
      assert.equal((await mount.status()).safeToLoseThisMachine, true);
    } finally {
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

  it('In `strict` a close() waits up to `write_timeout` for a Swift that is slow or away, and fails with EIO only then.', async () => {
    const args = ['--lookup-wait', '200ms', '--write-timeout', '5s', '--write-mode', 'strict'];
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'strict', args });
    mount.log.expect(/^(WARN|ERROR) /);
    try {
      const [slow, late, never, again] = [19, 20, 21, 22].map((seed) => makeBlob(seed));
      assert.ok(slow && late && never && again);
      await writeBlob(mount.path, makeBlob(23));
      const client = await swift.client();
      // A silence of twice lookup_wait counts as an outage.
      proxy.add({ do: 'delay', ms: 1_500, path: /^\/v1/ });
      await writeBlob(mount.path, slow);
      assert.deepEqual(await client.get('odoo-strict', slow.name), slow.content);
      proxy.clear();
      await proxy.down();
      await assert.rejects(writeBlob(mount.path, never), { code: 'EIO' });
      const written = writeBlob(mount.path, late);
      await setTimeout(1_000);
      await proxy.up();
      await written;
      assert.deepEqual(await client.get('odoo-strict', late.name), late.content);
      await writeBlob(mount.path, again);
      assert.equal((await mount.status()).safeToLoseThisMachine, true);
    } finally {
      proxy.clear();
      await proxy.up();
      await mount.stop();
    }
  });

  it('a container server that is gone holds up no write, also after a restart', async () => {
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'container-server' });
    mount.log.expect(/^WARN /);
    try {
      await writeBlob(mount.path, makeBlob(17));
      await swift.faults.kill('container');
      await mount.kill9();
      await mount.restart();
      const blobs = makeBlobs(4, 2048, 170);
      const tookMs = await measured(async () => {
        for (const blob of blobs) await writeBlob(mount.path, blob);
      });
      console.log(`four writes without container server: ${tookMs} ms`);
      // One of them may take `lookup_wait` ten times over for each question, and `write_timeout`: 22 s.
      assert.ok(tookMs < 12_000, `${tookMs} ms`);
      await swift.down();
      await swift.up();
      await mount.drained();
      assert.deepEqual(await fs.readFile(mount.file(makeBlob(17).name)), makeBlob(17).content);
    } finally {
      await mount.stop();
    }
  });

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

  it('a container that was served before mounts degraded and serves what this machine has', () =>
    withMount('degraded', async (mount) => {
      const blob = makeBlob(20);
      await writeBlob(mount.path, blob);
      assert.equal(await mount.terminate(), 0);
      await proxy.down();
      await mount.restart();
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      const another = makeBlob(21);
      await writeBlob(mount.path, another);
      assert.deepEqual(await fs.readFile(mount.file(another.name)), another.content);
      assert.equal((await mount.status()).state, 'degraded');
      await proxy.up();
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-degraded', another.name), another.content);
    }));

  it('a first mount is refused with the address that did not answer', async () => {
    await proxy.down();
    try {
      await assert.rejects(start('first'), (error) => {
        assert.ok(error instanceof StartRefused);
        assert.notEqual(error.code, 0);
        assert.match(error.stderr, new RegExp(`127\\.0\\.0\\.1:${proxy.port}`));
        return true;
      });
    } finally {
      await proxy.up();
    }
  });

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

  it('SIGTERM ends the daemon within drain_timeout, and the next start publishes what was pending', () =>
    withMount('drained', async (mount) => {
      await writeBlob(mount.path, makeBlob(40));
      const blob = makeBlob(41);
      await proxy.down();
      await writeBlob(mount.path, blob);
      assert.equal(await mount.terminate(), 0);
      await proxy.up();
      await mount.restart();
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-drained', blob.name), blob.content);
    }));
});
