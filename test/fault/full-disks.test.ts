/** Disks that fill, turn read-only, lose files or flip bits under a running mount: right bytes or a refusal, and nothing half done. */
import assert from 'node:assert/strict';
import nodeFs from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually, run, runOk } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

const MIB = 1 << 20;
const SIZE_BYTES = 200_000;
const ARGS = '--write-timeout 1s --lookup-wait 200ms --read-timeout 4s --drain-timeout 2s --cache-floor 0'.split(' ');

/** What of a file is in memory is read from its disk again. */
async function forgetPages(file: string): Promise<void> {
  const program = 'import os,sys; f=os.open(sys.argv[1],os.O_RDONLY); os.fsync(f); os.posix_fadvise(f,0,0,os.POSIX_FADV_DONTNEED)';
  await runOk('python3', ['-c', program, file]);
}

function usedInodes(directory: string): number {
  const { files, ffree } = nodeFs.statfsSync(directory);
  return files - ffree;
}

describe('a disk that fails', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());

  /** A disk of its own with so much room. */
  const withDisk = async (sizeBytes: number, work: (directory: string) => Promise<void>): Promise<void> => {
    const directory = tempDir('disk');
    await runOk('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory]);
    try {
      await work(directory);
    } finally {
      await runOk('umount', ['-l', directory]);
    }
  };
  /** An ext4 of its own, whose disk loses everything from the first byte of a file on, pages in memory included. */
  const withBadDisk = async (work: (directory: string, spoil: (file: string) => Promise<void>) => Promise<void>): Promise<void> => {
    const image = path.join(tempDir('image'), 'disk');
    await fs.writeFile(image, '');
    await fs.truncate(image, 64 * MIB);
    await runOk('mkfs.ext4', ['-q', '-b', '4096', '-O', '^has_journal', image]);
    const directory = tempDir('disk');
    await runOk('mount', ['-o', 'loop', image, directory]);
    const spoil = async (file: string): Promise<void> => {
      await forgetPages(file);
      const extents = await runOk('filefrag', ['-b4096', '-v', file]);
      const firstBlock = /^ +0: +0\.\. +\d+: +(\d+)\.\./m.exec(extents)?.[1];
      assert.ok(firstBlock !== undefined, extents);
      await fs.truncate(image, Number(firstBlock) * 4096);
    };
    try {
      await work(directory, spoil);
    } finally {
      await runOk('umount', ['-l', directory]);
    }
  };
  /** Refused as busy while a file is open for writing, or a removed one is open at all: the daemon closes those a moment after it answered. */
  const makeReadOnly = async (directory: string): Promise<void> => {
    await eventually('the disk turns read-only', async () => (await run('mount', ['-o', 'remount,ro', directory])).code === 0);
    await assert.rejects(fs.writeFile(path.join(directory, 'probe'), ''), { code: 'EROFS' });
  };
  interface Setting {
    readonly database: string;
    readonly args?: readonly string[];
    readonly spool?: string;
    readonly cache?: string;
  }
  const withMount = async ({ database, args = [], spool, cache }: Setting, work: (mount: Mount) => Promise<void>): Promise<void> => {
    const dirs = { ...(spool === undefined ? {} : { spool }), ...(cache === undefined ? {} : { cache }) };
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database, args: [...ARGS, ...args], dirs });
    try {
      await work(mount);
    } finally {
      await proxy.up();
      await mount.stop();
    }
  };
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
  /** All of these are read, in Swift, and nothing else is. */
  const assertStored = async (mount: Mount, database: string, blobs: readonly Blob[]): Promise<void> => {
    await mount.drained();
    const client = await swift.client();
    assert.deepEqual(await client.names(`odoo-${database}`), blobs.map(({ name }) => name).sort());
    for (const { name, content } of blobs) {
      assert.deepEqual(await fs.readFile(mount.file(name)), content);
      assert.deepEqual(await client.get(`odoo-${database}`, name), content);
    }
  };

  it('Where a disk does not give a cached copy, Swift gives the bytes in the same read, and a new copy takes its place.', () =>
    withBadDisk((cache, spoil) =>
      withMount({ database: 'sectors', cache }, async (mount) => {
        mount.log.expect(/^WARN cache\.unreadable .*EIO/);
        const blob = makeBlob(701, SIZE_BYTES);
        await writeBlob(mount.path, blob);
        await mount.drained();
        await mount.restart();
        assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
        await forgetPages(mount.file(blob.name));
        await spoil(path.join(cache, 'v1', blob.sha1.slice(0, 2), `sha1-${blob.sha1}`));
        assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
        await forgetPages(mount.file(blob.name));
        assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      }),
    ));

  it('A full spool refuses with ENOSPC, publishes nothing half, and works again when there is room.', () =>
    withDisk(4 * MIB, (spool) =>
      withMount({ database: 'full', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR (write\.not-stored|spool\.)/);
        await writeBlob(mount.path, makeBlob(1, SIZE_BYTES));
        await proxy.down();
        const { acknowledged, refused, code } = await fill(mount, 2);
        assert.equal(code, 'ENOSPC');
        assert.ok(acknowledged.length > 5);
        await assert.rejects(fs.stat(mount.file(refused.name)), { code: 'ENOENT' });
        for (const { name, content } of acknowledged) assert.deepEqual(await fs.readFile(mount.file(name)), content);
        await proxy.up();
        await mount.drained();
        await writeBlob(mount.path, refused);
        await assertStored(mount, 'full', [makeBlob(1, SIZE_BYTES), ...acknowledged, refused]);
      }),
    ));

  it('`spool_floor` stays free, and binds only what Swift does not take.', () =>
    withDisk(8 * MIB, (spool) =>
      withMount({ database: 'floor', spool, args: ['--spool-floor', '6MiB'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
        await writeBlob(mount.path, makeBlob(300, SIZE_BYTES));
        await proxy.down();
        const { acknowledged, code } = await fill(mount, 301);
        assert.equal(code, 'ENOSPC');
        const { bavail, bsize } = nodeFs.statfsSync(spool);
        assert.ok(bavail * bsize >= 6 * MIB - SIZE_BYTES - MIB / 2, `${bavail * bsize} bytes are free`);
        await proxy.up();
        await assertStored(mount, 'floor', [makeBlob(300, SIZE_BYTES), ...acknowledged]);
      }),
    ));

  it('A write that is refused for want of room gives the room back.', () =>
    withDisk(8 * MIB, (spool) =>
      withMount({ database: 'refused', spool, args: ['--spool-floor', '0'] }, async (mount) => {
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
        await assertStored(mount, 'refused', [small]);
      }),
    ));

  it('The last of the disk of `spool_dir` is kept for the journal: deletes go on when writes are refused, and `status` says `degraded`.', () =>
    withDisk(8 * MIB, (spool) =>
      withMount({ database: 'reserve', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
        const client = await swift.client();
        const isDeleted = ({ name }: Blob): Promise<unknown> =>
          eventually(`${name} is deleted`, async () => (await client.get('odoo-reserve', name)) === undefined);
        const known = makeBlob(810, SIZE_BYTES);
        await writeBlob(mount.path, known);
        await proxy.down();
        const { acknowledged, code } = await fill(mount, 811);
        assert.equal(code, 'ENOSPC');
        await fs.unlink(mount.file(known.name));
        await proxy.up();
        await isDeleted(known);
        await assertStored(mount, 'reserve', acknowledged);
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
        await assertStored(mount, 'reserve', [known, ...acknowledged]);
      }),
    ));

  it('On a disk of `spool_dir` that others have filled to its last byte files are deleted, and stay deleted.', () =>
    withDisk(8 * MIB, (spool) =>
      withMount({ database: 'brim', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(
          /^WARN (swift\.away|login-failed|request-failed|names\.not-written|mount\.degraded)/,
          /^ERROR (write\.not-stored|spool\.)/,
        );
        const client = await swift.client();
        const blobs = Array.from({ length: 40 }, (_, index) => makeBlob(840 + index, 20_000));
        for (const blob of blobs.slice(0, 20)) await writeBlob(mount.path, blob);
        await proxy.down();
        for (const blob of blobs.slice(20)) await writeBlob(mount.path, blob);
        const fillUp = async (): Promise<void> => {
          const filler = await fs.open(path.join(spool, 'filler'), 'a');
          for (const piece of [MIB, 4096, 1])
            while (
              await filler.write(Buffer.alloc(piece)).then(
                () => true,
                () => false,
              )
            );
          await filler.close();
          assert.equal(nodeFs.statfsSync(spool).bavail, 0);
        };
        await fillUp();
        // Those that Swift has, and those that it is owed.
        const [gone, kept] = [blobs.filter((_, index) => index % 2 === 0), blobs.filter((_, index) => index % 2 === 1)];
        for (const { name } of gone) await fs.unlink(mount.file(name));
        await mount.kill9();
        await fillUp();
        await mount.restart();
        for (const { name } of gone) await assert.rejects(fs.stat(mount.file(name)), { code: 'ENOENT' });
        await proxy.up();
        for (const { name } of gone)
          await eventually(`${name} is deleted`, async () => (await client.get('odoo-brim', name)) === undefined);
        await assertStored(mount, 'brim', kept);
        await fs.rm(path.join(spool, 'filler'));
        const late = makeBlob(890, SIZE_BYTES);
        await writeBlob(mount.path, late);
        await assertStored(mount, 'brim', [...kept, late]);
      }),
    ));

  it('A disk of `spool_dir` without an inode left is told by `status`.', () =>
    withDisk(64 * MIB, (spool) =>
      withMount({ database: 'inodes', spool, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN request-failed/);
        const known = makeBlob(830, SIZE_BYTES);
        await writeBlob(mount.path, known);
        assert.equal((await mount.status()).state, 'serving');
        await runOk('mount', ['-o', `remount,nr_inodes=${usedInodes(spool)}`, spool]);
        const [small, large] = [makeBlob(831, 1000), makeBlob(832, MIB)];
        // It needs nothing of the disk while Swift takes it.
        await writeBlob(mount.path, small);
        await assert.rejects(writeBlob(mount.path, large), { code: 'ENOSPC' });
        assert.equal((await mount.status()).state, 'degraded');
        assert.match((await mount.status()).databases[0]?.reason ?? '', /spool_dir .* has no inode left/);
        await runOk('mount', ['-o', 'remount,nr_inodes=1000', spool]);
        await writeBlob(mount.path, large);
        await assertStored(mount, 'inodes', [known, small, large]);
        await eventually('the mount serves', async () => (await mount.status()).state === 'serving');
      }),
    ));

  it('Torn files make room, the oldest first, before a write is refused.', () =>
    withDisk(8 * MIB, (spool) =>
      withMount({ database: 'torn', spool, args: ['--spool-floor', '0'] }, async (mount) => {
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
        await assertStored(mount, 'torn', [blob]);
      }),
    ));

  it('Writes slow down past `max_pending`, and are refused past twice as much.', () =>
    withMount({ database: 'pending', args: ['--max-pending', '1MiB'] }, async (mount) => {
      mount.log.expect(/^WARN (swift\.away|login-failed|request-failed)/, /^ERROR write\.not-stored/);
      await writeBlob(mount.path, makeBlob(400, SIZE_BYTES));
      await proxy.down();
      const startMs = Date.now();
      const { acknowledged, code } = await fill(mount, 401);
      assert.equal(code, 'ENOSPC');
      const pendingBytes = acknowledged.length * SIZE_BYTES;
      assert.ok(pendingBytes > MIB && pendingBytes <= 2 * MIB, `${pendingBytes} bytes are pending`);
      // five writes past the mark, each waits 50 ms at the least and a second at the most
      assert.ok(Date.now() - startMs > 1000, 'it was slowed down');
      await proxy.up();
      await assertStored(mount, 'pending', [makeBlob(400, SIZE_BYTES), ...acknowledged]);
    }));

  it('A sealed file with a flipped bit is neither published nor served, is told, and holds nobody up.', () =>
    withMount({ database: 'flipped' }, async (mount) => {
      mount.log.expect(
        /^WARN (swift\.away|login-failed|mount\.degraded|request-failed|publisher\.publish-refused)/,
        /^ERROR spool\.corrupt/,
      );
      // Too large for the write-ahead log, which would heal it at the start.
      const [known, bad, good] = [makeBlob(500), makeBlob(501, 300 << 10), makeBlob(502)] as const;
      await writeBlob(mount.path, known);
      await proxy.down();
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
      await proxy.up();
      await mount.log.waitFor(/^WARN publisher\.publish-refused/);
      const client = await swift.client();
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
      await assertStored(mount, 'flipped', [known, bad, good]);
    }));

  it('What is damaged in the spool under a running mount is served from elsewhere or refused, never as it is and never as "no such file".', () =>
    withMount({ database: 'damaged' }, async (mount) => {
      mount.log.expect(
        /^WARN (swift\.away|login-failed|mount\.degraded|request-failed|publisher\.publish-refused)/,
        /^ERROR spool\.corrupt/,
      );
      const [known, flipped, short, gone] = [makeBlob(520), makeBlob(521), makeBlob(522), makeBlob(523)] as const;
      await writeBlob(mount.path, known);
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      await proxy.down();
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
      await proxy.up();
      const blobs = [known, flipped, short, gone];
      for (const blob of blobs) await writeBlob(mount.path, blob);
      await assertStored(mount, 'damaged', blobs);
    }));

  it('A cache without room and a cache that turned read-only cost speed, not documents.', () =>
    withDisk(2 * MIB, (cache) =>
      withMount({ database: 'cache', cache }, async (mount) => {
        mount.log.expect(/^WARN cache\./);
        const blobs = [600, 601, 602].map((seed) => makeBlob(seed, SIZE_BYTES));
        await writeBlob(mount.path, blobs[0] ?? assert.fail());
        const client = await swift.client();
        for (const { name, content } of blobs) await client.put('odoo-cache', name, content);
        await fs.writeFile(path.join(cache, 'filler'), Buffer.alloc(4 * MIB)).catch(() => undefined);
        await mount.restart();
        for (const { name, content } of blobs) assert.deepEqual(await fs.readFile(mount.file(name)), content, 'with a full cache');
        const first = makeBlob(603, SIZE_BYTES);
        await writeBlob(mount.path, first);
        await makeReadOnly(cache);
        const second = makeBlob(604, SIZE_BYTES);
        await writeBlob(mount.path, second);
        for (const { name, content } of [...blobs, first, second])
          assert.deepEqual(await fs.readFile(mount.file(name)), content, 'with a read-only cache');
        await assertStored(mount, 'cache', [...blobs, first, second]);
        await runOk('mount', ['-o', 'remount,rw', cache]);
      }),
    ));

  const UNUSABLE: readonly (readonly [string, (cache: string) => Promise<unknown>, string])[] = [
    ['is read-only', makeReadOnly, 'remount,rw'],
    ['has no inode left', (cache) => runOk('mount', ['-o', `remount,nr_inodes=${usedInodes(cache)}`, cache]), 'remount,nr_inodes=1000'],
  ];
  for (const [what, spoil, mended] of UNUSABLE) {
    it(`A cache that cannot be written at the start costs speed, not documents: the mount comes up, and status says so. (Its disk ${what}.)`, () =>
      withDisk(64 * MIB, (cache) =>
        withMount({ database: 'unusable', cache }, async (mount) => {
          const [small, large, late] = [makeBlob(610, SIZE_BYTES), makeBlob(611, 3 * MIB), makeBlob(612, SIZE_BYTES)] as const;
          const [first, next] = [makeBlob(613, SIZE_BYTES), makeBlob(614, SIZE_BYTES)] as const;
          const assertRead = async (blobs: readonly Blob[]): Promise<void> => {
            for (const { name, content } of blobs) assert.deepEqual(await fs.readFile(mount.file(name)), content);
          };
          for (const blob of [small, large]) await writeBlob(mount.path, blob);
          await assertRead([small, large]);
          await mount.terminate();
          await spoil(cache);
          mount.log.expect(/^WARN cache\.not-used /);
          await mount.restart();
          await assertRead([small, large]);
          await writeBlob(mount.path, late);
          await assertRead([late]);
          const { state, cache: told } = await mount.status();
          assert.equal(state, 'serving');
          assert.match(told.problem ?? '', /cache_dir .* cannot be used: E(ROFS|NOSPC).*is noticed within 10 s$/);
          assert.equal(mount.log.lines.filter((line) => line.startsWith('WARN cache.')).length, 1);
          await runOk('mount', ['-o', mended, cache]);
          await eventually('the cache is used', async () => (await mount.status()).cache.problem === undefined);
          // The folder is made ready behind the first.
          for (const { name, content } of [first, next]) await (await swift.client()).put('odoo-unusable', name, content);
          await assertRead([first, next]);
          const copy = path.join(cache, 'v1', next.sha1.slice(0, 2), `sha1-${next.sha1}`);
          await eventually('a copy is kept', () => nodeFs.existsSync(copy), 5000);
          await assertStored(mount, 'unusable', [small, large, late, first, next]);
        }),
      ));
  }

  it('A spool_dir that is removed refuses what it would hold with EIO, and status says so.', () =>
    withMount({ database: 'removed' }, async (mount) => {
      mount.log.expect(/^WARN (swift\.away|login-failed|request-failed|names\.not-written)/, /^ERROR (write\.not-stored|spool\.)/);
      const [known, large, late] = [makeBlob(830, SIZE_BYTES), makeBlob(831, MIB), makeBlob(832, SIZE_BYTES)] as const;
      await writeBlob(mount.path, known);
      for (const { name } of [large, late]) await fs.mkdir(path.dirname(mount.file(name)), { recursive: true });
      await fs.rm(mount.spoolDir, { recursive: true });
      await assert.rejects(writeBlob(mount.path, large), { code: 'EIO' });
      await proxy.down();
      await assert.rejects(writeBlob(mount.path, late), { code: 'EIO' });
      await proxy.up();
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      await eventually('status says so', async () =>
        /^spool_dir .* cannot be written/.test((await mount.status()).databases[0]?.reason ?? ''),
      );
    }));

  it('A cache folder that is removed, and a cached file that is cut short, are filled again.', () =>
    withMount({ database: 'gone' }, async (mount) => {
      mount.log.expect(/^WARN cache\./);
      const blobs = [700, 701, 702].map((seed) => makeBlob(seed, SIZE_BYTES));
      for (const blob of blobs) await writeBlob(mount.path, blob);
      const cut = path.join(mount.cacheDir, 'v1', blobs[0]?.name.slice(0, 2) ?? '', `sha1-${blobs[0]?.sha1 ?? ''}`);
      await fs.truncate(cut, 1000);
      for (const { name, content } of blobs) assert.deepEqual(await fs.readFile(mount.file(name)), content, 'with a file cut short');
      // Something may still be written there, behind its reader.
      await fs.rm(path.join(mount.cacheDir, 'v1'), { recursive: true, maxRetries: 10 });
      for (const { name, content } of blobs) assert.deepEqual(await fs.readFile(mount.file(name)), content, 'without a cache');
      const another = makeBlob(703, SIZE_BYTES);
      await writeBlob(mount.path, another);
      await assertStored(mount, 'gone', [...blobs, another]);
    }));
});
