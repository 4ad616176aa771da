import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs, { existsSync, fstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SILENT_LOG } from '../../../src/base/log.js';
import { Catalog, shardOfBlobPath } from '../../../src/filestore/catalog.js';
import { NamesFile } from '../../../src/filestore/names-file.js';
import { blobAdded } from '../../../src/filestore/names-records.js';
import { ShardTable } from '../../../src/filestore/shard-table.js';

const sha1 = (n: number): string => createHash('sha1').update(String(n)).digest('hex');
const blobPath = (n: number): string => `${sha1(n).slice(0, 2)}/${sha1(n)}`;

describe('the table of a shard', () => {
  it('does what a map does, whatever is added, removed and swept', () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('set' as const), n: fc.nat(60), size: fc.nat(), at: fc.integer({ min: 2, max: 100 }) }),
      fc.record({ do: fc.constant('delete' as const), n: fc.nat(60) }),
      fc.record({ do: fc.constant('sweep' as const), before: fc.nat(100) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
        const table = new ShardTable();
        const model = new Map<string, { sizeBytes: number; checkedAtS: number }>();
        for (const c of commands) {
          if (c.do === 'set') {
            table.set(sha1(c.n), c.size, c.at);
            model.set(sha1(c.n), { sizeBytes: c.size, checkedAtS: c.at });
          } else if (c.do === 'delete') assert.equal(table.delete(sha1(c.n)), model.delete(sha1(c.n)));
          else {
            table.sweep(c.before);
            for (const [name, entry] of [...model]) if (entry.checkedAtS < c.before) model.delete(name);
          }
          assert.equal(table.count, model.size);
        }
        for (let n = 0; n <= 60; n++) assert.deepEqual(table.get(sha1(n)), model.get(sha1(n)));
        assert.deepEqual([...table.entries()].map((e) => e.sha1).sort(), [...model.keys()].sort());
      }),
    );
  });

  it('holds a hundred thousand names in less than eight megabytes', () => {
    const table = new ShardTable();
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 100_000; n++) table.set(sha1(n), n, 2);
    assert.equal(table.count, 100_000);
    assert.equal(table.get(sha1(77_777))?.sizeBytes, 77_777);
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 2 ** 20);
  });
});

describe('the catalog', () => {
  it('knows a canonical blob name from any other', () => {
    assert.equal(shardOfBlobPath(blobPath(1)), sha1(1).slice(0, 2));
    assert.equal(shardOfBlobPath(sha1(1)), undefined);
    assert.equal(shardOfBlobPath(`zz/${sha1(1)}`), undefined);
    assert.equal(shardOfBlobPath(`${sha1(1).slice(0, 2)}/${sha1(1).toUpperCase()}`), undefined);
    const elsewhere = sha1(1).startsWith('00') ? '11' : '00';
    assert.equal(shardOfBlobPath(`${elsewhere}/${sha1(1)}`), undefined);
  });

  it('believes a size only as long as asked', () => {
    const catalog = new Catalog();
    catalog.setBlob(sha1(1).slice(0, 2), blobPath(1), 5, 100_000);
    assert.equal(catalog.blobSize(sha1(1).slice(0, 2), blobPath(1), 100_000), 5);
    assert.equal(catalog.blobSize(sha1(1).slice(0, 2), blobPath(1), 101_000), -1);
    assert.equal(catalog.sizeOf(blobPath(1)), 5);
  });

  it('lists a directory with the directories that only deeper files imply, until the last of them goes', () => {
    const catalog = new Catalog();
    const names = (directory: string): string[] => {
      const found: string[] = [];
      catalog.forEachIn(directory, (name, kind) => found.push(`${kind} ${name}`));
      return found.sort();
    };
    const known = { sizeBytes: 1, mtimeMs: 2, md5: undefined, checkedAtMs: 3 };
    catalog.setOther('a/b/c.txt', known);
    catalog.setOther('d.txt', known);
    catalog.setBlob(sha1(1).slice(0, 2), blobPath(1), 5, 1000);
    assert.deepEqual(names(''), [`directory ${sha1(1).slice(0, 2)}`, 'directory a', 'file d.txt'].sort());
    assert.deepEqual(names('a'), ['directory b']);
    assert.equal(catalog.hasBelow('a'), true);
    catalog.delete('a/b/c.txt');
    assert.equal(catalog.hasBelow('a'), false);
    catalog.delete(blobPath(1));
    assert.deepEqual(names(''), ['file d.txt']);
    assert.equal(catalog.count, 1);
  });
});

describe('a sweep', () => {
  it('leaves what an earlier life left shortly before: a listing lags behind what was put then', () => {
    const catalog = new Catalog();
    catalog.loadBlob(Buffer.from(sha1(1), 'hex'), 0, 5);
    catalog.setOther('web/logo', { sizeBytes: 1, mtimeMs: 2, md5: undefined, checkedAtMs: 0 });
    catalog.setBlob(sha1(2).slice(0, 2), blobPath(2), 5, 50_000);
    catalog.loadedAtMs = 100_000;
    assert.deepEqual([...catalog.unchecked()], [blobPath(1)]);
    catalog.sweepShard(sha1(1).slice(0, 2), 99_000);
    catalog.sweep(99_000);
    assert.deepEqual([catalog.sizeOf(blobPath(1)), catalog.sizeOf('web/logo'), catalog.sizeOf(blobPath(2))], [5, 1, undefined]);
    catalog.sweep(101_000);
    assert.equal(catalog.count, 0);
  });
});

describe('the durable list of names', () => {
  const inTemp = async (work: (directory: string) => Promise<void>): Promise<void> => {
    const directory = mkdtempSync(join(tmpdir(), 'odoo-swiftfs-names-'));
    try {
      await work(directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
  const load = async (directory: string, sync?: (fd: number) => Promise<void>): Promise<{ file: NamesFile; catalog: Catalog }> => {
    const [file, catalog] = [new NamesFile(directory, SILENT_LOG, sync), new Catalog()];
    await file.load(catalog);
    return { file, catalog };
  };

  it('A list of known names that its disk does not give refuses its database, rather than call the files absent.', async () => {
    await inTemp(async (directory) => {
      mkdirSync(join(directory, 'names-1'));
      await assert.rejects(load(directory), { kind: 'unavailable', message: /names-1 cannot be read: EISDIR.*move it away/ });
      assert.deepEqual(readdirSync(directory), ['names-1']);
    });
  });

  it('gives back what was added and not removed', async () => {
    await inTemp(async (directory) => {
      const first = await load(directory);
      for (let n = 0; n < 100; n++) first.file.added(blobPath(n), n);
      for (let n = 0; n < 50; n++) first.file.removed(blobPath(n));
      first.file.addedOther('ü.txt', { sizeBytes: 7, mtimeMs: 8, md5: 'abc', checkedAtMs: 9 });
      first.file.addedOther('gone.txt', { sizeBytes: 7, mtimeMs: 8, md5: undefined, checkedAtMs: 9 });
      first.file.removed('gone.txt');
      await first.file.close();
      const { catalog, file } = await load(directory);
      await file.close();
      assert.equal(catalog.count, 51);
      assert.equal(catalog.sizeOf(blobPath(99)), 99);
      assert.equal(catalog.sizeOf(blobPath(1)), undefined);
      assert.deepEqual(catalog.other('ü.txt'), { sizeBytes: 7, mtimeMs: 8, md5: 'abc', checkedAtMs: 0 });
    });
  });

  it('is read in pieces, so that other databases are served while one with many names is opened', async () => {
    await inTemp(async (directory) => {
      writeFileSync(join(directory, 'names-1'), Buffer.concat(Array.from({ length: 100_000 }, (_, n) => blobAdded(blobPath(n), n))));
      let turns = 0;
      let isLoading = true;
      const count = (): void => {
        turns++;
        if (isLoading) setImmediate(count);
      };
      setImmediate(count);
      const { file, catalog } = await load(directory);
      isLoading = false;
      await file.close();
      assert.equal(catalog.count, 100_000);
      assert.ok(turns >= 4, `${turns} turns of the loop`);
    });
  });

  it('cut at any byte, it gives back the whole records before the cut and goes on from there', async () => {
    await inTemp(async (directory) => {
      const { file } = await load(directory);
      file.added(blobPath(1), 1);
      file.addedOther('o', { sizeBytes: 1, mtimeMs: 1, md5: undefined, checkedAtMs: 1 });
      file.added(blobPath(2), 2);
      await file.close();
      const whole = readFileSync(join(directory, 'names-1'));
      for (let cut = 0; cut <= whole.length; cut++) {
        writeFileSync(join(directory, 'names-1'), whole.subarray(0, cut));
        const again = await load(directory);
        assert.equal(again.catalog.sizeOf(blobPath(2)), cut === whole.length ? 2 : undefined);
        again.file.added(blobPath(3), 3);
        await again.file.close();
        const last = await load(directory);
        await last.file.close();
        assert.equal(last.catalog.sizeOf(blobPath(3)), 3);
        assert.equal(last.catalog.sizeOf(blobPath(1)), cut >= 29 ? 1 : undefined);
      }
    });
  });

  it('is rewritten when it is mostly history', async () => {
    await inTemp(async (directory) => {
      const { file } = await load(directory);
      for (let n = 0; n < 3000; n++) {
        file.added(blobPath(n), n);
        if (n > 10) file.removed(blobPath(n));
      }
      await file.close();
      const { catalog, file: again } = await load(directory);
      await again.close();
      assert.equal(catalog.count, 11);
      assert.equal(readFileSync(join(directory, 'names-1')).length, 11 * 29);
    });
  });

  it('is synced in the background, once for many names, and no name waits for it', async () => {
    await inTemp(async (directory) => {
      const sizesAtSync: number[] = [];
      const sync = (fd: number): Promise<void> => {
        sizesAtSync.push(fstatSync(fd).size);
        return Promise.resolve();
      };
      const { file } = await load(directory, sync);
      for (let n = 0; n < 10_000; n++) file.added(blobPath(n), n);
      assert.deepEqual(sizesAtSync, []);
      // its own timer keeps no process alive
      while (sizesAtSync.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(sizesAtSync, [10_000 * 29]);
      await file.sync();
      await file.close();
      assert.deepEqual(sizesAtSync, [10_000 * 29], 'nothing came since, so nothing is synced');
    });
  });

  it('a file whose sync failed is not trusted again: it is written anew', async () => {
    await inTemp(async (directory) => {
      const outcomes = [Promise.reject(new Error('disk')), Promise.resolve(), Promise.resolve()];
      outcomes[0]?.catch(() => undefined);
      const { file, catalog } = await load(directory, () => outcomes.shift() ?? Promise.resolve());
      const inode = statSync(join(directory, 'names-1')).ino;
      catalog.loadBlob(Buffer.from(blobPath(1).slice(3), 'hex'), 0, 1);
      file.added(blobPath(1), 1);
      await assert.rejects(file.sync(), /disk/);
      await file.sync();
      assert.notEqual(statSync(join(directory, 'names-1')).ino, inode);
      await file.close();
      const again = await load(directory);
      await again.file.close();
      assert.equal(again.catalog.sizeOf(blobPath(1)), 1);
    });
  });

  it('a disk that takes half a record and then nothing more is no error of who adds a name, and hides none that come later', async (t) => {
    await inTemp(async (directory) => {
      const { file, catalog } = await load(directory);
      const { writeSync } = fs;
      let writes = 0;
      const refuse = (): never => {
        throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
      };
      const half = (fd: number, data: Uint8Array, offset: number): number => (++writes === 1 ? writeSync(fd, data, offset, 10) : refuse());
      t.mock.method(fs, 'writeSync', half as typeof writeSync);
      t.mock.method(fs, 'ftruncateSync', refuse);
      syncBuiltinESMExports();
      try {
        catalog.loadBlob(Buffer.from(blobPath(1).slice(3), 'hex'), 0, 1);
        file.added(blobPath(1), 1);
        file.flush();
      } finally {
        t.mock.restoreAll();
        syncBuiltinESMExports();
      }
      catalog.loadBlob(Buffer.from(blobPath(2).slice(3), 'hex'), 0, 2);
      file.added(blobPath(2), 2);
      await file.sync();
      await file.close();
      const again = await load(directory);
      await again.file.close();
      assert.deepEqual([again.catalog.sizeOf(blobPath(1)), again.catalog.sizeOf(blobPath(2))], [1, 2]);
    });
  });

  it('what is added while it is rewritten is in the new file, synced, before it takes the name', async () => {
    await inTemp(async (directory) => {
      const { file, catalog } = await load(directory);
      for (let n = 0; n < 3000; n++) {
        file.added(blobPath(n), n);
        if (n > 10) file.removed(blobPath(n));
        else catalog.loadBlob(Buffer.from(blobPath(n).slice(3), 'hex'), 0, n);
      }
      file.compact(catalog);
      file.added(blobPath(5000), 5000);
      const synced = file.sync();
      file.added(blobPath(5001), 5001);
      await synced;
      await file.sync();
      assert.equal(readFileSync(join(directory, 'names-1')).length, 13 * 29);
      assert.ok(!existsSync(join(directory, 'names-1.new')));
      const again = await load(directory);
      await again.file.close();
      await file.close();
      assert.equal(again.catalog.sizeOf(blobPath(5001)), 5001);
    });
  });
});
