/** The bytes of a file on their way to a hash or a connection. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOfFile } from '../../../src/base/file-bytes.js';
import { digestFile } from '../../../src/base/file-digest.js';
import { outgoing } from '../../../src/swift/requests/request-body.js';
import { makeBlob } from '../../helpers/blobs.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const BLOB = makeBlob(1, 20 << 20);

const descriptorsOf = (file: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => existsSync(`/proc/self/fd/${fd}`) && readlinkSync(`/proc/self/fd/${fd}`) === file).length;

describe('the bytes of a file', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = tempDir('bytes');
    file = join(directory, 'f');
    writeFileSync(file, BLOB.content);
  });
  afterEach(() => removeDir(directory));

  it('are the same when their buffers are used again, to a hash and to a connection that is slower than the disk', async () => {
    assert.equal((await digestFile(file)).sha1, BLOB.sha1);
    const sent = createHash('sha1');
    // Has a piece in hand for a while, as a socket has, and looks at it at the end of that.
    const slow = new Writable({
      highWaterMark: 16 * 1024,
      write: (piece: Uint8Array, _encoding, done) => {
        setImmediate(() => {
          sent.update(piece);
          done();
        });
      },
    });
    const { body } = outgoing(bytesOfFile(file), () => undefined);
    assert.ok(typeof body === 'object' && 'pipe' in body);
    await new Promise<void>((resolve, reject) => body.pipe(slow).on('finish', resolve).on('error', reject));
    assert.equal(sent.digest('hex'), BLOB.sha1);
    assert.equal(descriptorsOf(file), 0);
  });

  it("of a descriptor that is somebody else's leave it open, read to their end or given up", async () => {
    const fd = openSync(file, 'r');
    try {
      let bytes = 0;
      for await (const piece of bytesOfFile(fd, 1, (3 << 20) - 1)) bytes += (piece as Uint8Array).length;
      assert.equal(bytes, (3 << 20) - 2);
      const given = bytesOfFile(fd);
      given.resume();
      given.destroy();
      await new Promise<void>((resolve) => given.once('close', () => resolve()));
      assert.equal((await digestFile(file, fd)).sizeBytes, BLOB.content.length);
      await sleep(20);
      assert.equal(fstatSync(fd).size, BLOB.content.length);
    } finally {
      closeSync(fd);
    }
  });

  it('of a path that are given up in the midst leave nothing open', async () => {
    const given = bytesOfFile(file);
    given.once('data', () => given.destroy());
    await new Promise<void>((resolve) => given.once('close', () => resolve()));
    await eventually('the file is closed', () => descriptorsOf(file) === 0);
  });

  it('of a file that is not there, or ends too soon, fail', async () => {
    await assert.rejects(digestFile(join(directory, 'none')), { code: 'ENOENT' });
    const short = bytesOfFile(file, 0, BLOB.content.length + 1, () => new Error('it ended'));
    await assert.rejects(async () => {
      for await (const _piece of short);
    }, /it ended/);
  });
});
