import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SILENT_LOG } from '../../../src/base/log.js';
import type { FoundEntry } from '../../../src/spool/ahead-entry.js';
import { decodeEntries } from '../../../src/spool/ahead-entry.js';
import { openSpool } from '../../../src/spool/open-spool.js';
import { encodeRecord } from '../../../src/spool/records.js';
import type { Spool } from '../../../src/spool/spool.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { eventually } from '../../helpers/processes.js';
import { tempDir } from '../../helpers/temp-dir.js';
import { MTIME_MS, rootOf, sealBlob } from './spools.js';

const SEGMENT_BYTES = 64 << 10;
const SMALL_BYTES = 3_000;

function open(directory: string): Promise<Spool> {
  return openSpool({ directory, database: 'prod', log: SILENT_LOG, segmentBytes: SEGMENT_BYTES });
}

/** A spool whose write-ahead log is made: the first file goes without. */
async function openWarm(directory: string): Promise<Spool> {
  const spool = await open(directory);
  for (let seed = 900; entriesIn(directory).length === 0; seed++) {
    await sealBlob(spool, makeBlob(seed, 100));
    await sleep(2);
  }
  return spool;
}

function entriesIn(directory: string): FoundEntry[] {
  return ['ahead.0', 'ahead.1']
    .map((name) => join(rootOf(directory), name))
    .filter((path) => existsSync(path))
    .flatMap((path) => [...decodeEntries(readFileSync(path))]);
}

/** What a power cut leaves at the worst: the journal as it was at `journalBytes`, and of the sealed files those that went without the log. */
function cut(directory: string, journalBytes: number): string {
  const copy = tempDir('ahead-cut');
  cpSync(directory, copy, { recursive: true });
  truncateSync(join(rootOf(copy), 'journal'), journalBytes);
  for (const { seal } of entriesIn(copy)) rmSync(join(rootOf(copy), 'sealed', seal.file), { force: true });
  return copy;
}

function journalBytesOf(directory: string): number {
  return readFileSync(join(rootOf(directory), 'journal')).length;
}

test('What only the write-ahead log has is pending again, byte for byte, with the deletes and names before it.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  await spool.sync();
  const before = journalBytesOf(directory);
  const [first, second] = [makeBlob(1, SMALL_BYTES), makeBlob(2, SMALL_BYTES)];
  await sealBlob(spool, first);
  spool.bury('gone', { owedToSwift: true });
  spool.addAlias('x.__gc', 'x');
  await sealBlob(spool, second, 'web/logo');
  const after = await open(cut(directory, before));
  for (const [path, blob] of [
    [first.name, first],
    ['web/logo', second],
  ] as const) {
    const pending = after.pending.get(path) ?? assert.fail(`${path} is lost`);
    assert.deepEqual([pending.sha1, pending.md5, pending.mtimeMs], [blob.sha1, blob.md5, MTIME_MS]);
    assert.deepEqual(readFileSync(pending.file), blob.content);
  }
  assert.ok(after.tombstones.has('gone'));
  assert.equal(after.aliases.get('x.__gc'), 'x');
  await Promise.all([after.close(), spool.close()]);
});

test('A delete that came after a write is not undone by the write-ahead log.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const blob = makeBlob(1, SMALL_BYTES);
  await sealBlob(spool, blob);
  spool.bury(blob.name, { owedToSwift: true });
  await spool.sync();
  // Behind the sync; it must not go while it is copied.
  const sealed = join(rootOf(directory), 'sealed');
  await eventually('its sealed file is removed', () => !readdirSync(sealed).some((name) => name.endsWith(blob.sha1)));
  const after = await open(cut(directory, journalBytesOf(directory)));
  assert.equal(after.pending.get(blob.name), undefined);
  assert.ok(after.tombstones.has(blob.name));
  await Promise.all([after.close(), spool.close()]);
});

test('A seal that came to nothing is not brought back, and what it would have superseded stays.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const old = makeBlob(1, SMALL_BYTES);
  await sealBlob(spool, old, 'web/logo');
  const staging = spool.createStaging();
  staging.write(0, makeBlob(2, SMALL_BYTES).content);
  const digest = await staging.digest();
  let asked = 0;
  await assert.rejects(
    spool.seal(staging, 'web/logo', digest, MTIME_MS, () => asked++ === 0),
    /belongs to another file/,
  );
  assert.equal(asked, 2);
  await staging.discard();
  const after = await open(cut(directory, journalBytesOf(directory)));
  assert.equal(after.pending.get('web/logo')?.sha1, old.sha1);
  await Promise.all([after.close(), spool.close()]);
});

test('What is not wanted any more when its seal begins does not come back by a kill in the midst of it.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const blob = makeBlob(1, SMALL_BYTES);
  const staging = spool.createStaging();
  staging.write(0, blob.content);
  const digest = await staging.digest();
  spool.bury(blob.name, { owedToSwift: true });
  const sealing = spool.seal(staging, blob.name, digest, MTIME_MS, () => false);
  const killed = tempDir('ahead-killed');
  cpSync(directory, killed, { recursive: true });
  await assert.rejects(sealing, /belongs to another file/);
  await staging.discard();
  const after = await open(killed);
  assert.equal(after.pending.get(blob.name), undefined);
  assert.ok(after.tombstones.has(blob.name));
  await Promise.all([after.close(), spool.close()]);
});

test('A rename that is recorded while its old name is being sealed is not undone by a kill in the midst of that seal.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const [old, newer] = [makeBlob(1, SMALL_BYTES), makeBlob(2, SMALL_BYTES)];
  await sealBlob(spool, old, 'from');
  const staging = spool.createStaging();
  staging.write(0, newer.content);
  const sealing = spool.seal(staging, 'from', await staging.digest(), MTIME_MS);
  const renaming = spool.renamePending('from', 'to', { bury: true });
  const killed = tempDir('ahead-killed');
  cpSync(directory, killed, { recursive: true });
  await Promise.all([sealing, renaming]);
  await staging.discard();
  const after = await open(killed);
  assert.equal(after.pending.get('to')?.sha1, old.sha1);
  await Promise.all([after.close(), spool.close()]);
});

test('What is stored in Swift while an older seal of its name is under way is not overtaken by that seal after a kill.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const older = makeBlob(1, SMALL_BYTES);
  const staging = spool.createStaging();
  staging.write(0, older.content);
  let isWanted = true;
  const sealing = spool.seal(staging, 'web/logo', await staging.digest(), MTIME_MS, () => isWanted);
  isWanted = false;
  spool.exhume('web/logo');
  assert.ok(spool.mayRise('web/logo'), 'who stored it waits for the record');
  const killed = tempDir('ahead-killed');
  cpSync(directory, killed, { recursive: true });
  await assert.rejects(sealing, /belongs to another file/);
  await staging.discard();
  const after = await open(killed);
  assert.equal(after.pending.get('web/logo'), undefined);
  await Promise.all([after.close(), spool.close()]);
});

test('A write of an earlier life under the same file name does not hide one that only the write-ahead log has.', async () => {
  const directory = tempDir('ahead');
  const blob = makeBlob(1, SMALL_BYTES);
  const earlier = await open(directory);
  const names = new Set<string>();
  for (let time = 0; time < 50; time++) {
    const pending = await sealBlob(earlier, blob);
    names.add(pending.file);
    await earlier.markPublished(pending, { keepFile: false });
  }
  await earlier.close();
  const spool = await openWarm(directory);
  await spool.sync();
  const before = journalBytesOf(directory);
  assert.ok(names.has((await sealBlob(spool, blob)).file), 'the numbers begin anew');
  const after = await open(cut(directory, before));
  assert.equal(after.pending.get(blob.name)?.sha1, blob.sha1);
  await Promise.all([after.close(), spool.close()]);
});

test('A full segment is settled behind the writes and used again; what a rewritten journal left out does not come back.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const blobs = Array.from({ length: 60 }, (_, seed) => makeBlob(seed, SMALL_BYTES));
  for (const blob of blobs) await sealBlob(spool, blob);
  const stillThere = entriesIn(directory).length;
  assert.ok(stillThere > 0 && stillThere < 2 * (SEGMENT_BYTES / 4096), `${stillThere} entries in the log`);
  for (const pending of [...spool.pending.values()].slice(0, 30)) await spool.markPublished(pending, { keepFile: false });
  const left = [...spool.pending.keys()].sort();
  await spool.close();
  assert.ok(!existsSync(join(rootOf(directory), 'ahead.0')), 'an orderly end leaves no log');
  const after = await open(directory);
  assert.deepEqual([...after.pending.keys()].sort(), left);
  for (const { file, sha1 } of after.pending.values()) assert.equal(blobOf(readFileSync(file)).sha1, sha1);
  await after.close();
});

test('Bytes that did not reach the write-ahead log are not taken from it; the entries behind them are.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  await spool.sync();
  const before = journalBytesOf(directory);
  const [torn, whole] = [makeBlob(1, SMALL_BYTES), makeBlob(2, SMALL_BYTES)];
  await sealBlob(spool, torn);
  await sealBlob(spool, whole);
  const copy = cut(directory, before);
  for (const name of ['ahead.0', 'ahead.1']) {
    const path = join(rootOf(copy), name);
    const content = readFileSync(path);
    const at = content.indexOf(torn.content);
    if (at >= 0) writeFileSync(path, content.fill(0, at, at + 100));
  }
  const after = await open(copy);
  assert.equal(after.pending.get(whole.name)?.sha1, whole.sha1);
  // Its record came with the entry behind it, but nobody has its bytes.
  assert.equal(after.pending.get(torn.name), undefined);
  await Promise.all([after.close(), spool.close()]);
});

test('After a kill a sealed file that was damaged is healed from the write-ahead log.', async () => {
  const directory = tempDir('ahead');
  const spool = await openWarm(directory);
  const blob = makeBlob(1, SMALL_BYTES);
  const { file } = await sealBlob(spool, blob);
  const copy = tempDir('ahead-kill');
  cpSync(directory, copy, { recursive: true });
  writeFileSync(join(rootOf(copy), 'sealed', basename(file)), 'rotten');
  const after = await open(copy);
  assert.deepEqual(readFileSync(after.pending.get(blob.name)?.file ?? ''), blob.content);
  await Promise.all([after.close(), spool.close()]);
});

const LOSSES: readonly (readonly [string, (journal: string) => void])[] = [
  ['is gone', (journal) => rmSync(journal)],
  ['is empty', (journal) => truncateSync(journal, 0)],
  ['is rotten', (journal) => writeFileSync(journal, readFileSync(journal, 'latin1').replace(/[{}]/g, '?'))],
];
for (const [what, lose] of LOSSES) {
  test(`Nothing that was acknowledged is destroyed by a start whose journal ${what}: blobs are pending again, what else there is is kept and told.`, async () => {
    const directory = tempDir('ahead');
    const spool = await openWarm(directory);
    const [small, named, deleted, large] = [
      makeBlob(1, SMALL_BYTES),
      makeBlob(2, SMALL_BYTES),
      makeBlob(3, SMALL_BYTES),
      makeBlob(4, 50_000),
    ];
    await sealBlob(spool, small);
    await sealBlob(spool, named, 'web/logo');
    await sealBlob(spool, large);
    spool.bury(deleted.name, { owedToSwift: true });
    await sealBlob(spool, makeBlob(5, SMALL_BYTES), 'upload/1');
    await spool.renamePending('upload/1', makeBlob(5, SMALL_BYTES).name, { bury: false });
    await sealBlob(spool, makeBlob(6, SMALL_BYTES));
    // As a kill leaves it, and as a power cut does, which takes the files of small ones.
    for (const isCut of [false, true]) {
      const copy = isCut ? cut(directory, journalBytesOf(directory)) : tempDir('ahead-lost');
      if (!isCut) cpSync(directory, copy, { recursive: true });
      lose(join(rootOf(copy), 'journal'));
      const log = new LogGuard();
      log.expect(/spool\.journal-lost/, /spool\.journal-damaged/, /spool\.sealed-(unnamed|taken)/);
      for (let start = 0; start < 2; start++) {
        const after = await openSpool({ directory: copy, database: 'prod', log: log.log(), segmentBytes: SEGMENT_BYTES });
        // Of a rename only the journal had the record.
        for (const blob of [small, named, large, makeBlob(5, SMALL_BYTES), makeBlob(6, SMALL_BYTES)]) {
          const pending = after.pending.get(blob.name) ?? assert.fail(`${blob.name} is lost`);
          assert.deepEqual(readFileSync(pending.file), blob.content);
          assert.equal(pending.md5, blob.md5);
        }
        assert.equal(after.pending.get('web/logo'), undefined, 'something newer may be stored under that name');
        assert.equal(after.tombstones.size, 0, 'it may have been written anew');
        const kept = readdirSync(join(rootOf(copy), 'torn'));
        for (const { sha1, content } of [named, makeBlob(5, SMALL_BYTES)])
          assert.deepEqual(readFileSync(join(rootOf(copy), 'torn', kept.find((name) => name.endsWith(sha1)) ?? '')), content);
        assert.equal(after.torn.unnamed, kept.length);
        const next = await sealBlob(after, makeBlob(7 + start, SMALL_BYTES));
        assert.ok(
          parseInt(basename(next.file), 10) >
            Math.max(...[...after.pending.values()].filter((p) => p !== next).map((p) => parseInt(basename(p.file), 10))),
        );
        await after.close();
      }
      assert.equal(log.lines.filter((line) => line.startsWith('WARN spool.journal-lost')).length, 1);
      log.assertQuiet();
    }
    await spool.close();
  });
}

for (const place of ['sealed', 'torn'] as const) {
  test(`Where the journal is gone, what a power cut left of a file under ${place}/ is not kept in the place of what the write-ahead log has.`, async () => {
    const directory = tempDir('ahead');
    const spool = await openWarm(directory);
    const named = makeBlob(1, SMALL_BYTES);
    const { file } = await sealBlob(spool, named, 'web/logo');
    const copy = cut(directory, journalBytesOf(directory));
    await spool.close();
    rmSync(join(rootOf(copy), 'journal'));
    // Of the file that is made behind the answer nothing is synced, nor of one that a start began to set aside.
    writeFileSync(join(rootOf(copy), place, basename(file)), named.content.subarray(0, 100));
    const log = new LogGuard();
    log.expect(/spool\.journal-lost/, /spool\.sealed-(unnamed|taken)/);
    const after = await openSpool({ directory: copy, database: 'prod', log: log.log(), segmentBytes: SEGMENT_BYTES });
    assert.deepEqual(readFileSync(join(rootOf(copy), 'torn', basename(file))), named.content);
    assert.deepEqual(readFileSync(after.pending.get(named.name)?.file ?? ''), named.content);
    await after.close();
    log.assertQuiet();
  });
}

test('A sealed file whose journal has lost its beginning is pending as the blob that its bytes are, and kept where they are none.', async () => {
  const directory = tempDir('ahead');
  const spool = await open(directory);
  const [blob, spoilt] = [makeBlob(1, 50_000), makeBlob(2, 50_000)];
  await sealBlob(spool, blob);
  const { file } = await sealBlob(spool, spoilt);
  await spool.close();
  truncateSync(join(rootOf(directory), 'journal'), 0);
  truncateSync(file, 49_999);
  const after = await open(directory);
  assert.deepEqual([...after.pending.keys()], [blob.name]);
  assert.deepEqual(readFileSync(after.pending.get(blob.name)?.file ?? ''), blob.content);
  assert.ok(existsSync(join(rootOf(directory), 'torn', basename(file))));
  await after.close();
});

test('A long journal that has lost its beginning is opened.', async () => {
  const directory = tempDir('ahead');
  await (await open(directory)).close();
  const lines = Array.from({ length: 150_000 }, (_, at) => encodeRecord({ type: 'exhume', sequence: at + 2, path: 'x' }));
  lines.push(encodeRecord({ type: 'bury', sequence: lines.length + 2, path: 'gone', deletedAtMs: MTIME_MS, owedToSwift: true }));
  writeFileSync(join(rootOf(directory), 'journal'), `rotten\n${lines.join('')}`);
  const after = await open(directory);
  assert.ok(after.tombstones.has('gone'));
  await after.close();
});
