/** A disk that refuses single syncs: node:fs is wrapped before the spool is loaded, as modules take their functions when they are loaded. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Spool } from '../../../src/spool/spool.js';
import type { Blob } from '../../helpers/blobs.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { eventually } from '../../helpers/processes.js';
import { tempDir } from '../../helpers/temp-dir.js';

type Sync = (fd: number, done: (error: Error | null) => void) => void;

/** Which files refuse, by their path; asked at each sync. */
let refuses: (path: string) => boolean = () => false;
/** Paths of the files that were synced. */
const synced: string[] = [];
const table = fs as unknown as Record<string, Sync>;
for (const name of ['fsync', 'fdatasync']) {
  const original = table[name] ?? assert.fail();
  table[name] = (fd, done) => {
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
    if (refuses(path)) setTimeout(done, 1, Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
    else {
      synced.push(path);
      original(fd, done);
    }
  };
}
syncBuiltinESMExports();
const { openSpool } = await import('../../../src/spool/open-spool.js');

const SEGMENT_BYTES = 64 << 10;

function open(directory: string, log: LogGuard): Promise<Spool> {
  return openSpool({ directory, database: 'prod', log: log.log(), segmentBytes: SEGMENT_BYTES });
}

async function seal(spool: Spool, blob: Blob): Promise<string> {
  const staging = spool.createStaging();
  staging.write(0, blob.content);
  const { file } = await spool.seal(staging, blob.name, await staging.digest(), 1);
  await staging.discard();
  return file;
}

/** Until the write-ahead log is made. */
async function warm(spool: Spool, directory: string): Promise<void> {
  for (let seed = 900; !fs.existsSync(join(directory, 'v1/prod/ahead.1')); seed++) {
    await seal(spool, makeBlob(seed, 100));
    await sleep(10);
  }
  await sleep(50);
}

test('When the write-ahead log refuses a sync, writes go on without it, nothing is lost, and it is told.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  log.expect(/^WARN spool\.ahead-failed/);
  const spool = await open(directory, log);
  await warm(spool, directory);
  const blobs = Array.from({ length: 6 }, (_, seed) => makeBlob(seed, 2_000));
  await seal(spool, blobs[0] ?? assert.fail());
  refuses = (path) => basename(path).startsWith('ahead.');
  await Promise.all(blobs.slice(1).map((blob) => seal(spool, blob)));
  refuses = () => false;
  assert.ok(log.has(/^WARN spool\.ahead-failed/));
  const copy = tempDir('ahead-failure-kill');
  fs.cpSync(directory, copy, { recursive: true });
  await spool.close();
  for (const one of [directory, copy]) {
    const again = await open(one, log);
    for (const { name, sha1 } of blobs) {
      assert.equal(blobOf(fs.readFileSync(again.pending.get(name)?.file ?? assert.fail(`${name} is lost`))).sha1, sha1);
    }
    await again.close();
  }
  assert.deepEqual(log.unexpected(), []);
});

test('After one refused sync of the write-ahead log no later one that succeeds is believed.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  log.expect(/^WARN spool\.ahead-failed/);
  const spool = await open(directory, log);
  await warm(spool, directory);
  let refused = 0;
  refuses = (path) => basename(path).startsWith('ahead.') && refused++ === 0;
  const blobs = Array.from({ length: 6 }, (_, seed) => makeBlob(seed, 2_000));
  const files = await Promise.all(blobs.map((blob) => seal(spool, blob)));
  refuses = () => false;
  assert.ok(refused > 0);
  // The pages that the first sync lost are clean for the second.
  for (const file of files) assert.ok(synced.includes(file), `${file} was not synced by itself`);
  await spool.close();
  assert.deepEqual(log.unexpected(), []);
});

test('A sealed file that the disk refuses to sync behind its write is written anew from the write-ahead log.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  const spool = await open(directory, log);
  await warm(spool, directory);
  const blob = makeBlob(1, 2_000);
  const file = await seal(spool, blob);
  spool.sealedFile(spool.pending.get(blob.name) ?? assert.fail());
  const before = fs.statSync(file).ino;
  let refused = 0;
  refuses = (path) => path === file && refused++ === 0;
  await spool.close();
  refuses = () => false;
  assert.equal(refused, 1);
  assert.notEqual(fs.statSync(file).ino, before, 'another file');
  assert.deepEqual(fs.readFileSync(file), blob.content);
  assert.ok(!fs.existsSync(join(directory, 'v1/prod/ahead.0')));
  assert.deepEqual(log.unexpected(), []);
});

test('What cannot be made durable behind its write stays in the write-ahead log, and is told.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  log.expect(/^ERROR spool\.ahead-not-settled/);
  const spool = await open(directory, log);
  await warm(spool, directory);
  const blob = makeBlob(1, 2_000);
  await seal(spool, blob);
  refuses = (path) => basename(path) === 'sealed';
  await spool.close();
  refuses = () => false;
  assert.ok(log.has(/^ERROR spool\.ahead-not-settled/));
  const kept = ['ahead.0', 'ahead.1'].some((name) => fs.existsSync(join(directory, 'v1/prod', name)));
  assert.ok(kept, 'the log is kept');
  const again = await open(directory, log);
  assert.ok(again.pending.has(blob.name));
  await again.close();
  assert.deepEqual(log.unexpected(), []);
});

test('A journal whose sync failed is well again when the disk is, though nobody comes with anything new.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  log.expect(/^ERROR spool\.(journal|sync)-failed/);
  const spool = await open(directory, log);
  refuses = (path) => /^journal(\.new)?$/.test(basename(path));
  spool.bury('deleted', { owedToSwift: true });
  await eventually('the failure is noticed', () => spool.isFailing);
  // The first try of its own meets the same disk.
  await sleep(1_500);
  assert.equal(spool.isFailing, true);
  refuses = () => false;
  await eventually('it is well again', () => !spool.isFailing, 10_000);
  const copy = tempDir('ahead-failure-kill');
  fs.cpSync(directory, copy, { recursive: true });
  await spool.close();
  const again = await open(copy, log);
  assert.ok(again.tombstones.has('deleted'));
  await again.close();
  assert.deepEqual(log.unexpected(), []);
});

test('A start that cannot write its journal anew leaves no file open and the write-ahead log as it was; the next start has all of it.', async () => {
  const directory = tempDir('ahead-failure');
  const log = new LogGuard();
  const spool = await open(directory, log);
  await warm(spool, directory);
  const blob = makeBlob(1, 2_000);
  const staging = spool.createStaging();
  staging.write(0, blob.content);
  const sealing = spool.seal(staging, blob.name, await staging.digest(), 1);
  const killed = tempDir('ahead-failure-kill');
  fs.cpSync(directory, killed, { recursive: true });
  await sealing;
  await staging.discard();
  await spool.close();
  refuses = (path) => path.startsWith(killed) && basename(path) === 'journal.new';
  await assert.rejects(open(killed, log), /cannot replace/);
  refuses = () => false;
  // The folder's own descriptor is gone by the time it is looked at.
  const held = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    const link = `/proc/self/fd/${fd}`;
    return fs.existsSync(link) ? [fs.readlinkSync(link)] : [];
  });
  assert.deepEqual(
    held.filter((path) => path.startsWith(killed)),
    [],
  );
  const again = await open(killed, log);
  assert.equal(blobOf(fs.readFileSync(again.pending.get(blob.name)?.file ?? assert.fail('lost'))).sha1, blob.sha1);
  await again.close();
  assert.deepEqual(log.unexpected(), []);
});
