/** The spool's disk that fills, turns read-only, loses files or flips bits under a running mount: right bytes or a refusal, and nothing half done. */
import assert from 'node:assert/strict';
import nodeFs from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { eventually, run, runOk } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import type { ProxiedSwift } from '../helpers/proxied-swift.js';
import type { Mount } from '../helpers/with-mount.js';
import { assertStored, withDisk, withMountOn } from './failing-disks.js';

const MIB = 1 << 20;
const SIZE_BYTES = 200_000;

function usedInodes(directory: string): number {
  const { files, ffree } = nodeFs.statfsSync(directory);
  return files - ffree;
}

/** Also where a file that was closed a moment ago goes only now. */
async function leaveNoInode(directory: string): Promise<void> {
  await eventually('no inode is free', async () => {
    const used = usedInodes(directory);
    const { code } = await run('mount', ['-o', `remount,nr_inodes=${used}`, directory]);
    await sleep(300);
    return code === 0 && usedInodes(directory) === used;
  });
}

/** So that not even a byte can be appended. */
async function fillToTheBrim(directory: string): Promise<void> {
  const filler = await fs.open(path.join(directory, 'filler'), 'a');
  for (const piece of [MIB, 4096, 1])
    while (
      await filler.write(Buffer.alloc(piece)).then(
        () => true,
        () => false,
      )
    );
  await filler.close();
  assert.equal(nodeFs.statfsSync(directory).bavail, 0);
}

describe('a disk of the spool that fails', () => {
  let all: ProxiedSwift;
  before(async () => {
    all = await withProxiedSwift();
  });
  after(() => all.swift.stop());

  /** Writes until it is refused. */
  const fill = async (mount: Mount, firstSeed: number): Promise<{ acknowledged: Blob[]; refused: Blob; code: unknown }> => {
    const acknowledged: Blob[] = [];
    for (let seed = firstSeed; seed < firstSeed + 200; seed += 1) {
      const blob = makeBlob(seed, SIZE_BYTES);
      try {
        await writeBlob(mount.path, blob);
        acknowledged.push(blob);
      } catch (error) {
        return { acknowledged, refused: blob, code: (error as { code?: unknown }).code };
      }
    }
    throw new Error('nothing was refused');
  };
  it('A full spool refuses with ENOSPC, publishes nothing half, and works again when there is room.', () =>
    withDisk(4 * MIB, (spool) =>
      withMountOn(all, { database: 'full', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR (write\.not-stored|spool\.)/);
        await writeBlob(mount.path, makeBlob(1, SIZE_BYTES));
        await all.proxy.down();
        const { acknowledged, refused, code } = await fill(mount, 2);
        assert.equal(code, 'ENOSPC');
        assert.ok(acknowledged.length > 5);
        await assert.rejects(fs.stat(mount.file(refused.name)), { code: 'ENOENT' });
        for (const { name, content } of acknowledged) assert.deepEqual(await fs.readFile(mount.file(name)), content);
        await all.proxy.up();
        await mount.drained();
        await writeBlob(mount.path, refused);
        await assertStored(all, mount, 'full', [makeBlob(1, SIZE_BYTES), ...acknowledged, refused]);
      }),
    ));

  it('`spool_floor` stays free, and binds only what Swift does not take.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(all, { database: 'floor', spool, args: ['--spool-floor', '6MiB'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
        await writeBlob(mount.path, makeBlob(300, SIZE_BYTES));
        await all.proxy.down();
        const { acknowledged, code } = await fill(mount, 301);
        assert.equal(code, 'ENOSPC');
        const { bavail, bsize } = nodeFs.statfsSync(spool);
        assert.ok(bavail * bsize >= 6 * MIB - SIZE_BYTES - MIB / 2, `${bavail * bsize} bytes are free`);
        await all.proxy.up();
        await assertStored(all, mount, 'floor', [makeBlob(300, SIZE_BYTES), ...acknowledged]);
      }),
    ));

  it('A write that is refused for want of room gives the room back.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(all, { database: 'refused', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN request-failed operation=write kind=no-space/);
        const [small, large] = [makeBlob(800, SIZE_BYTES), makeBlob(801, 12 * MIB)] as const;
        await assert.rejects(writeBlob(mount.path, large), { code: 'ENOSPC' });
        await assert.rejects(fs.stat(mount.file(large.name)), { code: 'ENOENT' });
        // The file goes with its last close, which the kernel tells after the writer has its answer.
        await eventually('the room is free', () => {
          const { bavail, bsize } = nodeFs.statfsSync(spool);
          return bavail * bsize > 7 * MIB;
        });
        await eventually('the mount serves', async () => (await mount.status()).state === 'serving');
        await writeBlob(mount.path, small);
        await assertStored(all, mount, 'refused', [small]);
      }),
    ));

  it('The last of the disk of `spool_dir` is kept for the journal: deletes go on when writes are refused, and `status` says `degraded`.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(all, { database: 'reserve', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
        const client = await all.swift.client();
        const isDeleted = ({ name }: Blob): Promise<unknown> =>
          eventually(`${name} is deleted`, async () => (await client.get('odoo-reserve', name)) === undefined);
        const known = makeBlob(810, SIZE_BYTES);
        await writeBlob(mount.path, known);
        await all.proxy.down();
        const { acknowledged, code } = await fill(mount, 811);
        assert.equal(code, 'ENOSPC');
        await fs.unlink(mount.file(known.name));
        await all.proxy.up();
        await isDeleted(known);
        await assertStored(all, mount, 'reserve', acknowledged);
        const filler = path.join(spool, 'filler');
        const { bavail, bsize } = nodeFs.statfsSync(spool);
        await fs.writeFile(filler, Buffer.alloc(bavail * bsize - MIB / 4));
        assert.equal((await mount.status()).state, 'degraded');
        assert.match((await mount.status()).databases[0]?.reason ?? '', /spool_dir .* is full: writes are refused; make room/);
        await assert.rejects(writeBlob(mount.path, known), { code: 'ENOSPC' });
        const gone = acknowledged.shift() ?? assert.fail('nothing was acknowledged');
        await fs.unlink(mount.file(gone.name));
        await isDeleted(gone);
        await fs.unlink(filler);
        await writeBlob(mount.path, known);
        await eventually('the mount serves', async () => (await mount.status()).state === 'serving');
        await assertStored(all, mount, 'reserve', [known, ...acknowledged]);
      }),
    ));

  it('On a disk of `spool_dir` that others have filled to its last byte files are deleted, and stay deleted.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(all, { database: 'brim', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(
          /^WARN (swift\.away|login-failed|request-failed|names\.not-written|mount\.degraded)/,
          /^ERROR (write\.not-stored|spool\.)/,
        );
        const client = await all.swift.client();
        const blobs = Array.from({ length: 40 }, (_, index) => makeBlob(840 + index, 20_000));
        for (const blob of blobs.slice(0, 20)) await writeBlob(mount.path, blob);
        await all.proxy.down();
        for (const blob of blobs.slice(20)) await writeBlob(mount.path, blob);
        await fillToTheBrim(spool);
        // Those that Swift has, and those that it is owed.
        const [gone, kept] = [blobs.filter((_, index) => index % 2 === 0), blobs.filter((_, index) => index % 2 === 1)];
        for (const { name } of gone) await fs.unlink(mount.file(name));
        await mount.kill9();
        await fillToTheBrim(spool);
        await mount.restart();
        for (const { name } of gone) await assert.rejects(fs.stat(mount.file(name)), { code: 'ENOENT' });
        await all.proxy.up();
        for (const { name } of gone)
          await eventually(`${name} is deleted`, async () => (await client.get('odoo-brim', name)) === undefined);
        await assertStored(all, mount, 'brim', kept);
        await fs.rm(path.join(spool, 'filler'));
        const late = makeBlob(890, SIZE_BYTES);
        await writeBlob(mount.path, late);
        await assertStored(all, mount, 'brim', [...kept, late]);
      }),
    ));

  it('A directory that was found stays when its last file goes, also where the full disk of `spool_dir` has no room to note it.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(
        all,
        { database: 'shards', spool, args: ['--spool-floor', '0', '--nodes', 'many', '--delete-bound', '3s'] },
        async (mount) => {
          mount.log.expect(/^WARN (request-failed|names\.not-written|mount\.degraded)/, /^ERROR (write\.not-stored|spool\.)/);
          const client = await all.swift.client();
          const own = makeBlob(890);
          await writeBlob(mount.path, own);
          // Of other nodes, and in shards that this one has not seen.
          const [gone, next] = [makeBlob(891), makeBlob(892)] as const;
          for (const { name, content } of [gone, next]) await client.put('odoo-shards', name, content);
          await fillToTheBrim(spool);
          const seen = [gone, next].map(({ name }) => path.dirname(name));
          const shards = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).filter(
            (shard) => !seen.includes(shard) && shard !== path.dirname(own.name),
          );
          // The last block of the journal has room for some more.
          const makeAll = async (): Promise<void> => {
            for (const shard of shards) await fs.mkdir(mount.file(shard));
          };
          await assert.rejects(makeAll(), { code: 'ENOSPC' });
          await fs.stat(mount.file(path.dirname(gone.name)));
          assert.deepEqual(await fs.readFile(mount.file(next.name)), next.content);
          for (const { name } of [gone, next]) {
            await client.delete('odoo-shards', name);
            await eventually(`${name} is not there`, async () => (await run('stat', [mount.file(name)])).code !== 0);
            assert.ok((await fs.stat(mount.file(path.dirname(name)))).isDirectory());
          }
          // Its bytes need no room while Swift takes them.
          await fs.writeFile(mount.file(gone.name), gone.content);
          await fs.rm(path.join(spool, 'filler'));
          // What is made in it later stands in the journal with it.
          const deeper = mount.file(path.dirname(next.name), 'deeper');
          await fs.mkdir(deeper);
          await mount.kill9();
          await mount.restart();
          await fs.rmdir(deeper);
          await fs.rmdir(mount.file(path.dirname(next.name)));
          await assert.rejects(fs.stat(mount.file(path.dirname(next.name))), { code: 'ENOENT' });
        },
      ),
    ));

  it('A disk of `spool_dir` without an inode left is told by `status`.', () =>
    withDisk(64 * MIB, (spool) =>
      withMountOn(all, { database: 'inodes', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN request-failed/);
        const known = makeBlob(830, SIZE_BYTES);
        await writeBlob(mount.path, known);
        assert.equal((await mount.status()).state, 'serving');
        await leaveNoInode(spool);
        const [small, large] = [makeBlob(831, 1000), makeBlob(832, MIB)];
        // It needs nothing of the disk while Swift takes it.
        await writeBlob(mount.path, small);
        await assert.rejects(writeBlob(mount.path, large), { code: 'ENOSPC' });
        assert.equal((await mount.status()).state, 'degraded');
        assert.match((await mount.status()).databases[0]?.reason ?? '', /spool_dir .* has no inode left/);
        await runOk('mount', ['-o', 'remount,nr_inodes=1000', spool]);
        await writeBlob(mount.path, large);
        await assertStored(all, mount, 'inodes', [known, small, large]);
        await eventually('the mount serves', async () => (await mount.status()).state === 'serving');
      }),
    ));

  it('Torn files make room, the oldest first, before a write is refused.', () =>
    withDisk(8 * MIB, (spool) =>
      withMountOn(all, { database: 'torn', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN (write\.torn|spool\.torn-dropped)/);
        const blob = makeBlob(820, 4 * MIB);
        for (const seed of [821, 822]) {
          const { name, content } = makeBlob(seed, 3 * MIB);
          await writeBlob(mount.path, { ...blob, name, content: content.subarray(0, content.length - 1) });
          await mount.log.waitFor(new RegExp(`^WARN write\\.torn .*${name}`));
        }
        const status = await mount.status();
        const torn = path.join(spool, 'v1/torn/torn');
        assert.equal(status.databases[0]?.tornFiles, 2);
        assert.equal(status.databases[0].tornBytes, 2 * (3 * MIB - 1));
        assert.equal(status.databases[0].tornDirectory, torn);
        assert.equal(status.state, 'serving', 'one killed writer leaves no mount degraded');
        const newest = (await fs.readdir(torn)).sort().at(-1);
        await writeBlob(mount.path, blob);
        assert.deepEqual(await fs.readdir(torn), [newest]);
        await fs.rm(path.join(torn, newest ?? ''));
        assert.equal((await mount.status()).databases[0]?.tornFiles, 0);
        await assertStored(all, mount, 'torn', [blob]);
      }),
    ));

  it('Writes slow down past `max_pending`, and are refused past twice as much.', () =>
    withMountOn(all, { database: 'pending', args: ['--max-pending', '1MiB'] }, async (mount) => {
      mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
      await writeBlob(mount.path, makeBlob(400, SIZE_BYTES));
      await all.proxy.down();
      const startMs = Date.now();
      const { acknowledged, code } = await fill(mount, 401);
      assert.equal(code, 'ENOSPC');
      const pendingBytes = acknowledged.length * SIZE_BYTES;
      assert.ok(pendingBytes > MIB && pendingBytes <= 2 * MIB, `${pendingBytes} bytes are pending`);
      // five writes past the mark, each waits 50 ms at the least and a second at the most
      assert.ok(Date.now() - startMs > 1000, 'it was slowed down');
      await all.proxy.up();
      await assertStored(all, mount, 'pending', [makeBlob(400, SIZE_BYTES), ...acknowledged]);
    }));

  it('A sealed file with a flipped bit is neither published nor served, is told, and holds nobody up.', () =>
    withMountOn(all, { database: 'flipped' }, async (mount) => {
      mount.log.expect(
        /^WARN (swift\.away|login-failed|mount\.degraded|request-failed|publisher\.publish-refused)/,
        /^ERROR spool\.corrupt/,
      );
      // Too large for the write-ahead log, which would heal it at the start.
      const [known, bad, good] = [makeBlob(500), makeBlob(501, 300 << 10), makeBlob(502)] as const;
      await writeBlob(mount.path, known);
      await all.proxy.down();
      await writeBlob(mount.path, bad);
      await writeBlob(mount.path, good);
      await mount.kill9();
      const sealed = path.join(mount.spoolDir, 'v1/flipped/sealed');
      const name = (await fs.readdir(sealed)).find((file) => file.endsWith(bad.sha1)) ?? assert.fail('not sealed');
      const handle = await fs.open(path.join(sealed, name), 'r+');
      await handle.write(Buffer.from([(bad.content[100] ?? 0) ^ 1]), 0, 1, 100);
      await handle.close();
      await mount.restart();
      await assert.rejects(fs.readFile(mount.file(bad.name)), { code: 'EIO' });
      assert.deepEqual(await fs.readFile(mount.file(good.name)), good.content);
      await all.proxy.up();
      await mount.log.waitFor(/^WARN publisher\.publish-refused/);
      const client = await all.swift.client();
      await eventually('the good one is published', async () => (await client.get('odoo-flipped', good.name)) !== undefined);
      // Swift has it a moment before our record says so.
      await eventually('only the bad one is owed', async () => (await mount.status()).databases[0]?.pendingWrites === 1);
      assert.equal(await client.get('odoo-flipped', bad.name), undefined);
      const status = await mount.status();
      assert.equal(status.safeToLoseThisMachine, false);
      assert.equal(status.databases[0]?.pendingWrites, 1);
      assert.match(status.databases[0].reason ?? '', new RegExp(bad.sha1));
      // who writes it once more heals it
      await writeBlob(mount.path, bad);
      await assertStored(all, mount, 'flipped', [known, bad, good]);
    }));

  it('What is damaged in the spool under a running mount is served from elsewhere or refused, never as it is and never as "no such file".', () =>
    withMountOn(all, { database: 'damaged' }, async (mount) => {
      mount.log.expect(
        /^WARN (swift\.away|login-failed|mount\.degraded|request-failed|publisher\.publish-refused)/,
        /^ERROR spool\.corrupt/,
      );
      const [known, flipped, short, gone] = [makeBlob(520), makeBlob(521), makeBlob(522), makeBlob(523)] as const;
      await writeBlob(mount.path, known);
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      await all.proxy.down();
      for (const blob of [known, flipped, short, gone]) await writeBlob(mount.path, blob);
      const directory = path.join(mount.spoolDir, 'v1/damaged/sealed');
      const names = await eventually('the files of all four, which are made behind the answers', async () => {
        const made = await fs.readdir(directory);
        return made.length >= 4 && made;
      });
      const sealed = ({ sha1 }: Blob): string =>
        path.join(directory, names.find((name) => name.endsWith(sha1)) ?? assert.fail(`${sha1} is not sealed`));
      for (const blob of [known, flipped]) {
        const handle = await fs.open(sealed(blob), 'r+');
        await handle.write(Buffer.from([(blob.content[100] ?? 0) ^ 1]), 0, 1, 100);
        await handle.close();
      }
      await fs.truncate(sealed(short), 100);
      await fs.unlink(sealed(gone));
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content, 'the cache has it');
      for (const blob of [flipped, short, gone]) await assert.rejects(fs.readFile(mount.file(blob.name)), { code: 'EIO' }, blob.name);
      await all.proxy.up();
      const blobs = [known, flipped, short, gone];
      for (const blob of blobs) await writeBlob(mount.path, blob);
      await assertStored(all, mount, 'damaged', blobs);
    }));

  it('A journal, a write-ahead log or a folder of the spool that is removed under a running mount is made anew, and a kill then loses nothing.', () =>
    withMountOn(all, { database: 'parts' }, async (mount) => {
      mount.log.expect(/^WARN (swift\.away|login-failed|mount\.degraded|spool\.ahead-failed)/, /^ERROR spool\.journal-failed/);
      const known = makeBlob(840, SIZE_BYTES);
      const pending = [841, 842, 843, 844, 845, 846].map((seed) => makeBlob(seed, seed % 2 === 0 ? MIB : SIZE_BYTES));
      const [before, after] = [pending.slice(0, 2), pending.slice(2)];
      await writeBlob(mount.path, known);
      await all.proxy.down();
      for (const blob of before) await writeBlob(mount.path, blob);
      for (const part of ['journal', 'ahead.0', 'ahead.1', 'staging', 'torn', 'local'])
        await fs.rm(path.join(mount.spoolDir, 'v1/parts', part), { recursive: true, force: true });
      for (const blob of after) await writeBlob(mount.path, blob);
      await fs.unlink(mount.file(known.name));
      await fs.mkdir(mount.file('checklist'));
      await fs.writeFile(mount.file('checklist/marker'), '');
      await mount.kill9();
      await mount.restart();
      for (const { name, content } of pending) assert.deepEqual(await fs.readFile(mount.file(name)), content);
      await assert.rejects(fs.stat(mount.file(known.name)), { code: 'ENOENT' });
      assert.deepEqual(await fs.readdir(mount.file('checklist')), ['marker']);
      await all.proxy.up();
      await eventually('the delete is told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0);
      await assertStored(all, mount, 'parts', pending);
    }));

  it('A spool_dir that is removed refuses what it would hold with EIO, and status says so.', () =>
    withMountOn(all, { database: 'removed' }, async (mount) => {
      mount.log.expect(
        /^WARN (swift\.away|login-failed|request-failed|names\.not-written)/,
        /^ERROR (write\.not-stored|spool\.|close-failed)/,
      );
      const [known, large, late] = [makeBlob(830, SIZE_BYTES), makeBlob(831, MIB), makeBlob(832, SIZE_BYTES)] as const;
      await writeBlob(mount.path, known);
      for (const { name } of [large, late]) await fs.mkdir(path.dirname(mount.file(name)), { recursive: true });
      await fs.rm(mount.spoolDir, { recursive: true });
      await assert.rejects(writeBlob(mount.path, large), { code: 'EIO' });
      await all.proxy.down();
      await assert.rejects(writeBlob(mount.path, late), { code: 'EIO' });
      await eventually('status says that Swift is away and that the spool takes nothing', async () =>
        /refused.*; and spool_dir .* cannot be written/.test((await mount.status()).databases[0]?.reason ?? ''),
      );
      await all.proxy.up();
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      await eventually('status says so', async () =>
        /^spool_dir .* cannot be written/.test((await mount.status()).databases[0]?.reason ?? ''),
      );
    }));
});
