/** The bytes of a file on their way to a hash or a connection. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs, { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { Socket, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Agent from 'undici/lib/dispatcher/agent.js';
import { bytesOfFile } from '../../../src/base/file-bytes.js';
import { digestFile } from '../../../src/base/file-digest.js';
import { outgoing } from '../../../src/swift/requests/request-body.js';
import { exchange, readText } from '../../../src/swift/requests/wire.js';
import { makeBlob } from '../../helpers/blobs.js';
import { makeCertificate } from '../../helpers/certificate.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const BLOB = makeBlob(1, 20 << 20);

const PIECE_BYTES = 256 * 1024;

/** Counts what sockets have given to the kernel: a write is done when that has all of it. */
function countWritten(t: TestContext): () => number {
  type Write = (isVector: boolean, data: unknown, encoding: unknown, done: (error?: Error) => void) => void;
  const prototype = Socket.prototype as unknown as { _writeGeneric: Write };
  const write = prototype._writeGeneric;
  let bytes = 0;
  const counted: Write = function (this: Socket, isVector, data, encoding, done) {
    const pieces = isVector ? (data as { chunk: unknown }[]).map(({ chunk }) => chunk) : [data];
    const ours = pieces.filter((piece): piece is Uint8Array => piece instanceof Uint8Array && piece.length === PIECE_BYTES);
    write.call(this, isVector, data, encoding, (error) => {
      bytes += ours.length * PIECE_BYTES;
      done(error);
    });
  };
  t.mock.method(prototype, '_writeGeneric', counted);
  return () => bytes;
}

function certificateIn(directory: string): { readonly key: Buffer; readonly cert: Buffer } {
  const { key, cert } = makeCertificate(directory);
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

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

  /** Sends the file to somebody who has a piece in hand for a while, as a socket has, and looks at it at the end of that. */
  const sentSlowly = async (hold: (done: () => void) => void = setImmediate): Promise<string> => {
    const sent = createHash('sha1');
    const slow = new Writable({
      highWaterMark: 16 * 1024,
      write: (piece: Uint8Array, _encoding, done) => {
        hold(() => {
          sent.update(piece);
          done();
        });
      },
    });
    const { body } = outgoing(bytesOfFile(file), () => undefined);
    assert.ok(typeof body === 'object' && 'pipe' in body);
    await new Promise<void>((resolve, reject) => body.pipe(slow).on('finish', resolve).on('error', reject));
    return sent.digest('hex');
  };

  it('are the same when their buffers are used again, to a hash and to a connection that is slower than the disk', async () => {
    assert.equal((await digestFile(file)).sha1, BLOB.sha1);
    assert.equal(await sentSlowly(), BLOB.sha1);
    await eventually('the file is closed', () => descriptorsOf(file) === 0);
  });

  it('are the same where the file system gives less at a time than it is asked for', async (t) => {
    const { read } = fs;
    type Read = (fd: number, buffer: Buffer, offset: number, length: number, position: number, done: () => void) => void;
    const short: Read = (fd, buffer, offset, length, position, done) =>
      read(fd, buffer, offset, Math.min(length, 8 * 1024), position, done);
    t.mock.method(fs, 'read', short as typeof read);
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const small = makeBlob(2, 2 << 20);
    writeFileSync(file, small.content);
    assert.equal(await sentSlowly((done) => setTimeout(done, 1)), small.sha1);
  });

  for (const isSecure of [false, true]) {
    it(`are at most six pieces on their way to a server that is slow, by ${isSecure ? 'TLS' : 'TCP'}`, async (t) => {
      const got = createHash('sha1');
      const written = countWritten(t);
      const source = bytesOfFile(file);
      let [taken, most] = [0, 0];
      const push = source.push.bind(source);
      source.push = (piece: Uint8Array | null): boolean => {
        if (piece !== null) most = Math.max(most, ++taken - written() / PIECE_BYTES);
        return push(piece);
      };
      // Takes nothing until all that lies between is full.
      const take: RequestListener = (request, response) => {
        void (async () => {
          await eventually('the kernel takes no more', () => most >= 2);
          await sleep(50);
          for await (const piece of request as AsyncIterable<Buffer>) got.update(piece);
          response.end();
        })();
      };
      const server = isSecure ? createSecureServer(certificateIn(directory), take) : createServer(take);
      await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
      const agent = new Agent({ connections: 1, connect: { rejectUnauthorized: false } });
      t.after(async () => {
        await agent.destroy();
        server.close();
      });
      const { body } = outgoing(source, () => undefined);
      const origin = `http${isSecure ? 's' : ''}://localhost:${(server.address() as AddressInfo).port}`;
      const headers = { 'content-length': String(BLOB.content.length) };
      const answer = await exchange(agent, { method: 'PUT', origin, path: '/', headers, body });
      await readText(answer.body, 0);
      assert.equal(got.digest('hex'), BLOB.sha1);
      assert.equal(taken, written() / PIECE_BYTES);
      assert.ok(most <= 6, `${most} pieces`);
    });
  }

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
