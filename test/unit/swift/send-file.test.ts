/** A file that somebody writes to while it is sent is told as such, and Swift is not blamed for it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import { sendFile } from '../../../src/swift/files/send-file.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

/** More than the buffers of two sockets hold. */
const LARGE_BYTES = 64 << 20;

void describe('a file that is changed while it is sent', () => {
  let dir: string;
  let file: string;
  let server: http.Server;
  let store: SwiftStore;
  let puts = 0;
  let onPut: (request: http.IncomingMessage, response: http.ServerResponse) => void = () => undefined;

  before(async () => {
    dir = tempDir('send-file');
    file = path.join(dir, 'source');
    server = http.createServer((request, response) => {
      response.setHeader('x-trans-id', 'tx');
      if (request.method !== 'PUT') return response.writeHead(404).end();
      puts++;
      return onPut(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const storageUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/AUTH_a`;
    store = createSwiftStore({ ...TEST_SETTINGS, token: 't', storageUrl }, { log: SILENT_LOG, userAgent: 'unit' });
  });
  after(async () => {
    await store.close();
    server.closeAllConnections();
    server.close();
    removeDir(dir);
  });

  void test('and shrinks is named, at once', async () => {
    fs.writeFileSync(file, '');
    fs.truncateSync(file, LARGE_BYTES);
    onPut = (request) => {
      request.on('error', () => undefined).once('data', () => fs.truncateSync(file, 1000));
    };
    puts = 0;
    await assert.rejects(sendFile(store, 'c', 'o', file), {
      kind: 'busy',
      message: `${file} shrank while it was sent; send it again when nobody writes to it`,
    });
    assert.equal(puts, 1);
    assert.equal(store.health.lastError, undefined);
  });

  void test('and has other bytes than were sent is named; one that is not there any more is sent as it was', async () => {
    fs.writeFileSync(file, Buffer.alloc((1 << 20) + 1));
    let change = (): void => undefined;
    onPut = (request, response) => {
      const hash = createHash('md5');
      request
        .on('data', (bytes: Buffer) => hash.update(bytes))
        .once('end', () => {
          change();
          response.writeHead(201, { etag: hash.digest('hex') }).end();
        });
    };
    change = () => fs.utimesSync(file, 1, 1);
    await assert.rejects(sendFile(store, 'c', 'o', file), { kind: 'busy', message: /source was written to while it was sent/ });
    change = () => {
      fs.writeFileSync(`${file}.new`, 'other');
      fs.renameSync(`${file}.new`, file);
    };
    assert.equal((await sendFile(store, 'c', 'o', file)).sizeBytes, (1 << 20) + 1);
    fs.writeFileSync(file, Buffer.alloc((1 << 20) + 1));
    const answer = onPut;
    change = () => undefined;
    onPut = (request) => {
      fs.rmSync(file);
      onPut = answer;
      request.socket.destroy();
    };
    assert.equal((await sendFile(store, 'c', 'o', file)).sizeBytes, (1 << 20) + 1);
  });

  void test('and has other bytes than were hashed is named; one that nobody touched is not', async () => {
    fs.writeFileSync(file, Buffer.alloc((1 << 20) + 1));
    let touch = (): void => undefined;
    onPut = (request, response) => {
      request.resume().once('end', () => {
        if (puts > 1) touch();
        response.writeHead(puts === 1 ? 413 : 422).end();
      });
    };
    puts = 0;
    await assert.rejects(sendFile(store, 'c', 'o', file), { kind: 'corrupt' });
    puts = 0;
    touch = () => fs.utimesSync(file, 1, 1);
    await assert.rejects(sendFile(store, 'c', 'o', file), { kind: 'busy', message: `${file} was written to while it was sent; send it again when nobody writes to it` }); // prettier-ignore
  });
});
