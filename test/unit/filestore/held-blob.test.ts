/** A cached blob whose file is changed while somebody has it open: what is read is what was verified, or verified anew. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { BlobCache } from '../../../src/cache/cache.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import { fingerprintAt } from '../../../src/cache/fingerprint.js';
import { HeldBlob } from '../../../src/filestore/open-blob.js';
import { makeBlob } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const signal = new AbortController().signal;
/** The mtime of the copies: a whole second, which can be put back exactly. */
const WRITTEN_S = 1_700_000_000;

describe('a blob opened by its held copy', () => {
  const blob = makeBlob(1, 5000);
  const key = `sha1-${blob.sha1}` as const;
  const log = new LogGuard();
  let directory: string;
  let cache: BlobCache;
  let copies = 0;

  before(async () => {
    directory = tempDir('held-blob');
    cache = await openCache({ directory, budgetBytes: 1 << 30, floorBytes: 0, log: log.log() });
  });
  after(async () => {
    await cache.close();
    removeDir(directory);
  });

  const adopt = async (): Promise<void> => {
    const file = path.join(directory, `new-${(copies += 1)}`);
    fs.writeFileSync(file, blob.content);
    fs.utimesSync(file, WRITTEN_S, WRITTEN_S);
    await cache.adopt(key, file, blob.content.length, fingerprintAt(file));
  };
  const open = (): HeldBlob => {
    const held = cache.openHeld(key) ?? assert.fail('not held');
    const stat = { kind: 'file', sizeBytes: held.sizeBytes, mtimeMs: 0, mode: 0o644, validMs: 0 } as const;
    return new HeldBlob(held, stat, async () => {
      await adopt();
      return (await cache.open(key)) ?? assert.fail('not filled');
    });
  };
  const bytesOf = (result: Awaited<ReturnType<HeldBlob['read']>>): Buffer => {
    if (result instanceof Uint8Array) return Buffer.from(result);
    const bytes = Buffer.alloc(result.length);
    fs.readSync(result.fd, bytes, 0, result.length, result.position);
    return bytes;
  };

  it('says nothing of a blob that nobody has opened yet', () => assert.equal(cache.openHeld(key), undefined));

  it('is answered at once, and never from a file that was changed after it was opened', async () => {
    await adopt();
    (await cache.open(key))?.close();
    const file = open();
    assert.deepEqual(bytesOf(file.readNow(0, 10_000) ?? assert.fail('not at once')), blob.content);
    const [cached = assert.fail('no copy')] = findCopies(directory);
    fs.appendFileSync(cached, 'spoilt');
    assert.equal(file.readNow(0, 10_000), undefined);
    assert.equal(file.passthroughFd, undefined);
    const [one, two] = await Promise.all([file.read(0, 10_000, signal), file.read(1000, 500, signal)]);
    assert.deepEqual(bytesOf(one), blob.content);
    assert.deepEqual(bytesOf(two), blob.content.subarray(1000, 1500));
    file.release();
    const again = open();
    assert.deepEqual(bytesOf(await again.read(0, 10_000, signal)), blob.content);
    again.release();
  });

  it('is read on when its copy is deleted, and not when that was spoilt before', async () => {
    await adopt();
    (await cache.open(key))?.close();
    const files = [open(), open()];
    cache.forget(key);
    const before = copies;
    for (const file of files) assert.deepEqual(bytesOf(await file.read(0, 10_000, signal)), blob.content);
    for (const file of files) assert.deepEqual(bytesOf(file.readNow(0, 10_000) ?? assert.fail('not at once')), blob.content);
    assert.equal(copies, before, 'nobody has brought another copy');
    for (const file of files) file.release();
    await adopt();
    (await cache.open(key))?.close();
    const spoilt = open();
    const [cached = assert.fail('no copy')] = findCopies(directory);
    fs.appendFileSync(cached, 'spoilt');
    cache.forget(key);
    assert.equal(spoilt.readNow(0, 10_000), undefined);
    spoilt.release();
  });

  it('is not read from its deleted copy when that was rewritten as if it had not been, before or after', async () => {
    for (const when of ['before', 'after']) {
      await adopt();
      (await cache.open(key))?.close();
      const file = open();
      const [cached = assert.fail('no copy')] = findCopies(directory);
      const own = fs.openSync(cached, 'r+');
      if (when === 'before') rewrite(own);
      cache.forget(key);
      if (when === 'after') {
        assert.deepEqual(bytesOf(await file.read(0, 10_000, signal)), blob.content);
        rewrite(own);
      }
      fs.closeSync(own);
      const before = copies;
      assert.deepEqual(bytesOf(await file.read(0, 10_000, signal)), blob.content, when);
      assert.equal(copies, before + 1, when);
      file.release();
    }
  });

  it('is read on when another copy takes its place and is deleted, and not when it was spoilt before', async () => {
    await adopt();
    (await cache.open(key))?.close();
    const file = open();
    await adopt();
    cache.forget(key);
    const before = copies;
    assert.deepEqual(bytesOf(await file.read(0, 10_000, signal)), blob.content);
    assert.equal(copies, before);
    file.release();
    await adopt();
    (await cache.open(key))?.close();
    const spoilt = open();
    const [cached = assert.fail('no copy')] = findCopies(directory);
    fs.appendFileSync(cached, 'spoilt');
    await adopt();
    assert.equal(spoilt.readNow(0, 10_000), undefined);
    spoilt.release();
  });

  it('is read from a new copy, by all who have it open, when its disk does not give its bytes', async () => {
    await adopt();
    (await cache.open(key))?.close();
    const [one, two] = [open(), open()];
    const quarantined = cache.statistics.quarantined;
    assert.deepEqual(bytesOf(await one.readElsewhere(1000, 500, signal)), blob.content.subarray(1000, 1500));
    assert.equal(two.readNow(0, 10_000), undefined);
    assert.deepEqual(bytesOf(await two.read(0, 10_000, signal)), blob.content);
    assert.equal(cache.statistics.quarantined, quarantined, 'a copy that is whole after all is kept');
    one.release();
    two.release();
    log.assertQuiet();
  });
});

/** Other bytes in place, and the mtime as it was. */
function rewrite(fd: number): void {
  const { size } = fs.fstatSync(fd);
  fs.writeSync(fd, Buffer.alloc(size, 'x'), 0, size, 0);
  fs.futimesSync(fd, WRITTEN_S, WRITTEN_S);
}

function findCopies(directory: string): string[] {
  const names = fs.readdirSync(path.join(directory, 'v1'), { recursive: true, encoding: 'utf8' });
  return names.map((name) => path.join(directory, 'v1', name)).filter((name) => /[0-9a-f]{40}$/.test(name) && fs.statSync(name).isFile());
}
