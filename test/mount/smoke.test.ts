/** The shortest way through everything: the real program, the real kernel, the real Swift; one attachment there and back. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeBlob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { isMounted, runCli, startMount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

describe('a mount over a real Swift', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());

  it('stores an attachment under its store_fname, serves it back after a restart, and is gone after SIGTERM', async () => {
    const blob = makeBlob(1);
    const mount = await startMount({ swift, database: 'prod' });
    try {
      assert.equal(isMounted(mount.path), true);
      await fs.mkdir(mount.file(blob.name.slice(0, 2)));
      await fs.writeFile(mount.file(blob.name), blob.content);
      const client = await swift.client();
      assert.deepEqual(await client.get('odoo-prod', blob.name), blob.content);
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      await mount.restart();
      assert.deepEqual(await fs.readdir(mount.file(blob.name.slice(0, 2))), [blob.sha1]);
      assert.equal((await fs.stat(mount.file(blob.name))).size, blob.content.length);
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    } finally {
      await mount.stop();
    }
    assert.equal(isMounted(mount.path), false);
  });

  it('serves again after a SIGKILL, clearing the dead mount that was left', async () => {
    const blob = makeBlob(2);
    const mount = await startMount({ swift, database: 'killed' });
    mount.log.expect(/^WARN dead-mount-cleared /);
    try {
      await fs.mkdir(mount.file(blob.name.slice(0, 2)));
      await fs.writeFile(mount.file(blob.name), blob.content);
      await mount.kill9();
      await assert.rejects(fs.readFile(mount.file(blob.name)), { code: 'ENOTCONN' });
      await mount.restart();
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    } finally {
      await mount.stop();
    }
  });

  it('says in `status --json` what it serves, and that this machine may be lost', async () => {
    const mount = await startMount({ swift, database: 'told' });
    try {
      const { code, stdout } = await runCli(['status', mount.path, '--json']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`"pid": ?${mount.pid}\\b`));
      const status = await mount.status();
      assert.equal(status.mountPoint, mount.path);
      assert.equal(status.state, 'serving');
      assert.equal(status.safeToLoseThisMachine, true);
    } finally {
      await mount.stop();
    }
  });

  it('mounts in the background, answers when the command has returned, and unmounts by command', async () => {
    const dir = tempDir('daemon');
    const mountPoint = path.join(dir, 'filestore');
    await fs.mkdir(mountPoint);
    const blob = makeBlob(3);
    const flags = ['--daemon', '--spool-dir', path.join(dir, 'spool'), '--cache-dir', path.join(dir, 'cache')];
    const started = await runCli(['mount', mountPoint, ...flags], swift.env);
    assert.equal(started.code, 0, started.stderr);
    try {
      await fs.mkdir(path.join(mountPoint, 'Background', blob.name.slice(0, 2)), { recursive: true });
      await fs.writeFile(path.join(mountPoint, 'Background', blob.name), blob.content);
      assert.deepEqual(await (await swift.client()).get('odoo-background', blob.name), blob.content);
    } finally {
      const ended = await runCli(['unmount', mountPoint]);
      assert.equal(ended.code, 0, ended.stderr);
    }
    assert.equal(isMounted(mountPoint), false);
    removeDir(dir);
  });

  it('Writing a new blob costs one PUT and at most one HEAD; a stat of a known name and a warm read cost nothing; a cold read costs one GET.', async () => {
    const blob = makeBlob(4);
    const other = makeBlob(5);
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'counted' });
    try {
      await fs.mkdir(mount.file(blob.name.slice(0, 2)));
      proxy.resetCounts();
      await fs.writeFile(mount.file(blob.name), blob.content);
      // the very name only: what the daemon asks of the container at times is another thing
      const ofBlob = (): Record<string, number> => proxy.counts(new RegExp(blob.sha1));
      assert.deepEqual(ofBlob(), { PUT: 1 }, 'a container that this mount made is known to be empty');
      await fs.stat(mount.file(blob.name));
      assert.deepEqual(ofBlob(), { PUT: 1 });

      await (await swift.client()).put('odoo-counted', other.name, other.content);
      await mount.restart({ dirs: {} });
      await fs.rm(mount.cacheDir, { recursive: true, force: true });
      proxy.resetCounts();
      const before = (await mount.status()).cache;
      const ofOther = (): Record<string, number> => proxy.counts(new RegExp(other.sha1));
      assert.deepEqual(await fs.readFile(mount.file(other.name)), other.content);
      assert.ok((ofOther()['GET'] ?? 0) <= 1 && (ofOther()['HEAD'] ?? 0) <= 1, JSON.stringify(ofOther()));
      // Its bytes are served some milliseconds before their file has its name.
      await eventually('its copy is in the cache', async () => (await mount.status()).cache.files > before.files);
      proxy.resetCounts();
      assert.deepEqual(await fs.readFile(mount.file(other.name)), other.content);
      assert.deepEqual(ofOther(), {});
      const { hits, misses } = (await mount.status()).cache;
      assert.deepEqual(
        { hits: hits - before.hits, misses: misses - before.misses },
        { hits: 1, misses: 1 },
        'one cold read and one warm one',
      );
    } finally {
      await mount.stop();
    }
  });
});
