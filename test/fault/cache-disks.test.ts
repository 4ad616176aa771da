/** The cache's disk that fills, turns read-only, loses files or does not give them, under a running mount: it costs speed, and no document. */
import assert from 'node:assert/strict';
import nodeFs from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { forEachAtOnce } from '../../src/base/at-once.js';
import { makeBlob, makeBlobs, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { eventually, runOk } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import type { ProxiedSwift } from '../helpers/proxied-swift.js';
import { assertStored, forgetPages, makeReadOnly, withBadDisk, withDisk, withMountOn } from './failing-disks.js';

const MIB = 1 << 20;
const SIZE_BYTES = 200_000;

function usedInodes(directory: string): number {
  const { files, ffree } = nodeFs.statfsSync(directory);
  return files - ffree;
}

describe('a disk of the cache that fails', () => {
  let all: ProxiedSwift;
  before(async () => {
    all = await withProxiedSwift();
  });
  after(() => all.swift.stop());

  it('Where a disk does not give a cached copy, Swift gives the bytes in the same read, and a new copy takes its place.', () =>
    withBadDisk((cache, spoil) =>
      withMountOn(all, { database: 'sectors', cache }, async (mount) => {
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

  it('A cache without room and a cache that turned read-only cost speed, not documents.', () =>
    withDisk(2 * MIB, (cache) =>
      withMountOn(all, { database: 'cache', cache }, async (mount) => {
        mount.log.expect(/^WARN cache\./);
        const blobs = [600, 601, 602].map((seed) => makeBlob(seed, SIZE_BYTES));
        await writeBlob(mount.path, blobs[0] ?? assert.fail());
        const client = await all.swift.client();
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
        await assertStored(all, mount, 'cache', [...blobs, first, second]);
        await runOk('mount', ['-o', 'remount,rw', cache]);
      }),
    ));

  it('A cache on the disk of `spool_dir` leaves it inodes, however many small files are read and written.', () =>
    withDisk(64 * MIB, async (disk) => {
      // The 256 directories of the cache and the spool's own, and what is left for a third of the files.
      await runOk('mount', ['-o', 'remount,nr_inodes=420', disk]);
      const dirs = { cache: path.join(disk, 'cache'), spool: path.join(disk, 'spool') };
      await withMountOn(all, { database: 'names', ...dirs, args: ['--spool-floor', '0'] }, async (mount) => {
        mount.log.expect(/^WARN cache\.unwritable .*no inode above those that are left/);
        const blobs = makeBlobs(360, 3000, 1000);
        await forEachAtOnce(blobs, 8, (blob) => writeBlob(mount.path, blob));
        const large = makeBlob(700, MIB);
        await writeBlob(mount.path, large);
        await assertStored(all, mount, 'names', [...blobs, large]);
        assert.equal((await mount.status()).state, 'serving');
      });
    }));

  const UNUSABLE: readonly (readonly [string, (cache: string) => Promise<unknown>, string])[] = [
    ['is read-only', makeReadOnly, 'remount,rw'],
    ['has no inode left', (cache) => runOk('mount', ['-o', `remount,nr_inodes=${usedInodes(cache)}`, cache]), 'remount,nr_inodes=1000'],
  ];
  for (const [what, spoil, mended] of UNUSABLE) {
    it(`A cache that cannot be written at the start costs speed, not documents: the mount comes up, and status says so. (Its disk ${what}.)`, () =>
      withDisk(64 * MIB, (cache) =>
        withMountOn(all, { database: 'unusable', cache }, async (mount) => {
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
          for (const { name, content } of [first, next]) await (await all.swift.client()).put('odoo-unusable', name, content);
          await assertRead([first, next]);
          const copy = path.join(cache, 'v1', next.sha1.slice(0, 2), `sha1-${next.sha1}`);
          await eventually('a copy is kept', () => nodeFs.existsSync(copy), 5000);
          await assertStored(all, mount, 'unusable', [small, large, late, first, next]);
        }),
      ));
  }

  it('A cache folder that is removed, and a cached file that is cut short, are filled again.', () =>
    withMountOn(all, { database: 'gone' }, async (mount) => {
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
      await assertStored(all, mount, 'gone', [...blobs, another]);
    }));
});
