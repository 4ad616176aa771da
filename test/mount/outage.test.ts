/** Swift goes away and comes back, while Odoo works on: what is acknowledged, served, delayed and refused meanwhile. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeBlob, makeBlobs, writeBlob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { StartRefused, startMount, type Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';
import { AT_ONCE_MS, SHORT_WAITS, measured, startImpatient, withTrouble } from './trouble.js';

describe('while Swift is gone', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());
  const withMount = (database: string, work: (mount: Mount) => Promise<void>): Promise<void> =>
    withTrouble({ swift, proxy }, database, work);

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
      await assert.rejects(startImpatient({ swift, proxy }, 'first'), (error) => {
        assert.ok(error instanceof StartRefused);
        assert.notEqual(error.code, 0);
        assert.match(error.stderr, new RegExp(`127\\.0\\.0\\.1:${proxy.port}`));
        return true;
      });
    } finally {
      await proxy.up();
    }
  });

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
