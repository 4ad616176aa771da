import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { databaseFolder } from '../../../src/spool/spool-layout.js';
import type { Spool } from '../../../src/spool/spool.js';
import { makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { MTIME_MS, open, rootOf, sealBlob, stateOf } from './spools.js';

test('What was sealed is pending after a restart, byte for byte.', async () => {
  const directory = tempDir('spool');
  const blob = makeBlob(1);
  const spool = await open(directory);
  const pending = await sealBlob(spool, blob);
  assert.equal(spool.pendingBytes, blob.content.length);
  await spool.close();
  const again = await open(directory);
  assert.deepEqual(again.pending.get(blob.name), pending);
  assert.equal(again.pendingBytes, blob.content.length);
  assert.deepEqual([pending.sha1, pending.md5, pending.mtimeMs], [blob.sha1, blob.md5, MTIME_MS]);
  assert.deepEqual(readFileSync(pending.file), blob.content);
  await again.close();
});

test('A second seal of a path supersedes the first, whose publish then changes nothing and whose file goes.', async () => {
  const spool = await open(tempDir('spool'));
  const first = await sealBlob(spool, makeBlob(1), 'web/logo');
  const second = await sealBlob(spool, makeBlob(2), 'web/logo');
  assert.ok(second.sequence > first.sequence);
  assert.equal(await spool.markPublished(first, { keepFile: false }), false);
  assert.equal(spool.pending.get('web/logo'), second);
  // On the disk, should the write-ahead log have been ready for it: what is in memory has no file to keep.
  assert.equal(spool.sealedFile(second), second.file);
  assert.equal(await spool.markPublished(second, { keepFile: true }), true);
  assert.equal(spool.pending.size, 0);
  assert.equal(spool.pendingBytes, 0);
  await spool.close();
  assert.ok(existsSync(second.file), 'kept for the cache');
});

test('A published file is removed only after the record of it is synced.', async () => {
  const spool = await open(tempDir('spool'));
  const pending = await sealBlob(spool, makeBlob(1));
  assert.ok(existsSync(spool.sealedFile(pending)));
  assert.equal(await spool.markPublished(pending, { keepFile: false }), true);
  assert.ok(existsSync(pending.file));
  await spool.sync();
  while (existsSync(pending.file)) await new Promise((resolve) => setImmediate(resolve));
  await spool.close();
});

test('A delete ends what was pending, and a new seal ends the delete.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const blob = makeBlob(1);
  await sealBlob(spool, blob);
  const tombstone = spool.bury(blob.name, { owedToSwift: true });
  assert.equal(spool.pending.size, 0);
  assert.equal(spool.tombstones.get(blob.name), tombstone);
  const pending = await sealBlob(spool, blob);
  assert.equal(spool.tombstones.size, 0);
  assert.equal(spool.markDeleted(tombstone, { keep: false }), false, 'a late delete does not touch the new one');
  await spool.close();
  const again = await open(directory);
  assert.deepEqual([...again.pending.values()], [pending]);
  assert.equal(again.tombstones.size, 0);
  await again.close();
});

test('A tombstone that Swift was told of stays for an origin, and ends where none has the name.', async () => {
  const spool = await open(tempDir('spool'));
  const kept = spool.bury('kept', { owedToSwift: true });
  const gone = spool.bury('gone', { owedToSwift: true });
  assert.equal(spool.markDeleted(kept, { keep: true }), true);
  assert.equal(spool.markDeleted(gone, { keep: false }), true);
  assert.deepEqual([...spool.tombstones.values()], [{ ...kept, owedToSwift: false }]);
  spool.exhume('kept');
  assert.equal(spool.tombstones.size, 0);
  await spool.close();
});

test('A pending object moves to another name without its bytes, and ends a tombstone there.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const pending = await sealBlob(spool, makeBlob(1), 'a.__new');
  spool.bury('a', { owedToSwift: true });
  await spool.renamePending('a.__new', 'a', { bury: false });
  await assert.rejects(spool.renamePending('nothing', 'b', { bury: false }), { kind: 'not-found' });
  await spool.close();
  const again = await open(directory);
  assert.deepEqual([...again.pending.keys()], ['a']);
  assert.equal(again.pending.get('a')?.file, pending.file);
  assert.equal(again.tombstones.size, 0);
  await again.close();
});

test('A pending object that is renamed leaves a tombstone under its old name, in the same record.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  await sealBlob(spool, makeBlob(1), 'a');
  await spool.renamePending('a', 'b', { bury: true });
  const { sequence, path, owedToSwift } = spool.tombstones.get('a') ?? assert.fail();
  assert.deepEqual([path, owedToSwift], ['a', true]);
  assert.equal(spool.pending.get('b')?.sequence, sequence, 'one record says both');
  await spool.renamePending('b', 'a', { bury: false });
  assert.equal(spool.tombstones.size, 0);
  await spool.close();
});

test('What a record has ended may rise in a power cut until the next sync.', async () => {
  const spool = await open(tempDir('spool'));
  const told = spool.bury('told', { owedToSwift: true });
  spool.bury('exhumed', { owedToSwift: true });
  const pending = await sealBlob(spool, makeBlob(1), 'published');
  spool.addAlias('blob.__gc', 'blob');
  await spool.sync();
  spool.markDeleted(told, { keep: false });
  spool.exhume('exhumed');
  await spool.markPublished(pending, { keepFile: true });
  spool.addAlias('blob.__gc', '');
  const names = ['told', 'exhumed', 'published', 'blob', 'never'];
  assert.deepEqual(
    names.filter((name) => spool.mayRise(name)),
    names.slice(0, 4),
  );
  const syncing = spool.sync();
  assert.equal(spool.mayRise('told'), true, 'a sync that has not ended is none');
  await syncing;
  assert.deepEqual(
    names.filter((name) => spool.mayRise(name)),
    [],
  );
  await spool.close();
});

test('Directories and aliases survive a restart; a renamed directory takes those below it along.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  for (const path of ['db', 'db/ab', 'db/ab/c', 'dbx']) spool.addDirectory(path, 5);
  spool.renameDirectory('db', 'new');
  spool.removeDirectory('new/ab/c');
  spool.addAlias('ab/x.__gc', 'ab/x');
  spool.addAlias('ab/y.__gc', 'ab/y');
  spool.removeAlias('ab/y.__gc');
  await spool.close();
  const again = await open(directory);
  assert.deepEqual(Object.fromEntries(again.directories), { new: 5, 'new/ab': 5, dbx: 5 });
  assert.deepEqual([...again.aliases], [['ab/x.__gc', 'ab/x']]);
  await again.close();
});

test('Names of any bytes come back as they were.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const path = `\xff\x80"\\\n\u0000\x7f\xe9`;
  spool.bury(path, { owedToSwift: false });
  await spool.close();
  const again = await open(directory);
  assert.deepEqual([...again.tombstones.keys()], [path]);
  await again.close();
});

test('Staging files of an earlier life are removed, and so is a sealed file that no record names.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const blob = makeBlob(1);
  const pending = await sealBlob(spool, blob);
  spool.createStaging().write(0, Buffer.from('half'));
  const stray = join(rootOf(directory), 'sealed', '000000000099-stray');
  writeFileSync(stray, 'x');
  await spool.close();
  const again = await open(directory);
  assert.deepEqual(readdirSync(join(rootOf(directory), 'staging')), []);
  assert.ok(!existsSync(stray));
  assert.ok(existsSync(pending.file));
  const next = await sealBlob(again, blob);
  assert.notEqual(next.file, pending.file);
  await again.close();
});

test('A damaged journal is kept aside; every whole record counts, and no sealed file is removed on its word.', async () => {
  const directory = tempDir('spool');
  const log = new LogGuard();
  const spool = await open(directory);
  const [one, two] = [await sealBlob(spool, makeBlob(1)), await sealBlob(spool, makeBlob(2))];
  await spool.close();
  const journal = join(rootOf(directory), 'journal');
  const lines = readFileSync(journal, 'utf8').split('\n');
  const damaged = [lines[0], 'rubbish', lines[2], ''].join('\n');
  writeFileSync(journal, damaged);
  log.expect(/spool\.journal-damaged/, /spool\.sealed-unnamed/);
  const again = await open(directory, log.log());
  assert.deepEqual([...again.pending.keys()], [two.path]);
  assert.deepEqual(again.torn, { count: 1, bytes: one.sizeBytes, unnamed: 1 });
  assert.ok(log.has(/spool\.journal-damaged/));
  log.assertQuiet();
  await again.close();
  const healed = await open(directory, log.log());
  assert.deepEqual([...healed.pending.keys()], [two.path]);
  await healed.close();
  // As an opening that got no further than this leaves it.
  writeFileSync(journal, damaged);
  await (await open(directory, log.log())).close();
  assert.equal(readdirSync(rootOf(directory)).filter((name) => name.startsWith('journal.damaged-')).length, 1);
  assert.equal(log.lines.filter((line) => line.includes('spool.journal-damaged')).length, 1);
});

test('A torn tail is cut off, and what is appended next is whole.', async () => {
  const directory = tempDir('spool');
  const log = new LogGuard();
  const spool = await open(directory);
  spool.bury('a', { owedToSwift: true });
  await spool.close();
  appendFileSync(join(rootOf(directory), 'journal'), '0badc0de {"type":"bu');
  const again = await open(directory, log.log());
  assert.ok(log.has(/^INFO spool\.journal-tail-cut .*bytes=20/));
  again.bury('b', { owedToSwift: true });
  await again.close();
  const last = await open(directory, log.log());
  assert.deepEqual([...last.tombstones.keys()], ['a', 'b']);
  await last.close();
  log.assertQuiet();
});

test('A pending object whose file is gone is said and not owed any more.', async () => {
  const directory = tempDir('spool');
  const log = new LogGuard();
  log.expect(/spool\.sealed-missing/);
  const spool = await open(directory);
  const pending = await sealBlob(spool, makeBlob(1));
  await spool.close();
  unlinkSync(pending.file);
  const again = await open(directory, log.log());
  assert.equal(again.pending.size, 0);
  assert.ok(log.has(/spool\.sealed-missing/));
  await again.close();
  const last = await open(directory, log.log());
  assert.equal(log.lines.filter((line) => line.includes('sealed-missing')).length, 1);
  await last.close();
});

test('Bytes that are not what their name says are kept under torn/ and counted.', async () => {
  const spool = await open(tempDir('spool'));
  const staging = spool.createStaging();
  staging.write(0, Buffer.from('torn'));
  const file = await spool.setAside(staging, 'ab/name', await staging.digest());
  await staging.discard();
  assert.equal(readFileSync(file, 'utf8'), 'torn');
  assert.deepEqual(spool.torn, { count: 1, bytes: 4, unnamed: 0 });
  await spool.close();
});

test('What was set aside makes room, the oldest first; a sealed file that lost its record does not.', async () => {
  const directory = tempDir('spool');
  const log = new LogGuard();
  log.expect(/spool\.torn-dropped/);
  const torn = join(rootOf(directory), 'torn');
  const first = await open(directory, log.log());
  writeFileSync(join(torn, `000000000000-${makeBlob(1).sha1}`), 'unnamed');
  const setAside = async (spool: Spool, content: string): Promise<string> => {
    const staging = spool.createStaging();
    staging.write(0, Buffer.from(content));
    const file = await spool.setAside(staging, 'ab/name', await staging.digest());
    await staging.discard();
    return basename(file);
  };
  const oldest = await setAside(first, 'one');
  await first.close();
  const spool = await open(directory, log.log());
  const newer = await setAside(spool, 'two');
  assert.equal(
    spool.makeRoom(() => !existsSync(join(torn, oldest))),
    true,
  );
  assert.ok(existsSync(join(torn, newer)));
  assert.deepEqual(spool.torn, { count: 2, bytes: 10, unnamed: 1 });
  assert.equal(
    spool.makeRoom(() => false),
    false,
  );
  assert.deepEqual(readdirSync(torn), [`000000000000-${makeBlob(1).sha1}`]);
  await spool.close();
  log.assertQuiet();
});

test('Nobody else may read the spool.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const { file } = await sealBlob(spool, makeBlob(1));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  for (const name of ['', 'staging', 'sealed', 'torn', 'local']) assert.equal(statSync(join(rootOf(directory), name)).mode & 0o777, 0o700);
  assert.equal(statSync(join(rootOf(directory), 'journal')).mode & 0o777, 0o600);
  await spool.close();
});

test('Seals side by side are all durable, each with a file of its own.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const blobs = Array.from({ length: 20 }, (_, index) => makeBlob(index, 1000));
  await Promise.all(blobs.map((blob) => sealBlob(spool, blob)));
  const before = stateOf(spool);
  await spool.close();
  const again = await open(directory);
  assert.deepEqual(stateOf(again), before);
  assert.equal(new Set([...again.pending.values()].map(({ file }) => file)).size, 20);
  await again.close();
});

test('After many records of the dead the journal is written anew and says the same.', async () => {
  const directory = tempDir('spool');
  const spool = await open(directory);
  const journal = join(rootOf(directory), 'journal');
  for (let round = 0; round < 2500; round++) {
    spool.bury(`name-${round % 50}`, { owedToSwift: true });
    spool.exhume(`name-${round % 50}`);
  }
  spool.bury('last', { owedToSwift: true });
  await sealBlob(spool, makeBlob(1));
  while (statSync(journal).size > 100_000) {
    await spool.sync();
    await new Promise((resolve) => setImmediate(resolve));
  }
  spool.bury('after', { owedToSwift: true });
  const before = stateOf(spool);
  await spool.close();
  const again = await open(directory);
  assert.deepEqual(stateOf(again), before);
  await again.close();
});

test('Each database has a folder of its own, whatever its name.', () => {
  const names = ['prod', 'Prod-1.x_y', 'a b', 'a%20b', '.hidden', '%2Ehidden', '..', 'ü/%', '\xff'];
  const folders = names.map(databaseFolder);
  for (const folder of folders) assert.match(folder, /^[^./][^/]*$/);
  assert.equal(new Set(folders).size, names.length);
  const [long, other] = [databaseFolder('\xff'.repeat(255)), databaseFolder(`${'\xff'.repeat(254)}\xfe`)];
  assert.ok(long.length <= 255);
  assert.notEqual(long, other);
});

test('A spool whose directory cannot be made says which and what helps.', async () => {
  const directory = tempDir('spool');
  writeFileSync(join(directory, 'v1'), 'a file');
  await assert.rejects(open(directory), { kind: 'unavailable', message: /v1\/prod.*spool_dir/ });
  unlinkSync(join(directory, 'v1'));
});

test('A closed spool refuses further records.', async () => {
  const spool = await open(tempDir('spool'));
  await spool.close();
  assert.throws(() => spool.bury('a', { owedToSwift: true }), { kind: 'unavailable' });
});
