/** Sentences of docs/DURABILITY.md about `delete_retention` and `odoo-swiftfs undelete`, over the real mount and the real Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, makeBlobs, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually, type Finished } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { runCli, startMount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

let swift: Swift;
let client: SwiftClient;
before(async () => {
  swift = await withSwift({ maxFileSizeBytes: 1_500_000 });
  client = await swift.client();
});
after(async () => {
  await swift.stop();
});

function undelete(...args: string[]): Promise<Finished> {
  return runCli(['undelete', ...args], swift.env);
}

async function gone(container: string, ...names: string[]): Promise<void> {
  for (const name of names) {
    await eventually(`Swift is told of ${name}`, async () => (await client.head(container, name)) === undefined);
  }
}

describe('docs/DURABILITY.md: delete_retention', () => {
  it('Without `delete_retention` what is deleted is gone, and there is no trash.', async () => {
    const mount = await startMount({ swift, database: 'plain' });
    const blob = makeBlob(400);
    await writeBlob(mount.path, blob);
    await fs.unlink(mount.file(blob.name));
    await gone('odoo-plain', blob.name);
    assert.ok(!(await client.containers()).includes('odoo-plain_trash'));
    const { code, stderr } = await undelete('plain');
    assert.notEqual(code, 0);
    assert.match(stderr, /no trash odoo-plain_trash.*delete_retention/);
    await mount.stop();
  });

  it('What was deleted is brought back by `undelete`, while the mount runs and while it does not.', async () => {
    const mount = await startMount({ swift, database: 'kept', args: ['--delete-retention', '14d'] });
    const blobs = makeBlobs(12, 3000, 410);
    const [first, second] = blobs;
    assert.ok(first !== undefined && second !== undefined);
    for (const blob of blobs) await writeBlob(mount.path, blob);
    await fs.writeFile(mount.file('notes.txt'), 'notes');
    await fs.utimes(mount.file('notes.txt'), 1_700_000_000, 1_700_000_000);
    await mount.drained();
    await eventually(
      'its time is stored',
      async () => (await client.head('odoo-kept', 'notes.txt'))?.['x-object-meta-mtime'] === '1700000000000',
    );
    for (const blob of blobs) await fs.unlink(mount.file(blob.name));
    await fs.unlink(mount.file('notes.txt'));
    await gone('odoo-kept', 'notes.txt', ...blobs.map((blob) => blob.name));
    await assert.rejects(fs.stat(mount.file(first.name)), { code: 'ENOENT' });

    const trashed = await client.head('odoo-kept_trash', first.name);
    const livesS = Number(trashed?.['x-delete-at']) - Date.now() / 1000;
    assert.ok(livesS > 13.9 * 86_400 && livesS < 14.1 * 86_400, 'it is kept for 14 days');

    const dry = await undelete('kept', '--name', first.name, '--dry-run');
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, new RegExp(`${first.name}: can be brought back`));
    assert.equal(await client.head('odoo-kept', first.name), undefined, 'a dry run changes nothing');

    const one = await undelete('kept', '--name', first.name);
    assert.equal(one.code, 0, one.stderr);
    assert.match(one.stdout, /: is back/);
    const back = await client.head('odoo-kept', first.name);
    assert.equal(back?.['x-delete-at'], undefined, 'what is back stays');
    assert.equal(back?.['x-object-meta-sha1'], first.sha1);
    await eventually(
      'the mount has it again',
      async () => (await fs.readFile(mount.file(first.name)).catch(() => undefined))?.equals(first.content) === true,
    );

    assert.match((await undelete('kept', '--since', '2020-01-01', '--name', first.name)).stdout, /is there, nothing to do/);
    const later = await undelete('kept', '--since', new Date(Date.now() + 3600_000).toISOString());
    assert.match(later.stdout, /^0 brought back/m);

    await mount.terminate();
    const all = await undelete('kept', '--since', '1h');
    assert.equal(all.code, 0, all.stderr);
    assert.match(all.stdout, /^12 brought back, 1 there already/m);
    await mount.restart();
    for (const blob of blobs) assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    assert.equal(await fs.readFile(mount.file('notes.txt'), 'utf8'), 'notes');
    assert.equal((await fs.stat(mount.file('notes.txt'))).mtimeMs, 1_700_000_000_000);
    await mount.stop();
  });

  it('When the time is over it is too late, and `undelete` says so; what was written again meanwhile stays.', async () => {
    const mount = await startMount({ swift, database: 'short', args: ['--delete-retention', '12s'] });
    const [lost, rewritten, rescued] = [makeBlob(440), makeBlob(441), makeBlob(442)];
    for (const blob of [lost, rewritten, rescued]) {
      await writeBlob(mount.path, blob);
      await fs.unlink(mount.file(blob.name));
    }
    await writeBlob(mount.path, rewritten);
    await gone('odoo-short', lost.name, rescued.name);
    const saved = await undelete('short', '--name', rescued.name);
    assert.match(saved.stdout, /: is back/, saved.stderr);
    await eventually('the trash is empty', async () => (await client.head('odoo-short_trash', lost.name)) === undefined);
    await sleep(4_500);
    assert.deepEqual(await client.get('odoo-short', rewritten.name), rewritten.content);
    assert.deepEqual(await client.get('odoo-short', rescued.name), rescued.content);
    await mount.restart();
    assert.deepEqual(await fs.readFile(mount.file(rewritten.name)), rewritten.content);
    assert.deepEqual(await fs.readFile(mount.file(rescued.name)), rescued.content);
    await assert.rejects(fs.stat(mount.file(lost.name)), { code: 'ENOENT' });
    const { code, stdout } = await undelete('short', '--name', lost.name, '--name', 'ab/never');
    assert.notEqual(code, 0);
    assert.match(stdout, new RegExp(`${lost.name}: too late: its time in odoo-short_trash`));
    assert.match(stdout, /ab\/never: not in odoo-short_trash/);
    await mount.stop();
  });

  it('`undelete` waits for deletes that a mount of its machine still owes to Swift, and says how many are left when they stand still.', async () => {
    const proxy = await FaultProxy.start(swift.url);
    const through = { ...swift, authUrl: proxy.authUrl };
    const mount = await startMount({ swift: through, database: 'fresh', args: ['--delete-retention', '1d'] });
    const blobs = makeBlobs(20, 700, 445);
    for (const blob of blobs) await writeBlob(mount.path, blob);
    await mount.drained();
    proxy.add({ do: 'delay', ms: 700, method: 'COPY', times: 4 });
    for (const blob of blobs) await fs.unlink(mount.file(blob.name));
    const all = await undelete('fresh');
    assert.match(all.stdout, /^20 brought back, 0 there already/m);
    assert.equal(all.stderr, '');
    for (const blob of blobs) {
      const read = (): Promise<Buffer | undefined> => fs.readFile(mount.file(blob.name)).catch(() => undefined);
      await eventually('the mount has it', async () => (await read())?.equals(blob.content) === true);
    }
    proxy.add({ do: 'hang', method: 'COPY' });
    for (const blob of blobs.slice(0, 2)) await fs.unlink(mount.file(blob.name));
    const some = await undelete('fresh', '--dry-run');
    assert.match(some.stderr, /2 deletes of odoo-fresh have still to reach Swift, .*run this again/);
    await proxy.close();
    await mount.kill9();
    await mount.stop();
  });

  it("A file above Swift's limit is kept and brought back with segments of its own.", async () => {
    const mount = await startMount({ swift, database: 'large', args: ['--delete-retention', '1d', '--segment-size', '1MiB'] });
    const blob = makeBlob(450, 4_000_000);
    await writeBlob(mount.path, blob);
    await mount.drained();
    await fs.unlink(mount.file(blob.name));
    await gone('odoo-large', blob.name);
    assert.deepEqual(await client.names('odoo-large_segments'), [], 'its segments went with it');
    const kept = await client.names('odoo-large_trash_segments');
    assert.equal(kept.length, 4);
    for (const name of kept) {
      assert.notEqual((await client.head('odoo-large_trash_segments', name))?.['x-delete-at'], undefined, 'a kept segment goes by itself');
    }
    const { code, stderr } = await undelete('large');
    assert.equal(code, 0, stderr);
    assert.deepEqual(await client.get('odoo-large', blob.name), blob.content);
    for (const { name } of (await client.list('odoo-large_segments')) ?? []) {
      assert.equal((await client.head('odoo-large_segments', name))?.['x-delete-at'], undefined, 'a segment that is back stays');
    }
    await eventually(
      'the mount has it',
      async () => (await fs.stat(mount.file(blob.name)).catch(() => undefined))?.size === blob.content.length,
    );
    await mount.stop();
  });

  it("With several nodes the trash copy is made before unlink returns, and a file hidden by an origin's tombstone comes back too.", async () => {
    const origin = await fs.mkdtemp(path.join(swift.dir, 'origin-'));
    const [shared, original] = [makeBlob(460), makeBlob(461)];
    await fs.mkdir(path.join(origin, path.dirname(original.name)), { recursive: true });
    await fs.writeFile(path.join(origin, original.name), original.content);
    const mount = await startMount({ swift, database: 'nodes', origin, args: ['--nodes', 'many', '--delete-retention', '1d'] });
    await writeBlob(mount.path, shared);
    await writeBlob(mount.path, original);
    for (const blob of [shared, original]) {
      await fs.unlink(mount.file(blob.name));
      assert.equal(await client.head('odoo-nodes', blob.name), undefined);
      assert.deepEqual(await client.get('odoo-nodes_trash', blob.name), blob.content);
    }
    await assert.rejects(fs.stat(mount.file(original.name)), { code: 'ENOENT' });
    assert.equal((await undelete('nodes')).code, 0);
    await eventually('the mount has both', async () => {
      const found = await Promise.all([shared, original].map((blob) => fs.readFile(mount.file(blob.name)).catch(() => undefined)));
      return found[0]?.equals(shared.content) === true && found[1]?.equals(original.content) === true;
    });
    await mount.stop();
  });

  it('A dropped database made anew starts empty, its trash is no database, and `undelete` fills it again.', async () => {
    const mount = await startMount({ swift, containerPrefix: 'site', args: ['--delete-retention', '1d'] });
    const blobs = makeBlobs(20, 700, 470);
    for (const blob of blobs) {
      await fs.mkdir(mount.file('shop', path.dirname(blob.name)), { recursive: true });
      await fs.writeFile(mount.file('shop', blob.name), blob.content);
    }
    await fs.rm(mount.file('shop'), { recursive: true });
    await eventually('the container is gone', async () => !(await client.containers()).includes('site-shop'));
    const early = await undelete('shop', '--container-prefix', 'site');
    assert.match(early.stderr, /make or restore the database first/);
    await fs.mkdir(mount.file('shop'));
    assert.deepEqual(await fs.readdir(mount.file('shop')), []);
    await assert.rejects(fs.stat(mount.file('shop_trash')), { code: 'ENOENT' });
    await eventually('its container is made', async () => (await client.containers()).includes('site-shop'));
    const { code, stderr, stdout } = await undelete('shop', '--container-prefix', 'site');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^20 brought back/m);
    await mount.restart();
    assert.deepEqual(await fs.readdir(mount.path), ['shop'], 'the trash is no database');
    for (const blob of blobs) assert.deepEqual(await fs.readFile(mount.file('shop', blob.name)), blob.content);
    await mount.stop();
  });

  it('A container named as the trash, but not ours, holds the deletes back instead of mixing files up.', async () => {
    await client.makeContainer('odoo-mixed_trash');
    const mount = await startMount({ swift, database: 'mixed', args: ['--delete-retention', '1d', '--drain-timeout', '1s'] });
    mount.log.expect(/^WARN publisher\.delete-refused/, /^WARN stop/, /^WARN .*(drain|pending)/);
    const blob = makeBlob(490, 1000);
    await writeBlob(mount.path, blob);
    await fs.unlink(mount.file(blob.name));
    await assert.rejects(fs.stat(mount.file(blob.name)), { code: 'ENOENT' });
    await eventually('it says why', async () =>
      /odoo-mixed_trash.*no trash of ours/.test((await mount.status()).databases[0]?.reason ?? ''),
    );
    assert.deepEqual(await client.get('odoo-mixed', blob.name), blob.content);
    assert.deepEqual(await client.names('odoo-mixed_trash'), []);
    await mount.stop();
  });
});
