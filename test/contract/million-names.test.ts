/** A listing of a million names, page by page from a small server that makes them up, must not grow with its length. */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SILENT_LOG } from '../../src/base/log.js';
import { createSwiftStore } from '../../src/swift/swift-store.js';
import { TEST_SETTINGS } from '../helpers/swift-settings.js';

const NAMES = 1_000_000;
/** A page is some 2 MB as text and 5 MB as objects; a million names would be 500 MB. */
const GROWTH_MAX_BYTES = 48 * 2 ** 20;

const nameOf = (n: number): string => {
  const digits = n.toString(16).padStart(8, '0');
  return `${digits.slice(0, 2)}/${digits}${'0'.repeat(32)}`;
};
const indexOf = (name: string): number => Number.parseInt(name.slice(3, 11), 16);

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A page after the marker, cut short now and then as a loaded Swift may do; an empty one at the end. */
const serve: http.RequestListener = (request, response) => {
  const query = new URL(request.url ?? '', 'http://x').searchParams;
  const marker = query.get('marker');
  const first = marker === null ? 0 : indexOf(marker) + 1;
  const limit = Number(query.get('limit')) - (first % 70_000 === 0 ? 1 : 0);
  const rows: string[] = [];
  for (let n = first; n < Math.min(NAMES, first + limit); n++) {
    rows.push(
      `{"name":"${nameOf(n)}","bytes":${n % 5000},"hash":"d41d8cd98f00b204e9800998ecf8427e","last_modified":"2024-01-01T00:00:00.000000"}`,
    );
  }
  response.writeHead(200, { 'content-type': 'application/json', 'x-trans-id': 'tx1' }).end(`[${rows.join(',')}]`);
};

void test('a million names are listed in flat memory, each once and in order, until an empty page', async () => {
  const server = http.createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const storageUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/AUTH_a`;
  const store = createSwiftStore({ ...TEST_SETTINGS, token: 't', storageUrl }, { log: SILENT_LOG, userAgent: 'million' });
  try {
    let count = 0;
    let pages = 0;
    let largest = 0;
    let base = 0;
    let most = 0;
    for await (const page of store.list('c')) {
      for (const { name } of page) {
        if (name !== nameOf(count)) assert.fail(`${name} where ${nameOf(count)} should be`);
        count++;
      }
      largest = Math.max(largest, page.length);
      if (++pages % 10 !== 0) continue;
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      if (base === 0) base = heapUsed + external;
      most = Math.max(most, heapUsed + external - base);
    }
    assert.equal(count, NAMES);
    assert.ok(pages > 100 && largest <= 10_000);
    assert.ok(most < GROWTH_MAX_BYTES, `grew by ${(most / 2 ** 20).toFixed(1)} MiB over the first ten pages`);
    assert.equal(store.requestCounts['GET'], pages + 1);
  } finally {
    await store.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
  }
});
