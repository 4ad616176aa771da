/** Small sealed files lie in the write-ahead log and in memory until somebody needs them under `sealed/`. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSpool } from '../../../src/spool/open-spool.js';
import type { Pending, Spool, StagingFile } from '../../../src/spool/spool.js';
import type { Blob } from '../../helpers/blobs.js';
import { makeBlob, makeBlobs } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { eventually } from '../../helpers/processes.js';
import { tempDir } from '../../helpers/temp-dir.js';

interface Open {
  readonly spool: Spool;
  readonly directory: string;
  readonly log: LogGuard;
}

function openAt(directory: string, log: LogGuard): Promise<Spool> {
  return openSpool({ directory, database: 'prod', log: log.log() });
}

/** With its write-ahead log made, and nothing under `sealed/`. */
async function open(): Promise<Open> {
  const directory = tempDir('late-files');
  const log = new LogGuard();
  const spool = await openAt(directory, log);
  const first = await seal(spool, makeBlob(900, 100));
  await eventually('the write-ahead log is made', () => fs.existsSync(join(directory, 'v1/prod/ahead.1')));
  await sleep(50);
  await spool.markPublished(first, { keepFile: false });
  await spool.sync();
  await eventually('its file is gone', () => !fs.existsSync(first.file));
  return { spool, directory, log };
}

async function stage(spool: Spool, { content }: Blob): Promise<StagingFile> {
  const staging = spool.createStaging();
  staging.write(0, content);
  await staging.digest();
  return staging;
}

async function seal(spool: Spool, blob: Blob): Promise<Pending> {
  const staging = await stage(spool, blob);
  const pending = await spool.seal(staging, blob.name, await staging.digest(), 1);
  await staging.discard();
  return pending;
}

test('A small sealed file comes to the disk when it is needed there.', async () => {
  const { spool, log } = await open();
  const blob = makeBlob(1);
  const pending = await seal(spool, blob);
  assert.ok(!fs.existsSync(pending.file));
  assert.equal(pending.md5, blob.md5);
  assert.equal(spool.sealedFile(pending), pending.file);
  assert.deepEqual(fs.readFileSync(pending.file), blob.content);
  await spool.close();
  assert.deepEqual(log.unexpected(), []);
});

test('Small sealed files come to the disk by themselves after a moment.', async () => {
  const { spool, directory } = await open();
  const blobs = makeBlobs(10);
  const files: string[] = [];
  for (const blob of blobs) files.push((await seal(spool, blob)).file);
  await eventually('all are there', () => files.every((file) => fs.existsSync(file)));
  for (const [at, file] of files.entries()) assert.deepEqual(fs.readFileSync(file), blobs[at]?.content);
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/staging')), []);
  await spool.close();
});

test('More of them than the memory is for are on the disk or in the write-ahead log, and all of them after an orderly end.', async () => {
  const { spool, directory } = await open();
  const blobs = makeBlobs(100, 60_000);
  for (const blob of blobs) await seal(spool, blob);
  await spool.close();
  assert.ok(!fs.existsSync(join(directory, 'v1/prod/ahead.0')));
  const again = await openAt(directory, new LogGuard());
  for (const { name, content } of blobs) {
    assert.deepEqual(fs.readFileSync(again.sealedFile(again.pending.get(name) ?? assert.fail(`${name} is lost`))), content);
  }
  await again.close();
});

test('A spool that is killed before a sealed file came to the disk has it after the next start.', async () => {
  const { spool, directory, log } = await open();
  const blobs = makeBlobs(3);
  for (const blob of blobs) await seal(spool, blob);
  const killed = tempDir('late-files-killed');
  fs.cpSync(directory, killed, { recursive: true });
  assert.deepEqual(fs.readdirSync(join(killed, 'v1/prod/sealed')), []);
  const again = await openAt(killed, log);
  for (const { name, content, md5 } of blobs) {
    const pending = again.pending.get(name) ?? assert.fail(`${name} is lost`);
    assert.equal(pending.md5, md5);
    assert.deepEqual(fs.readFileSync(again.sealedFile(pending)), content);
  }
  await again.close();
  await spool.close();
  assert.deepEqual(log.unexpected(), []);
});

test('What is deleted before it came to the disk never comes there.', async () => {
  const { spool, directory } = await open();
  const blob = makeBlob(1);
  await seal(spool, blob);
  spool.bury(blob.name, { owedToSwift: true });
  await spool.sync();
  await sleep(400);
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/sealed')), []);
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/staging')), []);
  await spool.close();
});

test('Who writes on after the seal of a file in memory changes a copy.', async () => {
  const { spool } = await open();
  const blob = makeBlob(1);
  const staging = await stage(spool, blob);
  const digest = await staging.digest();
  const pending = await spool.seal(staging, blob.name, digest, 1);
  staging.write(0, Buffer.from('more'));
  assert.deepEqual(fs.readFileSync(spool.sealedFile(pending)), blob.content);
  assert.deepEqual([digest.sha1, digest.md5], [blob.sha1, blob.md5]);
  const changed = Buffer.alloc(blob.content.length);
  staging.copyTo(changed, 0);
  assert.equal(changed.toString('latin1', 0, 4), 'more');
  await staging.discard();
  await spool.close();
});

test('Who has a file open that was deleted before it came to the disk goes on reading and writing it.', async () => {
  const { spool, directory } = await open();
  const blob = makeBlob(1);
  const staging = await stage(spool, blob);
  await spool.seal(staging, blob.name, await staging.digest(), 1);
  spool.bury(blob.name, { owedToSwift: true });
  await spool.sync();
  const bytes = Buffer.alloc(blob.content.length);
  staging.copyTo(bytes, 0);
  assert.deepEqual(bytes, blob.content);
  staging.write(0, Buffer.from('more'));
  assert.ok(fs.existsSync(staging.file().path));
  await staging.discard();
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/sealed')), []);
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/staging')), []);
  await spool.close();
});

test('What finds no place on the disk is read and sent from memory, and forgotten once it is sent.', async () => {
  const { spool, directory, log } = await open();
  const [blob, other] = [makeBlob(1), makeBlob(2)];
  const pending = await seal(spool, blob);
  const kept = await seal(spool, other);
  const staging = join(directory, 'v1/prod/staging');
  fs.rmdirSync(staging);
  fs.writeFileSync(staging, '');
  assert.throws(() => spool.sealedFile(pending), /cannot open/);
  assert.deepEqual(Buffer.from(spool.lateBytes(pending) ?? assert.fail()), blob.content);
  assert.ok(await spool.markPublished(pending, { keepFile: true }));
  assert.equal(spool.lateBytes(pending), undefined);
  await sleep(400);
  assert.deepEqual(Buffer.from(spool.lateBytes(kept) ?? assert.fail()), other.content);
  fs.unlinkSync(staging);
  assert.deepEqual(fs.readFileSync(spool.sealedFile(kept)), other.content);
  assert.equal(spool.lateBytes(kept), undefined);
  await spool.close();
  assert.deepEqual(fs.readdirSync(join(directory, 'v1/prod/sealed')), [basename(kept.file)]);
  assert.deepEqual(log.unexpected(), []);
});
