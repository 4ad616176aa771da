/** Sentences of docs/SEMANTICS.md and docs/DURABILITY.md about several nodes on one container: two mounts of the real program, one Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { makeBlob, type Blob, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { isThere } from '../helpers/is-there.js';
import { eventually, run } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { StartRefused, startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const MANY = ['--nodes', 'many', '--delete-bound', '3s', '--drain-timeout', '1s'];

let swift: Swift;
let client: SwiftClient;
before(async () => {
  swift = await withSwift();
  client = await swift.client();
});
after(async () => {
  await swift.stop();
});

describe('docs/SEMANTICS.md: who may mount a container', () => {
  it('A second node is refused with the reason until both say `nodes: many`.', async () => {
    const first = await startMount({ swift, database: 'guarded' });
    try {
      const refused = (args: readonly string[]): Promise<string> =>
        startMount({ swift, database: 'guarded', args }).then(
          () => assert.fail('a second node was let in'),
          (error: unknown) => {
            assert.ok(error instanceof StartRefused);
            return error.stderr;
          },
        );
      assert.match(await refused([]), /odoo-guarded is mounted by .*nodes: one.*set "nodes: many" on both/);
      assert.match(await refused(['--nodes', 'many']), /odoo-guarded is mounted by .*nodes: one/);
      await first.restart({ args: ['--nodes', 'many'] });
      assert.match(await refused([]), /odoo-guarded is mounted by .*nodes: many/);
      const second = await startMount({ swift, database: 'guarded', args: ['--nodes', 'many'] });
      await second.stop();
    } finally {
      await first.stop();
    }
  });

  it('A restart, or a start after SIGKILL, with the same spool is no second node.', async () => {
    const mount = await startMount({ swift, database: 'restarted' });
    await mount.kill9();
    await mount.restart();
    assert.equal((await mount.status()).state, 'serving');
    await mount.restart();
    assert.equal((await mount.status()).state, 'serving');
    await mount.stop();
    const other = await startMount({ swift, database: 'restarted' });
    await other.stop();
  });

  it('A whole-filestore mount is refused while another node that says `one` serves one of its databases.', async () => {
    const first = await startMount({ swift, containerPrefix: 'shared', database: 'prod' });
    try {
      await assert.rejects(
        startMount({ swift, containerPrefix: 'shared', args: ['--nodes', 'many'] }),
        (error: unknown) => error instanceof StartRefused && /shared-prod is mounted by .*nodes: one/.test(error.stderr),
      );
    } finally {
      await first.stop();
    }
  });
});

describe('docs/SEMANTICS.md: two nodes', () => {
  let proxy: FaultProxy;
  let a: Mount;
  let b: Mount;
  let container = '';
  let nth = 0;
  before(async () => {
    proxy = await FaultProxy.start(swift.url);
  });
  after(async () => {
    await proxy.close();
  });
  beforeEach(async () => {
    const database = `nodes${nth++}`;
    container = `odoo-${database}`;
    a = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database, args: MANY });
    a.log.expect(/^WARN (swift\.away|login-failed)/, /^WARN mount\.degraded/, /^WARN stop/, /^WARN .*(drain|pending)/);
    b = await startMount({ swift, database, args: MANY });
  });
  afterEach(async () => {
    proxy.clear();
    await proxy.up();
    await Promise.all([a.stop(), b.stop()]);
  });

  it('A blob written on one node is readable on the other at once.', async () => {
    for (let seed = 300; seed < 305; seed++) {
      const blob = makeBlob(seed);
      await writeBlob(a.path, blob);
      assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
      assert.ok((await fs.readdir(b.file(path.dirname(blob.name)))).includes(blob.sha1));
    }
    const asked = makeBlob(306);
    assert.equal(await isThere(b.file(asked.name)), false);
    await writeBlob(a.path, asked);
    // B was told "no" just now, and believes that for `negative_ttl`.
    await eventually('B asks again', () => isThere(b.file(asked.name)), 5_000);
  });

  it('What one node has stored is in every listing of the other within `delete_bound`, also in a shard that was not there before.', async () => {
    const [before, later] = [makeBlob(307), makeBlob(308)];
    await writeBlob(a.path, before);
    await eventually('A lists what it has', async () => (await fs.readdir(a.path)).length === 1);
    await sleep(3_500);
    assert.deepEqual(await fs.readdir(a.path), [path.dirname(before.name)]);
    await writeBlob(b.path, later);
    await fs.writeFile(b.file('plan.txt'), 'of B');
    const expected = [before, later].map(({ name }) => path.dirname(name)).concat('plan.txt');
    await sleep(3_500);
    assert.deepEqual(await fs.readdir(a.path), expected.sort());
    assert.deepEqual(await fs.readdir(a.file(path.dirname(later.name))), [later.sha1]);
    await fs.unlink(b.file('plan.txt'));
    await sleep(3_500);
    assert.deepEqual(
      await fs.readdir(a.path),
      expected.filter((name) => name !== 'plan.txt'),
    );
  });

  it('A blob deleted on one node ends on the other within `delete_bound`, also in listings.', async () => {
    const blob = makeBlob(310);
    const shard = path.dirname(blob.name);
    await writeBlob(a.path, blob);
    assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
    assert.deepEqual(await fs.readdir(b.file(shard)), [blob.sha1]);
    await sleep(2_000);
    // Asked again just before its knowledge ends: that must not make it live longer.
    assert.equal(await isThere(b.file(blob.name)), true);
    await fs.unlink(a.file(blob.name));
    const deletedMs = performance.now();
    assert.equal(await client.head(container, blob.name), undefined, 'Swift was told before unlink returned');
    while (await isThere(b.file(blob.name))) {
      assert.ok(performance.now() - deletedMs < 3_000 + 1_500, 'B still says yes');
      await sleep(50);
    }
    await eventually('B lists it no more', async () => !(await fs.readdir(b.file(shard))).includes(blob.sha1), 10_000);
  });

  it('A blob deleted on one node is plainly ENOENT to who opens it on the other, also while that one writes.', async () => {
    const [blob, other] = [makeBlob(311), makeBlob(312)];
    await writeBlob(b.path, blob);
    assert.equal(await isThere(a.file(blob.name)), true);
    proxy.add({ do: 'delay', ms: 1_500, method: 'PUT' });
    const writing = writeBlob(a.path, other);
    await eventually('a PUT is under way', () => proxy.counts().PUT !== undefined && proxy.running > 0);
    await fs.unlink(b.file(blob.name));
    // ESTALE would be an error to tar, rsync and cp, where a file that vanished is none.
    await assert.rejects(fs.readFile(a.file(blob.name)), { code: 'ENOENT' });
    await writing;
    assert.deepEqual(await fs.readFile(a.file(other.name)), other.content);
  });

  it('A marker made for a blob makes a node ask again whether the blob is there, before Odoo looks whether it has to write.', async () => {
    const blob = makeBlob(315);
    await writeBlob(a.path, blob);
    assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
    await fs.unlink(a.file(blob.name));
    await fs.mkdir(b.file('checklist', path.dirname(blob.name)), { recursive: true });
    await fs.writeFile(b.file('checklist', blob.name), '');
    await eventually('B knows that it is gone', async () => !(await isThere(b.file(blob.name))), 2_000);
    await writeBlob(b.path, blob);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('So does one that is there already when Odoo looks for it, and that writes nothing to Swift.', async () => {
    const blob = makeBlob(316);
    const marker = b.file('checklist', blob.name);
    await writeBlob(a.path, blob);
    await fs.mkdir(path.dirname(marker), { recursive: true });
    await fs.writeFile(marker, '');
    // The look as Odoo has it: at the blob, at the marker, and at the blob once more.
    const look = async (): Promise<boolean> => {
      await isThere(b.file(blob.name));
      assert.ok(await isThere(marker));
      return isThere(b.file(blob.name));
    };
    assert.ok(await look());
    assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
    await fs.unlink(a.file(blob.name));
    assert.equal(await look(), false, 'B knows that it is gone');
    await writeBlob(b.path, blob);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('The look at the marker is answered when the kernel has forgotten what it knew of the blob.', async () => {
    const blobs = Array.from({ length: 20 }, (_, index) => makeBlob(3170 + index));
    for (const blob of blobs) {
      await writeBlob(b.path, blob);
      await fs.mkdir(path.dirname(a.file('checklist', blob.name)), { recursive: true });
      await fs.writeFile(a.file('checklist', blob.name), '');
    }
    for (const blob of blobs) {
      assert.ok(await isThere(a.file(blob.name)));
      await fs.unlink(b.file(blob.name));
      // A program that asks one right after the other.
      const look = ['-c', '[ -e "$1" ] && [ ! -e "$2" ]', 'look', a.file('checklist', blob.name), a.file(blob.name)];
      assert.equal((await run('sh', look)).code, 0, 'A knows that it is gone');
    }
  });

  it('Two nodes that write the same blob at once both succeed.', async () => {
    for (let seed = 320; seed < 325; seed++) {
      const blob = makeBlob(seed);
      await Promise.all([writeBlob(a.path, blob), writeBlob(b.path, blob)]);
      assert.deepEqual(await fs.readFile(a.file(blob.name)), blob.content);
      assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
      assert.deepEqual(await client.get(container, blob.name), blob.content);
    }
  });

  it('Two nodes that write one file that is not content-named: the last close wins, whole files only.', async () => {
    const text = (who: string): Buffer => Buffer.alloc(300_000, who);
    const texts = [text('a'), text('b')];
    for (let round = 0; round < 4; round++) {
      await Promise.all([fs.writeFile(a.file('shared.txt'), text('a')), fs.writeFile(b.file('shared.txt'), text('b'))]);
      const stored = await client.get(container, 'shared.txt');
      assert.ok(stored !== undefined && texts.some((t) => t.equals(stored)), 'a whole file of one of them');
    }
    await fs.writeFile(a.file('shared.txt'), text('a'));
    await fs.writeFile(b.file('shared.txt'), text('c'));
    assert.deepEqual(await client.get(container, 'shared.txt'), text('c'));
    await eventually('A sees what B closed last', async () => (await fs.readFile(a.file('shared.txt'))).equals(text('c')), 10_000);
    // Each read on the way there was a whole file too.
    await fs.writeFile(b.file('shared.txt'), text('d'));
    for (let seen = Buffer.alloc(0); !seen.equals(text('d')); await sleep(50)) {
      seen = await fs.readFile(a.file('shared.txt'));
      assert.ok(seen.equals(text('c')) || seen.equals(text('d')));
    }
  });

  it('A delete on one node never destroys what the other has written after it.', async () => {
    const blob = makeBlob(330);
    await writeBlob(a.path, blob);
    await fs.unlink(a.file(blob.name));
    await writeBlob(b.path, blob);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    await eventually('A has it again', () => isThere(a.file(blob.name)), 5_000);
    await a.drained();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('A delete that had to wait for Swift is checked again: what another node has written since stays, the rest goes.', async () => {
    const [rewritten, gone] = [makeBlob(340), makeBlob(341)];
    for (const blob of [rewritten, gone]) await writeBlob(a.path, blob);
    await fs.writeFile(a.file('other.txt'), 'first');
    await sleep(1_500);
    await proxy.down();
    for (const name of [rewritten.name, gone.name, 'other.txt']) {
      await fs.unlink(a.file(name));
      assert.equal(await isThere(a.file(name)), false);
    }
    // B still believes in the blob for a while, so its Odoo would write it only when it is gone there: here somebody writes it anyway.
    await sleep(50);
    await client.put(container, rewritten.name, rewritten.content);
    await fs.writeFile(b.file('other.txt'), 'second');
    await a.kill9();
    await a.restart();
    await proxy.up();
    await eventually('A has told Swift', async () => (await client.head(container, gone.name)) === undefined);
    await eventually('A owes nothing', async () => (await a.status()).databases[0]?.pendingDeletes === 0);
    assert.deepEqual(await client.get(container, rewritten.name), rewritten.content);
    assert.equal(String(await client.get(container, 'other.txt')), 'second');
    assert.deepEqual(await fs.readFile(a.file(rewritten.name)), rewritten.content);
    assert.equal(await fs.readFile(a.file('other.txt'), 'utf8'), 'second');
    await eventually('B has lost the other', async () => !(await isThere(b.file(gone.name))), 10_000);
  });

  it('Where the container servers of Swift are away, what another node stores is found by name, deletes reach Swift, and no listing waits long.', async () => {
    a.log.expect(/^WARN publisher\./);
    const shards = new Set<string>();
    const blobs = Array.from({ length: 40 }, (_, n) => makeBlob(400 + n, 2048)).filter(({ name }) => {
      const shard = name.slice(0, 2);
      return !shards.has(shard) && shards.add(shard) !== undefined;
    });
    const [doomed, ...fresh] = blobs.slice(0, 6) as [Blob, ...Blob[]];
    await writeBlob(a.path, doomed);
    await a.restart();
    // As it is when they are killed: containers are 503 at once, objects are served.
    const ofContainers = new RegExp(`^/v1/AUTH_test/${container}(_segments)?(\\?|$)`);
    proxy.add({ do: 'status', status: 503, path: ofContainers, headers: { 'x-trans-id': 'tx1' } });
    await sleep(3_500);
    for (const blob of fresh) {
      await writeBlob(b.path, blob);
      assert.deepEqual(await fs.readFile(a.file(blob.name)), blob.content);
    }
    await fs.unlink(a.file(doomed.name));
    assert.equal(await client.head(container, doomed.name), undefined);
    const startedMs = performance.now();
    for (const { name } of [doomed, ...fresh]) await fs.readdir(path.dirname(a.file(name))).catch(() => undefined);
    await fs.readdir(a.path);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 15_000, `${tookMs} ms`);
    proxy.clear();
    await eventually('A lists them again', async () => {
      const names = await fs.readdir(a.path);
      return fresh.every(({ name }) => names.includes(name.slice(0, 2)));
    });
  });

  it('A file that is not content-named and waited for Swift does not replace what another node closed later.', async () => {
    await fs.writeFile(a.file('plan.txt'), 'v1');
    await fs.writeFile(a.file('mine.txt'), 'v1');
    await sleep(1_500);
    await proxy.down();
    await fs.writeFile(a.file('plan.txt'), 'v2 of A');
    await fs.writeFile(a.file('mine.txt'), 'only A');
    await sleep(1_500);
    await fs.writeFile(b.file('plan.txt'), 'v3 of B');
    await proxy.up();
    await a.drained();
    assert.equal(String(await client.get(container, 'plan.txt')), 'v3 of B');
    assert.equal(String(await client.get(container, 'mine.txt')), 'only A');
    await eventually('A shows it too', async () => (await fs.readFile(a.file('plan.txt'), 'utf8')) === 'v3 of B', 10_000);
  });

  it('What another node closed later stays also where its bytes are those of before, and a time that it sets is no close.', async () => {
    for (const name of ['back.txt', 'timed.txt']) await fs.writeFile(a.file(name), 'v1');
    await sleep(1_500);
    await proxy.down();
    for (const name of ['back.txt', 'timed.txt']) await fs.writeFile(a.file(name), 'v2 of A');
    await sleep(1_500);
    await fs.writeFile(b.file('back.txt'), 'v1');
    await fs.utimes(b.file('timed.txt'), 1_500_000_000, 1_500_000_000);
    await eventually(
      'the time is in Swift',
      async () => (await client.head(container, 'timed.txt'))?.['x-object-meta-mtime'] === '1500000000000',
    );
    await proxy.up();
    await a.drained();
    assert.equal(String(await client.get(container, 'back.txt')), 'v1');
    assert.equal(await fs.readFile(a.file('back.txt'), 'utf8'), 'v1');
    assert.equal(String(await client.get(container, 'timed.txt')), 'v2 of A');
  });

  it('A rename that Swift has done is done, also where its answer is lost.', async () => {
    await fs.writeFile(a.file('from.txt'), 'renamed');
    // The same bytes are no sign of it.
    await fs.writeFile(a.file('to.txt'), 'renamed');
    proxy.add({ do: 'lost', method: 'COPY' });
    await fs.rename(a.file('from.txt'), a.file('to.txt'));
    proxy.clear();
    await eventually('the old name is gone', async () => (await client.head(container, 'from.txt')) === undefined);
    assert.equal(String(await client.get(container, 'to.txt')), 'renamed');
    assert.equal(await fs.readFile(a.file('to.txt'), 'utf8'), 'renamed');
    assert.equal(await isThere(a.file('from.txt')), false);
  });

  it('A rename that Swift calls done before it is, and then does not do, takes no bytes along.', async () => {
    await fs.writeFile(a.file('kept.txt'), 'kept');
    a.log.expect(/^WARN request-failed operation=rename .*said to be copied/);
    // As Ceph's gateway answers a long copy: at once, without an ETag.
    proxy.add({ do: 'status', status: 201, method: 'COPY', headers: { 'x-trans-id': 'tx1' } });
    await assert.rejects(fs.rename(a.file('kept.txt'), a.file('moved.txt')), { code: 'EIO' });
    proxy.clear();
    await sleep(1_000);
    assert.equal(String(await client.get(container, 'kept.txt')), 'kept');
    assert.equal(await fs.readFile(b.file('kept.txt'), 'utf8'), 'kept');
  });
});

describe('docs/SEMANTICS.md: `.__gc` of the newest Odoo with several nodes', () => {
  let a: Mount;
  let b: Mount;
  let container = '';
  let nth = 0;
  const GRACE = ['--gc-grace', '6s'];
  beforeEach(async () => {
    const database = `grace${nth++}`;
    container = `odoo-${database}`;
    [a, b] = [
      await startMount({ swift, database, args: [...MANY, ...GRACE] }),
      await startMount({ swift, database, args: [...MANY, ...GRACE] }),
    ];
  });
  afterEach(async () => {
    await Promise.all([a.stop(), b.stop()]);
  });
  const collect = async (mount: Mount, blob: Blob): Promise<void> => {
    await fs.rename(mount.file(blob.name), mount.file(`${blob.name}.__gc`));
    await fs.unlink(mount.file(`${blob.name}.__gc`));
  };

  it('With several nodes a delete by way of `.__gc` waits out `gc_grace`, also over a restart, and then goes to Swift.', async () => {
    const blob = makeBlob(350);
    await writeBlob(a.path, blob);
    await collect(a, blob);
    const collectedMs = performance.now();
    assert.equal(await isThere(a.file(blob.name)), false, 'gone here at once');
    await a.kill9();
    await a.restart();
    assert.equal(await isThere(a.file(blob.name)), false, 'gone here still');
    if (performance.now() - collectedMs < 5_500) {
      const there = await client.head(container, blob.name);
      assert.ok(there !== undefined || performance.now() - collectedMs > 5_500, 'Swift has it meanwhile');
    }
    await eventually('Swift is told', async () => (await client.head(container, blob.name)) === undefined);
    assert.ok(performance.now() - collectedMs > 5_000);
  });

  it('What another node uses again within `gc_grace` is not deleted, though it only touched its marker.', async () => {
    const blob = makeBlob(360);
    await writeBlob(a.path, blob);
    assert.deepEqual(await fs.readFile(b.file(blob.name)), blob.content);
    await sleep(1_500);
    await collect(a, blob);
    // Odoo on B finds the blob, compares it, writes nothing, and puts its name on the checklist.
    const marker = b.file('checklist', blob.name);
    await fs.mkdir(path.dirname(marker), { recursive: true });
    await fs.writeFile(marker, '');
    await eventually('A owes nothing', async () => (await a.status()).databases[0]?.pendingDeletes === 0);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    assert.deepEqual(await fs.readFile(a.file(blob.name)), blob.content);
  });

  it('What another node writes within `gc_grace` is readable at once where it was collected.', async () => {
    const blob = makeBlob(370);
    await writeBlob(a.path, blob);
    await sleep(1_500);
    await collect(a, blob);
    await sleep(50);
    await client.put(container, blob.name, blob.content);
    assert.deepEqual(await fs.readFile(a.file(blob.name)), blob.content);
    await sleep(7_000);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });
});
