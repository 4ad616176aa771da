/**
 * What Ceph's gateway and the proxies before public clouds answer otherwise than the Swift that the other tests run with. Ceph's words are those of its sources
 * (src/rgw/rgw_rest_swift.cc, rgw_common.cc).
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { StoreFaltered } from '../../../src/base/errors.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { FakeClock } from '../../helpers/clock.js';
import { LoginStub, type StubAnswer, type StubRequest } from '../../helpers/keystone-v2-stub.js';
import { listNames } from '../../helpers/store-bytes.js';
import { storeAt, StubbedSwift } from '../../helpers/stub-store.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

const MD5 = '9dd4e461268c8034f5c8564e155c67a6';
const OTHER_MD5 = '415290769594460e2e485922904f345d';
const BODY = { sizeBytes: 1, md5: MD5, read: () => Buffer.from('x') };
const BLOB = `aa/${'a'.repeat(40)}`;
const FEW = { tries: 'few', timeoutMs: 5_000 } as const;

void describe('a Swift that answers in its own way', () => {
  let swift: StubbedSwift;
  let store: SwiftStore;
  let asked: string[] = [];
  /** By `METHOD path-below-the-account`. */
  const serve = (answer: (what: string, request: StubRequest, query: URLSearchParams) => StubAnswer): void => {
    asked = [];
    swift.stub.answerWith((request) => {
      const { pathname, searchParams } = new URL(request.url, swift.stub.url);
      const what = `${request.method} ${pathname.replace('/v1/AUTH_a', '')}`;
      asked.push(what);
      return answer(what, request, searchParams);
    });
  };
  before(async () => {
    swift = await StubbedSwift.start();
    store = swift.store;
  });
  after(() => swift.close());

  void test('a copy that is called done before it is, and then goes wrong, is not done', async () => {
    const object = (etag: string, length = 5): StubAnswer => ({ status: 200, headers: { etag, 'content-length': String(length) } });
    let target: StubAnswer = { status: 404 };
    let source = object(MD5);
    serve((what) => (what === 'COPY /c/from' ? { status: 201, json: [{ ofs: 1 }] } : what === 'HEAD /c/from' ? source : target));
    for (target of [{ status: 404 }, object(OTHER_MD5), object(MD5, 4)] as StubAnswer[]) {
      await assert.rejects(store.copy('c', 'from', 'c', 'to', FEW), /said to be copied, but the bytes of the source are not at the target/);
    }
    target = object(MD5);
    assert.equal(await store.copy('c', 'from', 'c', 'to', FEW), true);
    source = { status: 200, headers: { etag: `"${OTHER_MD5}"`, 'content-length': '5', 'x-static-large-object': 'True' } };
    assert.equal(await store.copy('c', 'from', 'c', 'to', FEW), true, 'a large object becomes a plain one');
  });

  void test('a copy is made by a PUT where something on the way knows no COPY', async () => {
    for (const status of [405, 501]) {
      serve((what) =>
        what.startsWith('COPY') ? { status, stranger: true } : { status: 201, headers: { etag: MD5, 'x-copied-from': 'c/from' } },
      );
      assert.equal(await store.copy('c', 'from', 'd', 'to', { ...FEW, metadata: { a: 'b' } }), true);
      assert.deepEqual(asked.slice(-2), ['COPY /c/from', 'PUT /d/to']);
      const { headers } = swift.stub.seen.at(-1) ?? {};
      assert.deepEqual([headers?.['x-copy-from'], headers?.['x-fresh-metadata'], headers?.['x-object-meta-a']], ['/c/from', 'true', 'b']);
    }
  });

  void test('a copy by a PUT that stores nothing but the request, which is empty, is not done', async () => {
    const there = { status: 200, headers: { etag: MD5, 'content-length': '5' } };
    const nothing = { etag: 'd41d8cd98f00b204e9800998ecf8427e', 'content-length': '0' };
    serve((what) => {
      if (what.startsWith('COPY')) return { status: 405, stranger: true };
      return what === 'HEAD /c/from' ? there : { status: what.startsWith('PUT') ? 201 : 200, headers: nothing };
    });
    await assert.rejects(store.copy('c', 'from', 'd', 'to', FEW), /said to be copied, but the bytes of the source are not at the target/);
  });

  void test('a conflict is no later change where what is there is older than what was sent', async () => {
    let storedMs = Date.now() - 3_600_000;
    serve((what) =>
      what.startsWith('PUT')
        ? { status: 409 }
        : { status: 200, headers: { etag: OTHER_MD5, 'content-length': '1', 'x-timestamp': String(storedMs / 1000) } },
    );
    await assert.rejects(store.put('c', 'other', BODY, FEW), /is not stored, although nothing newer is there/);
    storedMs = Date.now();
    await store.put('c', 'other', BODY, FEW);
    serve((what, { headers }) => {
      if (what.startsWith('PUT')) return { status: 202 };
      const stamp = (headers['x-newest'] === 'true' ? Date.now() : storedMs - 3_600_000) / 1000;
      return { status: 200, headers: { etag: OTHER_MD5, 'content-length': '1', 'x-timestamp': String(stamp) } };
    });
    await store.put('c', 'other', BODY, FEW);
  });

  void test('the length of the answer to a HEAD is not taken for that of an object with bytes', async () => {
    let part: StubAnswer = { status: 200 };
    const length = { 'content-length': '0' };
    const sizeWith = async (etag: string, headers: Record<string, string>): Promise<number | undefined> => {
      serve((what) =>
        what.startsWith('HEAD') ? { status: 200, headers: { etag, ...headers } } : { headers: { etag }, text: 'x', ...part },
      );
      return (await store.head('c', BLOB))?.sizeBytes;
    };
    for (const headers of [{}, length] as Record<string, string>[]) {
      part = { status: 200 };
      assert.equal(await sizeWith(MD5, headers), undefined);
      assert.equal(await sizeWith('d41d8cd98f00b204e9800998ecf8427e', headers), 0);
      assert.equal(asked.length, 1);
      part = { status: 206, headers: { etag: MD5, 'content-range': 'bytes 0-0/30000' } };
      assert.equal(await sizeWith(MD5, headers), 30_000);
      assert.equal(swift.stub.seen.at(-1)?.headers.range, 'bytes=0-0');
      assert.equal(await sizeWith(MD5, { ...headers, 'x-static-large-object': 'True' }), 30_000);
      part = { status: 416 };
      assert.equal(await sizeWith(MD5, headers), undefined);
      part = { status: 404 };
      assert.equal(await store.head('c', BLOB), undefined, 'removed in between');
    }
  });

  void test('metadata that was removed is not there where a server keeps its name', async () => {
    serve(() => ({ status: 204, headers: { 'x-container-meta-osf-dropped': '', 'x-container-meta-osf-database': 'db' } }));
    assert.deepEqual((await store.headContainer('c'))?.metadata, { 'osf-database': 'db' });
  });

  void test('an ETag that a proxy has called weak is that of the bytes', async () => {
    serve(() => ({ status: 201, headers: { etag: `W/"${MD5}"` } }));
    await store.put('c', BLOB, BODY, FEW);
    assert.deepEqual(asked, [`PUT /c/${BLOB}`]);
  });

  void test('a bulk delete that ends early, or names what failed in its own way, leaves no name out', async () => {
    const own = storeAt(swift.stub);
    const names = ['a b', 'c%d', 'e'];
    let result: Record<string, unknown> = {};
    const deleted: string[] = [];
    const answer = (what: string, request: StubRequest): StubAnswer => {
      if (request.url === '/info') return { status: 200, json: { swift: {}, bulk_delete: {} } };
      if (what === 'POST ') return { status: 200, json: result };
      if (what === 'HEAD /c') return { status: 204 };
      if (request.method === 'DELETE') deleted.push(decodeURIComponent(what.replace('DELETE /c/', '')));
      return { status: request.method === 'DELETE' ? 204 : 404 };
    };
    try {
      serve(answer);
      result = { 'Response Status': '403 Forbidden', 'Number Deleted': 1, 'Number Not Found': 0, Errors: [['c/a b', '403 Forbidden'], ['c/c%d', '403 Forbidden']] }; // prettier-ignore
      const { failed } = await own.deleteMany('c', names);
      assert.deepEqual([...failed.keys()], ['a b', 'c%d']);
      assert.deepEqual(deleted, []);
      // A line that Ceph cannot read is its last, and all that it has read is well; Swift ends after so many failures.
      result = { 'Response Status': '200 OK', 'Number Deleted': 1, 'Number Not Found': 0, Errors: [] };
      assert.equal((await own.deleteMany('c', names)).failed.size, 0);
      assert.deepEqual(deleted.splice(0).sort(), names);
      result = { 'Response Status': '400 Bad Request', 'Number Deleted': 0, 'Number Not Found': 0, Errors: [['/c/e', '409 Conflict']] };
      assert.deepEqual([...(await own.deleteMany('c', names)).failed.keys()], ['e']);
      assert.deepEqual(deleted.sort(), ['a b', 'c%d']);
    } finally {
      await own.close();
    }
  });

  void test('a Swift that gives fewer names a page than are asked for is asked for as many as it gives', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    serve((_what, _request, query) => {
      if (Number(query.get('limit') ?? 0) > 2) return { status: 412, text: 'Maximum limit is 2' };
      return { status: 200, json: names.filter((name) => name > (query.get('marker') ?? '')).slice(0, 2).map((name) => ({ name, bytes: 1 })) }; // prettier-ignore
    });
    assert.deepEqual(await listNames(store, 'c'), names);
    const containers: string[] = [];
    for await (const page of store.listContainers('')) containers.push(...page);
    assert.deepEqual(containers, names);
    serve(() => ({ status: 412, text: 'Bad URL' }));
    await assert.rejects(listNames(store, 'c'), /412 "Bad URL".*check storage_url/);
  });

  void test('names that were not asked for are left out, and do not end a listing', async () => {
    const names = ['a', 'b', 'odoo-1', 'odoo-2', 'z'];
    const listContainers = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const page of store.listContainers('odoo-')) found.push(...page);
      return found;
    };
    const pageOf = (query: URLSearchParams): string[] => names.filter((name) => name > (query.get('marker') ?? '')).slice(0, 2);
    // Ceph before 10 takes no prefix for the account.
    serve((_what, _request, query) => ({ status: 200, json: pageOf(query).map((name) => ({ name })) }));
    assert.deepEqual(await listContainers(), ['odoo-1', 'odoo-2']);
    // Later ones look for the prefix in a page that has none.
    const withPrefix = (query: URLSearchParams) => pageOf(query).filter((name) => name.startsWith('odoo-'));
    serve((_what, _request, query) => ({ status: 200, json: withPrefix(query).map((name) => ({ name })) }));
    assert.deepEqual(await listContainers(), ['odoo-1', 'odoo-2']);
    serve((_what, _request, query) => ({ status: 200, json: pageOf(query).map((name) => ({ name, bytes: 1 })) }));
    const found: string[] = [];
    for await (const page of store.list('c', { prefix: 'odoo-' })) found.push(...page.map(({ name }) => name));
    assert.deepEqual(found, ['odoo-1', 'odoo-2']);
    serve((_what, _request, query) => ({ status: 200, json: query.get('marker') === 'files' ? [{ name: 'files📁1' }] : [] }));
    for await (const page of store.listContainers('files📁')) assert.deepEqual(page, ['files📁1']);
    assert.equal(asked.length, 2);
  });

  void test('the times of a listing are read as Swift, Ceph and older Cephs write them', async () => {
    const times = ['2024-01-01T00:00:01.500000', '2024-01-01T00:00:01.500Z', '2024-01-01T00:00:01Z', '2024-01-01T00:00:01', 'never'];
    serve((_what, _request, query) => ({
      status: 200,
      json: query.has('marker') ? [] : times.map((last_modified, at) => ({ name: `n${at}`, bytes: 1, last_modified })),
    }));
    const begin = Date.parse('2024-01-01T00:00:00Z');
    for await (const page of store.list('c'))
      assert.deepEqual(page.map((o) => o.lastModifiedMs), [begin + 1_500, begin + 1_500, begin + 1_000, begin + 1_000, 0]); // prettier-ignore
  });

  void test('a listing that comes packed says so', async () => {
    serve(() => ({ status: 200, text: 'x', headers: { 'content-encoding': 'gzip' } }));
    await assert.rejects(listNames(store, 'c'), /came packed \(Content-Encoding: gzip\), which was not asked for/);
  });

  void test('an /info that is not Swift’s says nothing, and one that allows no bulk delete has none', async () => {
    const infoOf = async (json: unknown): ReturnType<SwiftStore['info']> => {
      serve(() => ({ status: 200, json }));
      const own = storeAt(swift.stub);
      try {
        return await own.info();
      } finally {
        await own.close();
      }
    };
    assert.equal((await infoOf({ message: 'welcome' })).staticLargeObjects, true);
    assert.equal((await infoOf({ swift: {}, bulk_delete: { max_deletes_per_request: 0 } })).bulkDeleteNames, undefined);
    const ceph = { bulk_delete: {}, swift: { max_file_size: 5368709120, version: '18.2.4', policies: [{ default: true, name: 'default-placement' }] }, slo: { max_manifest_segments: 1000 } }; // prettier-ignore
    const { bulkDeleteNames, maxFileBytes, maxSegments, staticLargeObjects } = await infoOf(ceph);
    assert.deepEqual([bulkDeleteNames, maxFileBytes, maxSegments, staticLargeObjects], [1000, 5368709120, 1000, true]);
  });

  void test('what a cache before Swift has kept is no word about what is there now', async () => {
    serve(() => ({ status: 404, headers: { age: '42' } }));
    await assert.rejects(store.head('c', BLOB, FEW), /404 .*as it was 42 s ago: a cache between us and Swift keeps its answers/);
    assert.equal(swift.stub.seen.at(-1)?.headers['cache-control'], 'no-cache');
  });

  void test('what a cache has kept of one object is no outage', async (t) => {
    const clock = new FakeClock();
    const settings = { ...TEST_SETTINGS, token: 't', storageUrl: `${swift.stub.url}/v1/AUTH_a` };
    const own = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit', clock });
    t.after(() => own.close());
    serve(() => ({ status: 404, headers: { age: '42' } }));
    for (let call = 0; call < 3; call++) {
      let isOver = false;
      const refused = assert.rejects(own.head('c', BLOB, { tries: 'few', timeoutMs: 600_000 }), /a cache between us and Swift/);
      void refused.finally(() => (isOver = true)).catch(() => undefined);
      while (!isOver) await clock.advance(10);
      await refused;
      await clock.advance(1_000);
    }
    assert.equal(asked.length, 9);
    assert.equal(own.health.state, 'closed');
  });

  void test('nothing is stored with a file beside what is its own: Swift keeps the Cache-Control of a PUT', async () => {
    serve((what) => ({ status: 201, headers: { etag: MD5, 'content-length': what.startsWith('HEAD') ? '1' : '0' } }));
    await store.put('c', 'o', BODY, FEW);
    await store.copy('c', 'o', 'c', 'p', FEW);
    await store.updateMetadata('c', 'o', { a: 'b' }, FEW);
    const writes = swift.stub.seen.filter(({ method }) => ['PUT', 'COPY', 'POST'].includes(method)).slice(-3);
    assert.deepEqual(writes.map(({ method, headers }) => [method, headers['cache-control']]), [['PUT', undefined], ['COPY', undefined], ['POST', undefined]]); // prettier-ignore
  });

  void test('a refusal says where a redirect leads, and what takes no large body', async () => {
    serve(() => ({ status: 301, headers: { location: 'https://me:secret@swift.example/v1/AUTH_a/c' }, stranger: true }));
    await assert.rejects(
      store.headContainer('c', FEW),
      /answered 301, go to https:\/\/me:\*+@swift\.example\/v1\/AUTH_a\/c .*set storage_url/,
    );
    serve(() => ({ status: 413, text: '<html>413 Request Entity Too Large</html>', stranger: true }));
    await assert.rejects(store.updateContainer('c', {}, FEW), /something between us and Swift takes no body of that size/);
  });

  void test('a body that is too large for what stands before Swift is not sent again as one segment', async () => {
    serve((what, { body }) => {
      if (what.startsWith('PUT') && body.length > 1_000) return { status: 413, text: '<html>nginx</html>', stranger: true };
      return what.startsWith('HEAD') ? { status: 404 } : { status: 201 };
    });
    const large = { sizeBytes: 2_000, md5: MD5, read: () => Buffer.alloc(2_000) };
    await assert.rejects(
      store.put('c', BLOB, large, FEW),
      /413.*\(nginx: client_max_body_size\), takes no 2000 bytes at once; .*segment_size/,
    );
    assert.deepEqual(asked.filter((what) => what.startsWith('PUT')), [`PUT /c/${BLOB}`]); // prettier-ignore
  });

  void test('a time-out in the words of Ceph is none of the request, and is tried again', async () => {
    serve((what) =>
      what.startsWith('PUT') && asked.length === 1 ? { status: 400, text: 'RequestTimeout' } : { status: 201, headers: { etag: MD5 } },
    );
    await store.put('c', BLOB, BODY, FEW);
    assert.equal(asked.length, 2);
  });

  void test('an object that fails through a proxy that leaves one of the two ids is no outage', async () => {
    serve(() => ({ status: 503, headers: { 'x-openstack-request-id': 'tx1' }, stranger: true }));
    await assert.rejects(store.head('c', 'o', { tries: 'few', timeoutMs: 2_000 }), (error) => {
      assert.ok(error instanceof StoreFaltered);
      assert.match(error.message, /transaction tx1/);
      return true;
    });
    await store.probe();
  });
});

void describe('a gateway that tells accounts by the token', () => {
  void test('has as many accounts as there are projects, under one URL', async (t) => {
    let project = 'p1';
    const keystone = await LoginStub.start(() => ({
      status: 201,
      headers: { 'x-subject-token': 't' },
      json: { token: { project: { id: project, name: 'odoo' }, catalog: [{ type: 'object-store', endpoints: [{ interface: 'public', url: 'http://rgw.example/swift/v1' }] }] } }, // prettier-ignore
    }));
    t.after(() => keystone.close());
    const accountIn = async (): Promise<string> => {
      const settings = { ...TEST_SETTINGS, authUrl: `${keystone.url}/v3`, username: 'u', password: 'p', projectName: 'odoo' };
      const store = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit' });
      try {
        return await store.account();
      } finally {
        await store.close();
      }
    };
    const first = await accountIn();
    assert.equal(await accountIn(), first);
    project = 'p2';
    assert.notEqual(await accountIn(), first);
  });

  void test('refuses an expired token with 403, and each request that was on its way goes on with a new one', async (t) => {
    const clock = new FakeClock();
    let logins = 0;
    let good = 't1';
    const server = await LoginStub.start(({ url, headers }) => {
      if (url === '/v3/auth/tokens')
        return { status: 201, headers: { 'x-subject-token': `t${++logins}` }, json: { token: { project: { id: 'p' } } } };
      return headers['x-auth-token'] === good ? { status: 200, headers: { etag: MD5, 'content-length': '1' } } : { status: 403 };
    });
    const settings = {
      ...TEST_SETTINGS,
      authUrl: `${server.url}/v3`,
      username: 'u',
      password: 'p',
      storageUrl: `${server.url}/swift/v1/AUTH_p`,
    };
    const store = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit', clock });
    t.after(async () => {
      await store.close();
      await server.close();
    });
    assert.equal((await store.head('c', 'o'))?.sizeBytes, 1);
    await clock.advance(600_000);
    good = 't2';
    const heads = await Promise.all(Array.from({ length: 6 }, () => store.head('c', 'o')));
    assert.deepEqual(heads.map((info) => info?.sizeBytes), [1, 1, 1, 1, 1, 1]); // prettier-ignore
    assert.equal(logins, 2);
  });
});

void test('an error page without an end is not waited for', { timeout: 20_000 }, async (t) => {
  const server = http.createServer((_request, response) => {
    response.writeHead(403, { 'x-trans-id': 'tx1' });
    const more = setInterval(() => response.write('x'.repeat(4096)), 5);
    response.on('close', () => clearInterval(more));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const storageUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/AUTH_a`;
  const store = createSwiftStore({ ...TEST_SETTINGS, token: 't', storageUrl }, { log: SILENT_LOG, userAgent: 'unit' });
  t.after(async () => {
    await store.close();
    server.closeAllConnections();
    server.close();
  });
  await assert.rejects(store.get('c', 'o'), { kind: 'forbidden' });
});
