/** Answers that come slowly or with much around them, from a server on loopback. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kindOf } from '../../../src/base/errors.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { listNames } from '../../helpers/store-bytes.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

const PIECES = 12;
const EVERY_MS = 100;
const TRACED = { 'x-trans-id': 'tx1' };

/** A listing in pieces, an object behind a long head, and a 400 that is not Swift's. */
async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const url = request.url ?? '';
  if (url === '/auth/v1.0') {
    response.writeHead(200, { 'x-storage-url': `http://${request.headers.host ?? ''}/v1/AUTH_a`, 'x-auth-token': 't' }).end();
  } else if (url.includes('marker=')) response.writeHead(200, TRACED).end('[]');
  else if (url.includes('format=json')) {
    response.writeHead(200, TRACED);
    for (let piece = 0; piece < PIECES; piece++) {
      response.write(`${piece === 0 ? '[' : ','}{"name":"n${String(piece).padStart(2, '0')}","bytes":1}`);
      await sleep(EVERY_MS);
    }
    response.end(']');
  } else if (url.endsWith('/long-head')) {
    response.writeHead(200, { ...TRACED, etag: '0'.repeat(32), 'content-length': '7', 'x-cookies': 'c'.repeat(60_000) }).end();
  } else response.writeHead(400).end('The plain HTTP request was sent to HTTPS port');
}

void describe('slow and odd answers', () => {
  let server: http.Server;
  let store: SwiftStore;
  before(async () => {
    server = http.createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const authUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/v1.0`;
    const settings = { ...TEST_SETTINGS, authUrl, username: 'u', password: 'p', requestTimeoutMs: 700, stallTimeoutMs: 500 };
    store = createSwiftStore(settings, { log: new LogGuard().log(), userAgent: 'unit/1' });
  });
  after(async () => {
    await store.close();
    server.close();
  });

  void test('a listing that comes slowly is no silence, and is not given up as long as bytes come', async () => {
    let longestMs = 0;
    const watch = setInterval(() => (longestMs = Math.max(longestMs, store.stalledMs)), 20);
    try {
      assert.equal((await listNames(store, 'c')).length, PIECES);
    } finally {
      clearInterval(watch);
    }
    assert.ok(longestMs < 5 * EVERY_MS, `${longestMs} ms`);
  });

  void test('a head that gateways have made long is read', async () => {
    assert.equal((await store.head('c', 'long-head'))?.sizeBytes, 7);
  });

  void test('a 400 that is not from Swift says nothing of an object: it is asked again, and then not known', async () => {
    await assert.rejects(store.head('c', 'refused'), (error) => kindOf(error) === 'unavailable');
  });
});
