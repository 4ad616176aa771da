/** What goes wrong between us and a real Swift, method by method, and what the caller sees of it. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { kindOf, messageOf, StoreFaltered, type ErrorKind } from '../../src/base/errors.js';
import type { SwiftSettings } from '../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { bytesOf } from '../helpers/blobs.js';
import { FaultProxy, type Rule } from '../helpers/fault-proxy.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, drain, listNames, readBytes } from '../helpers/store-bytes.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const CONTAINER = 'fault';
const ACCOUNT = /^\/v1\//;

void describe('faults on the way to Swift', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let store: SwiftStore;
  const log = new LogGuard();
  const stores: SwiftStore[] = [];

  const makeStore = (changed: Partial<SwiftSettings> = {}): SwiftStore => {
    const made = createSwiftStore(tempauthSettings(proxy.authUrl, changed), { log: log.log(), userAgent: 'fault' });
    stores.push(made);
    return made;
  };
  const failsAs = async (promise: Promise<unknown>, kind: ErrorKind, message: RegExp): Promise<void> => {
    await assert.rejects(promise, (error) => {
      assert.equal(kindOf(error), kind, messageOf(error));
      assert.match(messageOf(error), message);
      return true;
    });
  };

  before(async () => {
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    store = makeStore();
    await store.createContainer(CONTAINER);
    await store.put(CONTAINER, 'seed', bodyOf('seed'));
    await store.put(CONTAINER, 'large', bodyOf(bytesOf(4, 500_000)));
  });
  beforeEach(() => {
    proxy.clear();
    proxy.resetCounts();
  });
  after(async () => {
    await Promise.all(stores.map((made) => made.close()));
    await proxy.close();
    await swift.stop();
    log.assertQuiet();
  });

  /** Each call of the port, with the HTTP method it stands on and a check that it did its work. */
  const calls: { name: string; method: string; run: (tag: string) => Promise<void> }[] = [
    {
      name: 'put',
      method: 'PUT',
      run: async (tag) => {
        await store.put(CONTAINER, `put-${tag}`, bodyOf(tag));
        assert.equal((await readBytes(store, CONTAINER, `put-${tag}`))?.toString(), tag);
      },
    },
    { name: 'get', method: 'GET', run: async () => assert.equal((await readBytes(store, CONTAINER, 'seed'))?.toString(), 'seed') },
    { name: 'head', method: 'HEAD', run: async () => assert.equal((await store.head(CONTAINER, 'seed'))?.sizeBytes, 4) },
    { name: 'updateMetadata', method: 'POST', run: async () => assert.equal(await store.updateMetadata(CONTAINER, 'seed', { a: 'b' }), true) },
    { name: 'copy', method: 'COPY', run: async (tag) => assert.equal(await store.copy(CONTAINER, 'seed', CONTAINER, `copy-${tag}`), true) },
    {
      name: 'delete',
      method: 'DELETE',
      run: async (tag) => {
        await store.put(CONTAINER, `delete-${tag}`, bodyOf(tag));
        assert.equal(await store.delete(CONTAINER, `delete-${tag}`), true);
        assert.equal(await store.head(CONTAINER, `delete-${tag}`), undefined);
      },
    },
    { name: 'list', method: 'GET', run: async () => assert.ok((await listNames(store, CONTAINER)).includes('seed')) },
    { name: 'headContainer', method: 'HEAD', run: async () => assert.ok((await store.headContainer(CONTAINER)) !== undefined) },
    { name: 'createContainer', method: 'PUT', run: async (tag) => assert.ok(['created', 'existed'].includes(await store.createContainer(`fault-${tag}`))) },
  ]; // prettier-ignore

  const faults: { name: string; rule: Rule }[] = [
    { name: 'connection reset', rule: { do: 'reset' } },
    { name: 'answer lost', rule: { do: 'lost' } },
    { name: '401', rule: { do: 'status', status: 401 } },
    { name: '408', rule: { do: 'status', status: 408 } },
    { name: '429 with Retry-After', rule: { do: 'status', status: 429, headers: { 'retry-after': '0.2' } } },
    { name: '498', rule: { do: 'status', status: 498 } },
    { name: '503 while sending', rule: { do: 'status', status: 503, early: true } },
    { name: '507', rule: { do: 'status', status: 507 } },
  ];

  for (const { name, method, run } of calls) {
    for (const fault of faults) {
      void test(`${name} gets over one ${fault.name}`, async () => {
        proxy.add({ ...fault.rule, method, path: ACCOUNT, times: 1 });
        await run(fault.name.replace(/\W/g, '-'));
        assert.ok(proxy.seen.some((request) => request.fault === fault.rule.do), 'the fault was met'); // prettier-ignore
      });
    }
  }

  void test('a PUT whose answer was lost is settled by its ETag and not sent again', async () => {
    proxy.add({ do: 'lost', method: 'PUT', times: 1 });
    await store.put(CONTAINER, 'lost', bodyOf('settled'));
    assert.equal(proxy.counts()['PUT'], 1);
    assert.equal(proxy.counts()['HEAD'], 1);
  });

  void test('a PUT cut off half way is sent again whole', async () => {
    const bytes = bytesOf(3, 600_000);
    proxy.add({ do: 'half', bytes: 100_000, method: 'PUT', times: 1 });
    await store.put(CONTAINER, 'half', bodyOf(bytes));
    assert.deepEqual(await readBytes(store, CONTAINER, 'half'), bytes);
  });

  void test('a PUT whose answer carries another ETag is corrupt, and undone', async () => {
    for (const method of ['PUT', 'HEAD']) proxy.add({ do: 'headers', headers: { etag: '0'.repeat(32) }, method, times: 1 });
    await failsAs(store.put(CONTAINER, 'other-etag', bodyOf('x')), 'corrupt', /MD5/);
    assert.equal(await store.head(CONTAINER, 'other-etag'), undefined);
  });

  for (const [what, headers] of Object.entries({ none: { etag: '' }, "another answer's": { etag: '0'.repeat(32) } })) {
    void test(`a PUT whose answer has ${what} ETag is asked after, and takes nothing away that another node was told is stored`, async () => {
      await store.put(CONTAINER, 'told-elsewhere', bodyOf('same'));
      proxy.resetCounts();
      proxy.add({ do: 'headers', headers, method: 'PUT', times: 1 });
      await store.put(CONTAINER, 'told-elsewhere', bodyOf('same'));
      assert.deepEqual([proxy.counts()['HEAD'], proxy.counts()['DELETE']], [1, undefined]);
      proxy.add(
        { do: 'headers', headers, method: 'PUT', times: 1 },
        { do: 'headers', headers: { etag: '1'.repeat(32) }, method: 'HEAD', times: 1 },
      );
      await failsAs(store.put(CONTAINER, 'told-elsewhere', bodyOf('same')), 'unavailable', /there are 1111/);
      assert.equal((await readBytes(store, CONTAINER, 'told-elsewhere'))?.toString(), 'same');
    });
  }

  void test('a PUT that Swift does not carry out, because a server whose clock was ahead has stored other bytes there, is not taken for stored', async () => {
    await store.put(CONTAINER, 'ahead', bodyOf('before'));
    const inAnHour = String(Date.now() / 1000 + 3600);
    proxy.add({ do: 'status', status: 202, method: 'PUT', headers: { 'x-trans-id': 'tx1' } });
    await store.put(CONTAINER, 'ahead', bodyOf('overtaken'));
    proxy.add({ do: 'headers', method: 'HEAD', headers: { 'x-timestamp': inAnHour } });
    await failsAs(store.put(CONTAINER, 'ahead', bodyOf('after')), 'unavailable', /dated .*the clocks of its servers agree/);
    await store.put(CONTAINER, 'ahead', bodyOf('before'));
  });

  void test('a COPY that Swift does not carry out for the same reason is not taken for done', async () => {
    await store.put(CONTAINER, 'source', bodyOf('source'));
    await store.put(CONTAINER, 'ahead-copy', bodyOf('before'));
    proxy.add({ do: 'status', status: 202, method: 'COPY', headers: { 'x-trans-id': 'tx1' } });
    proxy.add({ do: 'headers', method: 'HEAD', path: /ahead-copy/, headers: { 'x-timestamp': String(Date.now() / 1000 + 3600) } });
    await failsAs(
      store.copy(CONTAINER, 'source', CONTAINER, 'ahead-copy'),
      'unavailable',
      /^COPY .*dated .*the clocks of its servers agree/,
    );
  });

  void test('a COPY that something on the way does not let through is made by a PUT, with the same metadata', async () => {
    const { length } = proxy.seen;
    proxy.add({ do: 'status', status: 405, method: 'COPY' });
    await store.put(CONTAINER, 'labelled', bodyOf('labelled'), { metadata: { closed: '1', mtime: '2' } });
    const copied = async (name: string, options: object): Promise<unknown> => {
      assert.equal(await store.copy(CONTAINER, 'labelled', CONTAINER, name, options), true);
      return (await store.head(CONTAINER, name))?.metadata;
    };
    assert.deepEqual(await copied('by-put-1', {}), { closed: '1', mtime: '2' });
    assert.deepEqual(await copied('by-put-2', { addedMetadata: { closed: '3' } }), { closed: '3', mtime: '2' });
    assert.deepEqual(await copied('by-put-3', { metadata: { new: '4' } }), { new: '4' });
    assert.equal(await store.copy(CONTAINER, 'not-there', CONTAINER, 'by-put-4'), false);
    await failsAs(store.copy(CONTAINER, 'labelled', 'no-such-container', 'x'), 'not-found', /no-such-container does not exist/);
    assert.ok(proxy.seen.slice(length).some(({ headers }) => headers['x-copy-from'] !== undefined));
  });

  void test('a COPY whose answer is lost is done, and one that was not done is sent again, also where the same bytes stood there', async () => {
    const addedMetadata = { closed: '2' };
    await store.put(CONTAINER, 'twin', bodyOf('seed'), { metadata: { closed: '1' } });
    proxy.add({ do: 'reset', method: 'COPY', times: 1 }, { do: 'lost', method: 'COPY' });
    assert.equal(await store.copy(CONTAINER, 'seed', CONTAINER, 'twin', { addedMetadata }), true);
    assert.equal(proxy.counts()['COPY'], 2);
    assert.equal((await store.head(CONTAINER, 'twin'))?.metadata['closed'], '2');
  });

  void test('a COPY whose answer never comes is done when its time is over, if Swift has done it', async () => {
    const [metadata, timeoutMs] = [{ closed: '3' }, 1_000];
    proxy.add({ do: 'hang', method: 'COPY' });
    await failsAs(
      store.copy(CONTAINER, 'seed', CONTAINER, 'slow', { addedMetadata: metadata, timeoutMs }),
      'unavailable',
      /no answer within/,
    );
    await store.put(CONTAINER, 'slow', bodyOf('seed'), { metadata });
    assert.equal(await store.copy(CONTAINER, 'seed', CONTAINER, 'slow', { addedMetadata: metadata, timeoutMs }), true);
  });

  void test('a PUT that was not done is sent again, also where the same bytes stood there', async () => {
    await store.put(CONTAINER, 'again', bodyOf('again'), { metadata: { mtime: '1' } });
    proxy.resetCounts();
    proxy.add({ do: 'reset', method: 'PUT', times: 1 });
    await store.put(CONTAINER, 'again', bodyOf('again'), { metadata: { mtime: '2' } });
    assert.equal(proxy.counts()['PUT'], 2);
    assert.equal((await store.head(CONTAINER, 'again'))?.metadata['mtime'], '2');
  });

  void test('the date of an error that is not Swift’s own says nothing of Swift’s clock', async () => {
    const before = store.clockAheadMs;
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString();
    proxy.add({ do: 'status', status: 503, method: 'HEAD', headers: { date: inAnHour }, times: 1 });
    await store.head(CONTAINER, 'no-such-object');
    assert.equal(store.clockAheadMs, before);
  });

  void test('a PUT answered with 202 while a DELETE won is sent once more', async () => {
    proxy.add({ do: 'status', status: 202, method: 'PUT', times: 1 });
    await store.put(CONTAINER, 'superseded', bodyOf('mine'));
    assert.equal((await readBytes(store, CONTAINER, 'superseded'))?.toString(), 'mine');
    assert.equal(proxy.counts()['PUT'], 2);
  });

  void test('a body that is cut short ends in an error, never as a shorter body', async () => {
    proxy.add({ do: 'truncate', bytes: 70_000, method: 'GET', times: 1 });
    const read = await store.get(CONTAINER, 'large');
    assert.ok(read !== undefined);
    await failsAs(drain(read.body), 'unavailable', /GET .*large \(transaction tx.*attempt 1\)/);
    assert.equal(store.stalledMs, 0);
  });

  void test('a body that stalls ends in an error after the stall time', async () => {
    const impatient = makeStore({ stallTimeoutMs: 1500 });
    proxy.add({ do: 'stall', bytes: 70_000, method: 'GET', path: ACCOUNT, times: 1 });
    const read = await impatient.get(CONTAINER, 'large');
    assert.ok(read !== undefined);
    await failsAs(drain(read.body), 'unavailable', /stalled/);
  });

  void test('a body nobody wants any more gives its connection back', async () => {
    const narrow = makeStore({ connections: 1 });
    for (let i = 0; i < 3; i++) {
      const read = await narrow.get(CONTAINER, 'large');
      read?.body.destroy();
    }
    assert.equal((await narrow.head(CONTAINER, 'large'))?.sizeBytes, 500_000);
    assert.equal(narrow.stalledMs, 0);
  });

  void test('a server that never answers is given up when the time of the call is over', async () => {
    const patient = makeStore();
    await patient.login();
    proxy.add({ do: 'hang', method: 'HEAD' });
    await failsAs(patient.head(CONTAINER, 'seed', { timeoutMs: 400 }), 'unavailable', /no answer within 400 ms/);
    const caller = new AbortController();
    const hung = patient.head(CONTAINER, 'seed', { signal: caller.signal });
    setTimeout(() => caller.abort(), 100);
    await failsAs(hung, 'interrupted', /given up by the caller/);
    assert.equal(patient.health.state, 'closed');
    assert.equal(patient.stalledMs, 0);
  });

  void test('a Retry-After beyond the time of the call is not waited for', async () => {
    proxy.add({ do: 'status', status: 503, headers: { 'retry-after': '14388' }, method: 'HEAD', path: ACCOUNT });
    const startedMs = Date.now();
    await failsAs(store.head(CONTAINER, 'seed'), 'unavailable', /answered 503/);
    assert.ok(Date.now() - startedMs < 20_000);
  });

  void test('who tries again by itself has three attempts, and a 503 of Swift for one object is no outage', async () => {
    proxy.add({ do: 'status', status: 503, headers: { 'x-trans-id': 'tx1' }, method: 'PUT' });
    await assert.rejects(store.put(CONTAINER, 'unlucky', bodyOf('x'), { tries: 'few' }), StoreFaltered);
    assert.equal(proxy.counts()['PUT'], 3);
    assert.equal(store.health.state, 'closed');
  });

  void test('a token that is refused for ever costs one login a call, and is an outage', async () => {
    await store.login();
    proxy.add({ do: 'status', status: 401, method: 'HEAD', path: ACCOUNT });
    await failsAs(store.head(CONTAINER, 'seed'), 'unavailable', /issued just now/);
    assert.equal(proxy.counts()['AUTH'], 1);
    assert.equal(proxy.counts()['HEAD'], 2);
  });

  void test('what Swift refuses for good is not repeated, and says what to do', async () => {
    const refusals: [number, string, ErrorKind, RegExp][] = [
      [403, '', 'forbidden', /role/],
      [412, 'Invalid UTF8 or contains NULL', 'invalid-name', /UTF-8/],
    ];
    for (const [status, text, kind, message] of refusals) {
      proxy.clear();
      proxy.resetCounts();
      proxy.add({ do: 'status', status, text, method: 'PUT' });
      await failsAs(store.put(CONTAINER, 'refused', bodyOf('x')), kind, message);
      assert.equal(proxy.counts()['PUT'], 1);
    }
    proxy.clear();
    proxy.add({ do: 'status', status: 413, text: 'Upload exceeds quota.', method: 'PUT' });
    await failsAs(store.put(CONTAINER, 'refused', bodyOf('x')), 'no-space', /quota/);
    proxy.clear();
    proxy.resetCounts();
    proxy.add({ do: 'status', status: 507, method: 'PUT' });
    await failsAs(store.put(CONTAINER, 'refused', bodyOf('x')), 'no-space', /507.*attempt 3/);
    assert.equal(proxy.counts()['PUT'], 3);
  });

  void test('a source that cannot be read is its own error, and no fault of Swift', async () => {
    const broken = { ...bodyOf('12345678'), read: () => { throw new Error('the spool is unreadable'); } }; // prettier-ignore
    await assert.rejects(store.put(CONTAINER, 'broken', broken), /spool is unreadable/);
    assert.equal(store.health.state, 'closed');
    assert.equal(store.stalledMs, 0);
  });

  void test('when Swift is gone calls soon fail at once, and its return is noticed by itself', async () => {
    const own = makeStore();
    await own.login();
    await proxy.down();
    await failsAs(own.head(CONTAINER, 'seed'), 'unavailable', /HEAD 127\.0\.0\.1:\d+\/v1\/AUTH_test\/fault\/seed/);
    assert.notEqual(own.health.state, 'closed');
    assert.match(own.health.lastError ?? '', /refused|closed|reset/);
    const sentBefore = own.requestCounts['HEAD'];
    await failsAs(own.head(CONTAINER, 'seed'), 'unavailable', /has not answered for/);
    assert.ok((own.requestCounts['HEAD'] ?? 0) - (sentBefore ?? 0) <= 1);
    await failsAs(own.probe({ timeoutMs: 2000 }), 'unavailable', /HEAD/);
    await proxy.up();
    await own.probe();
    assert.equal(own.health.state, 'closed');
    assert.equal((await own.head(CONTAINER, 'seed'))?.sizeBytes, 4);
  });

  void test('a wrong key is told as such at the first login', async () => {
    const wrong = makeStore({ password: 'not-the-key' });
    await failsAs(wrong.login(), 'bad-credentials', /user or key is wrong/);
    await failsAs(wrong.head(CONTAINER, 'seed'), 'bad-credentials', /user or key is wrong/);
  });

  void test("another account's container is forbidden", async () => {
    const stranger = makeStore({ username: 'test:tester3', password: 'testing3' });
    await failsAs(stranger.head(CONTAINER, 'seed'), 'forbidden', /role/);
  });
});
