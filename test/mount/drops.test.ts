/** Sentences of docs/SEMANTICS.md about databases that are dropped and made again on several nodes: mounts of the real program, one Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBlob, makeBlobs, type Blob, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { isThere } from '../helpers/is-there.js';
import { eventually } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { StartRefused, startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const BOUND_MS = 3_000;
const MANY = ['--nodes', 'many', '--delete-bound', `${BOUND_MS}ms`, '--negative-ttl', '500ms', '--drain-timeout', '1s'];

let swift: Swift;
let client: SwiftClient;
before(async () => {
  swift = await withSwift();
  client = await swift.client();
});
after(async () => {
  await swift.stop();
});

describe('docs/SEMANTICS.md: a drop with several nodes', () => {
  let a: Mount;
  let b: Mount;
  before(async () => {
    a = await startMount({ swift, containerPrefix: 'drops', args: MANY });
    b = await startMount({ swift, containerPrefix: 'drops', args: MANY });
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
  });

  const made = async (name: string, blobs: readonly Blob[]): Promise<void> => {
    for (const blob of blobs) await writeBlob(a.file(name), blob);
    await eventually('B has it too', () => isThere(b.file(name)), 10_000);
    for (const blob of blobs) assert.deepEqual(await fs.readFile(b.file(name, blob.name)), blob.content);
    await fs.mkdir(b.file(name, 'checklist', 'ab'), { recursive: true });
    await fs.writeFile(b.file(name, 'checklist', 'ab', 'x'), '');
    await fs.mkdir(b.file(name, 'empty'));
  };

  it('A database dropped on one node ends on the others within `delete_bound`, with its directories and markers, and is not made again by them.', async () => {
    const blobs = makeBlobs(10, 700, 2000);
    await made('first', blobs);
    await fs.rm(a.file('first'), { recursive: true });
    const droppedMs = performance.now();
    while (await isThere(b.file('first'))) assert.ok(performance.now() - droppedMs < BOUND_MS + 5_000, 'B still has it');
    assert.deepEqual(await fs.readdir(b.path), []);
    await assert.rejects(fs.readdir(b.file('first')), { code: 'ENOENT' });
    await eventually('the container is removed', async () => (await client.head('drops-first')) === undefined);
    await b.restart();
    assert.equal(await isThere(b.file('first')), false);
    assert.equal(await client.head('drops-first'), undefined);
  });

  it('What another node has stored in a database, and the one that removes it has not seen, makes its directory ENOTEMPTY.', async () => {
    const [seen, unseen] = [makeBlob(745), makeBlob(746)];
    await made('third', [seen]);
    await sleep(BOUND_MS);
    const shard = path.dirname(seen.name);
    assert.deepEqual(await fs.readdir(a.file('third')), [shard]);
    // As Odoo renames: the tree was copied from these listings, and is now removed.
    await writeBlob(b.file('third'), unseen);
    await fs.unlink(a.file('third', seen.name));
    await fs.rmdir(a.file('third', shard));
    await assert.rejects(fs.rmdir(a.file('third')), { code: 'ENOTEMPTY' });
    assert.deepEqual(await client.get('drops-third', unseen.name), unseen.content);
    assert.deepEqual(await fs.readdir(a.file('third')), [path.dirname(unseen.name)]);
    await fs.rm(a.file('third'), { recursive: true });
    await eventually('B has lost it', async () => !(await isThere(b.file('third'))), 10_000);
    await eventually('the container is removed', async () => (await client.head('drops-third')) === undefined);
  });

  it('A database that is dropped while another node does not run, or is killed before it has seen that, ends there when it comes again.', async () => {
    const [blobs, kept] = [makeBlobs(5, 750, 2000), makeBlob(756)];
    await writeBlob(b.file('kept'), kept);
    const ways = [
      { name: 'stopped', before: () => b.terminate(), after: () => sleep(0) },
      { name: 'killed', before: () => b.kill9(), after: () => sleep(0) },
      { name: 'killed-later', before: () => sleep(0), after: () => sleep(500).then(() => b.kill9()) },
    ];
    for (const { name, before: beforeDrop, after: afterDrop } of ways) {
      await made(name, blobs);
      await eventually('B is registered', async () => {
        const nodes = Object.keys((await client.head(`drops-${name}`)) ?? {}).filter((key) => key.includes('-osf-node-'));
        return nodes.length === 2;
      });
      await beforeDrop();
      await fs.rm(a.file(name), { recursive: true });
      await afterDrop();
      await eventually('A has told Swift', async () => (await client.names(`drops-${name}`)).length === 0);
      assert.deepEqual(await fs.readdir(a.path), ['kept']);
      await b.restart();
      await eventually('B has lost it', async () => !(await isThere(b.file(name))), 10_000);
      assert.deepEqual(await fs.readdir(b.path), ['kept']);
      assert.equal((await b.status()).state, 'serving');
      await eventually('the container is removed', async () => (await client.head(`drops-${name}`)) === undefined);
    }
    await fs.rm(a.file('kept'), { recursive: true });
    await eventually('B has lost that too', async () => !(await isThere(b.file('kept'))), 10_000);
  });

  it('A database that is made again after a drop, on whichever node, is empty and is found at once by name on the others.', async () => {
    const [old, restored, again] = [makeBlobs(5, 720, 2000), makeBlobs(5, 730, 2000), makeBlob(740)];
    await made('second', old);
    await fs.rm(a.file('second'), { recursive: true });
    await eventually('B has lost it', async () => !(await isThere(b.file('second'))), 10_000);
    // As Odoo restores: unpacked elsewhere, then moved in.
    const unpacked = tempDir('unpacked');
    for (const blob of restored) await writeBlob(unpacked, blob);
    await fs.cp(unpacked, b.file('second'), { recursive: true });
    removeDir(unpacked);
    for (const blob of restored) {
      assert.deepEqual(await fs.readFile(b.file('second', blob.name)), blob.content);
      assert.deepEqual(await fs.readFile(a.file('second', blob.name)), blob.content, 'the one who dropped it finds it too');
    }
    for (const blob of old) {
      assert.equal(await isThere(a.file('second', blob.name)), false);
      assert.equal(await isThere(b.file('second', blob.name)), false);
    }
    assert.equal(await isThere(b.file('second', 'checklist')), false);
    await a.restart();
    assert.deepEqual(await fs.readFile(a.file('second', restored[0]?.name ?? '')), restored[0]?.content);
    // The other way round: B drops, A makes it again, B finds it.
    await fs.rm(b.file('second'), { recursive: true });
    await eventually('A has lost it', async () => !(await isThere(a.file('second'))), 10_000);
    await writeBlob(a.file('second'), again);
    await eventually('B finds it', () => isThere(b.file('second')), 5_000);
    assert.deepEqual(await fs.readFile(b.file('second', again.name)), again.content);
    assert.deepEqual(await client.names('drops-second'), [again.name]);
  });
});

describe('docs/SEMANTICS.md: a list of databases with several nodes', () => {
  it("A database that one node has made is in the other's list of databases within `delete_bound`.", async () => {
    const a = await startMount({ swift, containerPrefix: 'lists', args: MANY });
    const b = await startMount({ swift, containerPrefix: 'lists', args: MANY });
    try {
      await writeBlob(a.file('first'), makeBlob(760));
      await client.makeContainer('lists-first_segments');
      await sleep(BOUND_MS);
      // Nobody has asked B for it by its name.
      assert.deepEqual(await fs.readdir(b.path), ['first']);
      await writeBlob(a.file('Second'), makeBlob(761));
      await sleep(BOUND_MS);
      assert.deepEqual((await fs.readdir(b.path)).sort(), ['Second', 'first']);
      await fs.rm(a.file('first'), { recursive: true });
      await eventually('B lists it no more', async () => !(await fs.readdir(b.path)).includes('first'), BOUND_MS + 5_000);
      await eventually('the container is removed', async () => (await client.head('lists-first')) === undefined);
      await writeBlob(a.file('first'), makeBlob(762));
      await sleep(BOUND_MS);
      assert.deepEqual((await fs.readdir(b.path)).sort(), ['Second', 'first']);
      assert.deepEqual((await fs.readdir(a.path)).sort(), ['Second', 'first']);
    } finally {
      await Promise.all([a.stop(), b.stop()]);
    }
  });
});

describe('docs/SEMANTICS.md: a machine that is there twice', () => {
  it('A copy of a spool directory is refused while the daemon it was copied from lives.', async () => {
    const original = await startMount({ swift, containerPrefix: 'twice' });
    const directory = tempDir('copy');
    try {
      const blob = makeBlob(750);
      await writeBlob(original.file('db'), blob);
      await original.drained();
      const spool = path.join(directory, 'spool');
      await fs.cp(original.spoolDir, spool, { recursive: true });
      await fs.rm(path.join(spool, 'lock'), { force: true });
      let [ended, asked] = [false, 0];
      const copy = startMount({ swift, containerPrefix: 'twice', dirs: { spool } }).finally(() => (ended = true));
      const refused = assert.rejects(
        copy,
        (error: unknown) => error instanceof StartRefused && /this machine's node-id lives on .*copied spool_dir/.test(error.stderr),
      );
      // What the original does once a minute, here at once.
      const id = (await fs.readFile(path.join(spool, 'node-id'), 'utf8')).trim();
      const nodeKey = `x-container-meta-osf-node-${id}`;
      const [, ...rest] = ((await client.head('twice-db'))?.[nodeKey] ?? '').split(' ');
      await eventually('the copy is refused', async () => {
        const stamp = Math.floor(Date.now() / 1000) + ++asked;
        await client.raw('POST', 'twice-db', { [nodeKey]: [stamp, ...rest].join(' ') });
        return ended;
      });
      await refused;
      assert.deepEqual(await client.get('twice-db', blob.name), blob.content);
    } finally {
      await original.stop();
      removeDir(directory);
    }
  });
});

describe('docs/SEMANTICS.md: a database during an outage', () => {
  it('A database that this machine never saw is ENOENT while Swift cannot be asked, so that it can be made.', async () => {
    const proxy = await FaultProxy.start(swift.url);
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, containerPrefix: 'unseen' });
    try {
      await fs.mkdir(mount.file('known'));
      await eventually('its container is made', async () => (await client.head('unseen-known')) !== undefined);
      mount.log.expect(/^WARN (swift\.away|login-failed|mount\.degraded|stop)/, /^WARN .*(drain|pending)/);
      await client.makeContainer('unseen-elsewhere');
      await client.put('unseen-elsewhere', 'x', Buffer.from('x'));
      await proxy.down();
      assert.equal(await isThere(mount.file('elsewhere')), false);
      assert.equal(await isThere(mount.file('known')), true);
      await proxy.up();
      await eventually('it is found when Swift is back', () => isThere(mount.file('elsewhere')));
    } finally {
      await proxy.up();
      await mount.stop();
      await proxy.close();
    }
  });
});
