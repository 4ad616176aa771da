import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiskFailed } from '../../../src/base/errors.js';
import { openOrigin } from '../../../src/origins/directory-origin.js';
import type { Origin, OriginStat } from '../../../src/origins/origin.js';
import { RememberedOrigin } from '../../../src/origins/remembered-origin.js';
import { makeBlobs } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { eventually } from '../../helpers/processes.js';
import { tempDir } from '../../helpers/temp-dir.js';

const WAIT_MS = 30;
const blobs = makeBlobs(40, 10);

// Neither a wait nor the rounds keep a process alive.
const alive = setInterval(() => undefined, 1000);
after(() => clearInterval(alive));

interface Disk {
  state: 'well' | 'failing' | 'hanging';
  asked: number;
}

/** A real directory behind a disk that does as it is told. */
function origin(directory: string, waitMs = WAIT_MS): { origin: RememberedOrigin; disk: Disk; log: LogGuard } {
  const disk: Disk = { state: 'well', asked: 0 };
  const log = new LogGuard();
  const real = openOrigin(directory, { answerMs: 60_000, silentMs: 60_000 });
  return { origin: new RememberedOrigin(onDisk(real, disk), waitMs, log.log()), disk, log };
}

function onDisk(real: Origin, disk: Disk): Origin {
  const asked = <T>(work: () => Promise<T>): Promise<T> => {
    disk.asked++;
    if (disk.state === 'failing') return Promise.reject(new DiskFailed('EIO'));
    return disk.state === 'hanging' ? new Promise<T>(() => undefined) : work();
  };
  return {
    description: real.description,
    get trouble() {
      return disk.state === 'well' ? undefined : disk.state;
    },
    isAsked: false,
    stat: (path) => asked<OriginStat | undefined>(() => real.stat(path)),
    list: (path) => asked(() => real.list(path)),
    names: (path) => asked(() => real.names(path)),
    source: (path) => real.source(path),
    forget: () => undefined,
    below: (path) => onDisk(real.below(path), disk),
    close: () => real.close(),
  };
}

function makeTree(): string {
  const directory = tempDir('origin');
  for (const { name, content } of blobs) {
    mkdirSync(join(directory, name, '..'), { recursive: true });
    writeFileSync(join(directory, name), content);
  }
  mkdirSync(join(directory, 'upload'));
  writeFileSync(join(directory, 'upload', 'part'), 'x');
  writeFileSync(join(directory, 'readme'), 'x');
  return directory;
}

async function read(log: LogGuard): Promise<void> {
  await log.waitFor(/origin-names-read/);
}

const absent = 'ab'.repeat(20);
const first = blobs[0]?.name ?? '';

for (const state of ['failing', 'hanging'] as const) {
  test(`While the disk of an origin is ${state}, what was not there is not there, directories are, and of files nothing is said.`, async () => {
    const { origin: remembered, disk, log } = origin(makeTree());
    assert.equal(await remembered.stat(`ab/${absent}`), undefined);
    await read(log);
    disk.state = state;
    for (const path of [
      `ab/${absent}`,
      `${first.slice(0, 2)}/${absent}`,
      'zz',
      'zz/deeper/still',
      'upload/other',
      'upload/other/x',
      'readme/x',
    ])
      assert.equal(await remembered.stat(path), undefined, path);
    for (const path of ['', first.slice(0, 2), 'upload']) assert.equal((await remembered.stat(path))?.kind, 'directory', path);
    for (const path of [...blobs.map(({ name }) => name), 'readme', 'upload/part']) {
      const answer = remembered.stat(path);
      if (state === 'failing') await assert.rejects(answer, DiskFailed);
      else assert.equal(await Promise.race([answer, Promise.resolve('no answer')]), 'no answer');
    }
    await remembered.close();
  });
}

test('A disk that hangs is waited for once, not for each name.', async () => {
  const { origin: remembered, disk, log } = origin(makeTree());
  await remembered.stat(first);
  await read(log);
  disk.state = 'hanging';
  await remembered.stat(`ab/${absent}`);
  const asked = disk.asked;
  for (let i = 0; i < 10; i++) assert.equal(await remembered.stat(`ab/${absent}`), undefined);
  assert.equal(disk.asked, asked);
  await remembered.close();
});

test('While the disk answers, its word alone counts.', async () => {
  const directory = makeTree();
  // A disk that is asked by others too may answer late.
  const { origin: remembered, log } = origin(directory, 10_000);
  await remembered.stat(first);
  await read(log);
  mkdirSync(join(directory, 'new'));
  writeFileSync(join(directory, 'new', 'file'), 'x');
  assert.equal((await remembered.stat('new/file'))?.kind, 'file');
  rmSync(join(directory, 'upload'), { recursive: true });
  assert.equal(await remembered.stat('upload'), undefined);
  await remembered.close();
});

test('Before its directories are read a disk that fails says nothing, and each database remembers its own names.', async () => {
  const filestore = tempDir('filestore');
  mkdirSync(join(filestore, 'db', 'ab'), { recursive: true });
  const { origin: remembered, disk, log } = origin(filestore);
  disk.state = 'failing';
  await assert.rejects(remembered.stat('db'), DiskFailed);
  disk.state = 'well';
  const database = remembered.below('db');
  assert.equal(await database.stat(`ab/${absent}`), undefined);
  await read(log);
  disk.state = 'failing';
  assert.equal(await database.stat(`ab/${absent}`), undefined);
  assert.equal((await database.stat('ab'))?.kind, 'directory');
  await assert.rejects(remembered.stat('other'), DiskFailed);
  await remembered.close();
});

test('A disk that fails long after its directories were read is looked at again within seconds, though nobody asks.', async () => {
  const { origin: remembered, disk, log } = origin(makeTree());
  await remembered.stat(first);
  await read(log);
  disk.state = 'failing';
  assert.equal(await remembered.stat(absent), undefined);
  const { asked } = disk;
  await eventually('it is asked', () => disk.asked > asked, 15_000);
  await remembered.close();
});

test('What was remembered of a database that is gone is read no more, however long the mount lives, and its disk may hang.', async () => {
  const filestore = tempDir('filestore');
  mkdirSync(join(filestore, 'db', 'ab'), { recursive: true });
  const { origin: remembered, disk, log } = origin(filestore);
  const database = remembered.below('db');
  await database.stat(`ab/${absent}`);
  await read(log);
  disk.state = 'failing';
  assert.equal(await database.stat(`ab/${absent}`), undefined);
  database.forget();
  await sleep(100);
  const { asked } = disk;
  // A disk that fails is looked at every five seconds while its names are kept.
  await sleep(6_000);
  assert.equal(disk.asked, asked);
  await assert.rejects(database.stat(`ab/${absent}`), DiskFailed);
  assert.notEqual(remembered.below('db'), database);
  await remembered.close();
});
