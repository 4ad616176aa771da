/** Sentences of docs/DURABILITY.md and of SEMANTICS.md about a Swift that is away, over the real mount and the real Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, beforeEach, afterEach, describe, it } from 'node:test';
import { makeBlob, makeBlobs } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

describe('while Swift is away', () => {
  let swift: Swift;
  let client: SwiftClient;
  let proxy: FaultProxy;
  let mount: Mount;
  let container = '';
  let nth = 0;
  before(async () => {
    swift = await withSwift();
    client = await swift.client();
    proxy = await FaultProxy.start(swift.url);
  });
  after(async () => {
    await proxy.close();
    await swift.stop();
  });
  beforeEach(async () => {
    const database = `away${nth++}`;
    container = `odoo-${database}`;
    mount = await startMount({
      swift: { ...swift, authUrl: proxy.authUrl },
      database,
      args: ['--read-timeout', '20s', '--drain-timeout', '1s'],
    });
    mount.log.expect(/^WARN (swift\.away|login-failed)/, /^WARN mount\.degraded/, /^WARN stop/, /^WARN .*(drain|pending)/);
  });
  afterEach(async () => {
    proxy.clear();
    await proxy.up();
    await mount.stop();
  });
  const write = async (name: string, content: Uint8Array): Promise<number> => {
    const startedMs = performance.now();
    await fs.mkdir(path.dirname(mount.file(name)), { recursive: true });
    await fs.writeFile(mount.file(name), content);
    return performance.now() - startedMs;
  };
  const down = (): Promise<void> => proxy.down();
  const hang = (): void => proxy.add({ do: 'hang' });

  it('A close() while Swift is stopped returns 0 within a second, and the blob is pending.', async () => {
    const blobs = makeBlobs(5, 2000, 5000);
    await down();
    for (const blob of blobs) assert.ok((await write(blob.name, blob.content)) < 5_000);
    const status = await mount.status();
    assert.equal(status.state, 'degraded');
    assert.equal(status.safeToLoseThisMachine, false);
    assert.equal(status.databases[0]?.pendingWrites, 5);
    for (const blob of blobs) assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
  });

  it('What was pending is published when Swift is back, without anyone asking.', async () => {
    const blobs = makeBlobs(5, 2000, 6000);
    await down();
    for (const blob of blobs) await write(blob.name, blob.content);
    await proxy.up();
    await mount.drained();
    for (const blob of blobs) assert.deepEqual(await client.get(container, blob.name), blob.content);
    await eventually('it is not degraded any more', async () => (await mount.status()).state === 'serving');
  });

  it('A Swift that hangs holds up nobody: writes, lookups and deletes of the same shard go on.', async () => {
    const [first, second] = [makeBlob(7000), makeBlob(7001)];
    await write(`${first.sha1.slice(0, 2)}/${first.sha1}`, first.content);
    hang();
    const shard = first.sha1.slice(0, 2);
    const startedMs = performance.now();
    await assert.rejects(fs.stat(mount.file(shard, second.sha1)), { code: 'ENOENT' });
    await fs.writeFile(mount.file(shard, 'file.txt'), 'x').catch(() => undefined);
    await fs.unlink(mount.file(first.name));
    await write(second.name, second.content);
    assert.ok(performance.now() - startedMs < 10_000);
    assert.ok(((await mount.status()).databases[0]?.pendingWrites ?? 0) >= 1);
    proxy.clear();
    await mount.drained();
    assert.deepEqual(await client.get(container, second.name), second.content);
    await eventually('the delete is told', async () => (await client.head(container, first.name)) === undefined);
  });

  it('What was pending when the daemon was killed is published by the next start.', async () => {
    const [blob, deleted] = [makeBlob(8000), makeBlob(8001)];
    await write(deleted.name, deleted.content);
    await down();
    await write(blob.name, blob.content);
    await fs.unlink(mount.file(deleted.name));
    await mount.kill9();
    // Served before, so it mounts degraded.
    await mount.restart();
    assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    await assert.rejects(fs.stat(mount.file(deleted.name)), { code: 'ENOENT' });
    await proxy.up();
    await mount.drained();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    await eventually('the delete is told', async () => (await client.head(container, deleted.name)) === undefined);
  });

  it('A delete that was answered stays deleted after a kill of the daemon.', async () => {
    const blob = makeBlob(8100);
    await write(blob.name, blob.content);
    await down();
    await fs.unlink(mount.file(blob.name));
    await mount.kill9();
    await proxy.up();
    await mount.restart();
    await assert.rejects(fs.stat(mount.file(blob.name)), { code: 'ENOENT' });
    await eventually('the delete is told', async () => (await client.head(container, blob.name)) === undefined);
  });

  it('A deferred delete does not kill a blob that was written again.', async () => {
    const blob = makeBlob(8200);
    await write(blob.name, blob.content);
    await down();
    await fs.unlink(mount.file(blob.name));
    await write(blob.name, blob.content);
    await mount.kill9();
    await proxy.up();
    await mount.restart();
    await mount.drained();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
  });

  it('A cached read works while Swift is stopped, an uncached one waits and then works when Swift is back.', async () => {
    const [cached, cold] = [makeBlob(8300), makeBlob(8301)];
    await write(cached.name, cached.content);
    await client.put(container, cold.name, cold.content);
    await eventually(
      'the name is known',
      async () => (await fs.stat(mount.file(cold.name)).catch(() => undefined))?.size === cold.content.length,
    );
    await down();
    assert.deepEqual(await fs.readFile(mount.file(cached.name)), cached.content);
    const reading = fs.readFile(mount.file(cold.name));
    reading.catch(() => undefined);
    const early = await Promise.race([
      reading.then(
        () => 'answered',
        () => 'failed',
      ),
      new Promise((resolve) => setTimeout(resolve, 1_500, 'waits')),
    ]);
    assert.equal(early, 'waits');
    await proxy.up();
    assert.deepEqual(await reading, cold.content);
  });

  it('a name on that list is never ENOENT: its read waits up to `read_timeout`, then fails with EIO.', async () => {
    const cold = makeBlob(8400);
    await client.put(container, cold.name, cold.content);
    await eventually(
      'the name is known',
      async () => (await fs.stat(mount.file(cold.name)).catch(() => undefined))?.size === cold.content.length,
    );
    await mount.restart({ args: ['--read-timeout', '2s', '--drain-timeout', '1s'] });
    await down();
    assert.equal((await fs.stat(mount.file(cold.name))).size, cold.content.length);
    const startedMs = performance.now();
    mount.log.expect(/^(WARN|ERROR) .*/);
    await assert.rejects(fs.readFile(mount.file(cold.name)), { code: 'EIO' });
    assert.ok(performance.now() - startedMs >= 1_500, 'a delay first');
    await mount.restart();
    assert.equal((await fs.stat(mount.file(cold.name))).size, cold.content.length, 'the list survives a restart');
  });

  it('What was stored right before a kill of the daemon is on that list.', async () => {
    const blobs = makeBlobs(3, 8450, 3000);
    for (const blob of blobs) await write(blob.name, blob.content);
    await mount.kill9();
    await down();
    mount.log.expect(/^WARN dead-mount-cleared/, /^(WARN|ERROR) .*/);
    await mount.restart();
    for (const blob of blobs) assert.equal((await fs.stat(mount.file(blob.name))).size, blob.content.length, 'not ENOENT');
  });

  it('A flipped bit in the cache is never served.', async () => {
    const blob = makeBlob(8500);
    await write(blob.name, blob.content);
    assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    await mount.terminate();
    const copies = (await fs.readdir(mount.cacheDir, { recursive: true })).filter((name) => name.endsWith(blob.sha1));
    assert.equal(copies.length, 1);
    const copy = path.join(mount.cacheDir, copies[0] ?? '');
    const bytes = await fs.readFile(copy);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await fs.writeFile(copy, bytes);
    mount.log.expect(/^WARN cache\.quarantined/);
    await mount.restart();
    assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    await mount.log.waitFor(/^WARN cache\.quarantined/);
  });

  it('What is damaged under an open blob below 1 MiB is neither served nor kept by the kernel, also by its first reader.', async () => {
    for (const [at, sizeBytes] of [5_000, 300_000, 900_000].entries()) {
      const blob = makeBlob(8510 + at, sizeBytes);
      await write(blob.name, blob.content);
      await mount.drained();
      await mount.restart();
      const first = await fs.open(mount.file(blob.name));
      const copies = (await fs.readdir(mount.cacheDir, { recursive: true })).filter((name) => name.endsWith(blob.sha1));
      mount.log.expect(/^WARN cache\.quarantined/);
      await fs.writeFile(path.join(mount.cacheDir, copies[0] ?? ''), Buffer.alloc(sizeBytes));
      assert.ok((await first.readFile()).equals(blob.content));
      await first.close();
      assert.ok((await fs.readFile(mount.file(blob.name))).equals(blob.content));
    }
  });

  it('Who opens a blob whose copy was damaged gets the right bytes, also while somebody reads the damaged copy past the daemon.', async () => {
    const blob = makeBlob(8501, 3 << 20);
    await write(blob.name, blob.content);
    const first = await fs.open(mount.file(blob.name));
    const copies = (await fs.readdir(mount.cacheDir, { recursive: true })).filter((name) => name.endsWith(blob.sha1));
    await fs.writeFile(path.join(mount.cacheDir, copies[0] ?? ''), Buffer.alloc(blob.content.length));
    mount.log.expect(/^WARN cache\.quarantined/);
    assert.ok((await fs.readFile(mount.file(blob.name))).equals(blob.content));
    await first.close();
    assert.ok((await fs.readFile(mount.file(blob.name))).equals(blob.content));
  });
});
