/** What goes wrong with the cache's disk and with a body on its way: each case must end in right bytes or in a refusal. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { FillSource } from '../../src/cache/cache.js';
import { makeBlob } from '../helpers/blobs.js';
import { LogGuard } from '../helpers/log-guard.js';
import { tempDir } from '../helpers/temp-dir.js';
import { bytesOfFile, GoodSource, keyOf, open, PATIENT } from '../unit/cache/caches.js';

const BLOB = makeBlob(9, 400_000);
const KEY = keyOf(BLOB);

/** Each opening ends as its turn in the list says; after the list all is well. */
function sourceThat(...bodies: readonly ((rest: Buffer) => Readable)[]): FillSource {
  let opening = 0;
  return {
    description: 'faulty',
    open: (startByte) => {
      const rest = BLOB.content.subarray(startByte);
      const body = bodies[opening++]?.(rest) ?? Readable.from([rest], { objectMode: false });
      return Promise.resolve({ body, totalBytes: BLOB.content.length });
    },
  };
}

function breaking(afterBytes: number): (rest: Buffer) => Readable {
  return (rest) => {
    let isGiven = false;
    return new Readable({
      read() {
        if (isGiven) this.destroy(new Error('connection reset'));
        else this.push(rest.subarray(0, afterBytes));
        isGiven = true;
      },
    });
  };
}

const ending = (afterBytes: number) => (rest: Buffer) => Readable.from([rest.subarray(0, afterBytes)], { objectMode: false });

/** A byte a second, for ever. */
const trickling = (rest: Buffer): Readable => {
  let at = 0;
  const body = new Readable({ read: () => undefined });
  const timer = setInterval(() => body.push(rest.subarray(at, ++at)), 1000);
  body.once('close', () => clearInterval(timer));
  return body;
};

const BODIES: readonly (readonly [string, FillSource])[] = [
  ['is reset early', sourceThat(breaking(1))],
  ['is reset in the middle', sourceThat(breaking(200_000), breaking(100_000))],
  ['is reset before its last byte', sourceThat(breaking(399_999))],
  ['ends early without an error', sourceThat(ending(1000), ending(0), ending(5))],
  ['trickles', sourceThat(trickling)],
];
for (const [what, source] of BODIES) {
  test(`A body that ${what} is made whole by asking for the rest.`, async () => {
    const cache = await open(tempDir('cache'));
    const file = await cache.fill(KEY, [source], PATIENT).whole;
    assert.deepEqual(await bytesOfFile(file), BLOB.content);
    file.close();
    await cache.close();
  });
}

test('A body with more bytes than promised is refused, and the next source asked.', async () => {
  const cache = await open(tempDir('cache'));
  const long = sourceThat((rest) => Readable.from([rest, rest], { objectMode: false }));
  const file = await cache.fill(KEY, [long, new GoodSource(BLOB.content)], PATIENT).whole;
  assert.deepEqual(await bytesOfFile(file), BLOB.content);
  file.close();
  await cache.close();
});

const AT_START: readonly (readonly [string, (path: string) => void])[] = [
  ['empty', (path) => writeFileSync(path, '')],
  ['all zeros', (path) => writeFileSync(path, Buffer.alloc(BLOB.content.length))],
  ['of other bytes', (path) => writeFileSync(path, makeBlob(10, BLOB.content.length).content)],
];
for (const [what, spoil] of AT_START) {
  test(`A copy that a power cut left ${what} is found out at its first open.`, async () => {
    const directory = tempDir('cache');
    const log = new LogGuard();
    log.expect(/^WARN cache\.quarantined/);
    const path = join(directory, 'v1', BLOB.sha1.slice(0, 2), KEY);
    mkdirSync(dirname(path), { recursive: true });
    spoil(path);
    const cache = await open(directory, { log: log.log() });
    assert.equal(await cache.open(KEY), undefined);
    const file = await cache.fill(KEY, [new GoodSource(BLOB.content)], PATIENT).whole;
    file.close();
    assert.deepEqual(readFileSync(path), BLOB.content);
    log.assertQuiet();
    await cache.close();
  });
}

test('What a killed daemon left half downloaded is removed at the next start.', async () => {
  const directory = tempDir('cache');
  mkdirSync(join(directory, 'v1', 'tmp'), { recursive: true });
  writeFileSync(join(directory, 'v1', 'tmp', '17'), 'half');
  const cache = await open(directory);
  assert.deepEqual(readdirSync(join(directory, 'v1', 'tmp')), []);
  await cache.close();
});

test('An index that is cut short or nonsense is no index: the folder is walked.', async () => {
  const directory = tempDir('cache');
  const first = await open(directory);
  (await first.fill(KEY, [new GoodSource(BLOB.content)], PATIENT).whole).close();
  await first.found;
  await first.close();
  for (const content of ['', 'rubbish\n', readFileSync(join(directory, 'v1', 'index'), 'utf8').slice(0, -3)]) {
    writeFileSync(join(directory, 'v1', 'index'), content);
    const cache = await open(directory);
    await cache.found;
    assert.deepEqual([cache.statistics.files, cache.statistics.bytes], [1, BLOB.content.length]);
    await cache.close();
  }
});
