/** Answers of something that stands in Swift's place: none of them may be taken for a word about an object or a container. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import { isSwiftsOwn } from '../../../src/swift/requests/own-answer.js';
import type { HttpMethod } from '../../../src/swift/requests/wire.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { LoginStub, type StubAnswer } from '../../helpers/keystone-v2-stub.js';
import { listNames } from '../../helpers/store-bytes.js';
import { storeAt } from '../../helpers/stub-store.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

const PAGE = '<html>welcome</html>';
const BLOB = `aa/${'a'.repeat(40)}`;
const MD5 = '9a0364b9e99bb480dd25e1f0284c8555';

void describe("whether an answer is Swift's own", () => {
  const traced = { 'x-trans-id': 'tx1' };
  const rows: [boolean, HttpMethod, string, number, Record<string, string>, string][] = [
    [false, 'HEAD', '/c/o', 404, {}, 'a 404 of anybody'],
    [true, 'HEAD', '/c/o', 404, traced, "Swift's 404"],
    [true, 'DELETE', '/c/o', 404, { 'x-openstack-request-id': 'tx1' }, 'a 404 with the other name of its id'],
    [false, 'HEAD', '/c/o', 200, { 'content-length': '12' }, 'a page in place of an object'],
    [false, 'HEAD', '/c/o', 204, {}, '204 to everything'],
    [false, 'GET', '/c/o', 200, { etag: 'x', 'last-modified': 'x' }, 'a file of a web server'],
    [true, 'GET', '/c/o', 200, { ...traced, etag: MD5 }, 'an object'],
    [true, 'GET', '/c/o', 206, { ...traced, etag: MD5 }, 'a part of an object'],
    [true, 'HEAD', '/c/o', 200, { etag: MD5, 'x-timestamp': '1' }, 'an object through a proxy that takes the id away'],
    [true, 'HEAD', '/c/o', 200, { ...traced, 'x-object-manifest': 'c/p' }, 'a DLO too long for an ETag'],
    [false, 'HEAD', '/c/o', 200, traced, 'an object without an ETag'],
    [true, 'DELETE', '/c/o', 204, traced, 'a delete'],
    [false, 'DELETE', '/c/o', 204, {}, 'a delete that nobody carried out'],
    [false, 'PUT', '/c/o', 201, {}, 'a PUT to nobody'],
    [true, 'HEAD', '/c', 204, { 'x-container-object-count': '0' }, 'a container'],
    [false, 'HEAD', '/c', 204, {}, 'no container'],
    [true, 'HEAD', '/c', 204, traced, 'a container through a proxy that takes its count away'],
    [false, 'GET', '/c', 200, {}, 'a listing of nobody'],
    [true, 'GET', '/c', 200, traced, 'a listing'],
    [true, 'HEAD', '', 204, { 'x-account-container-count': '1' }, 'the account'],
    [false, 'HEAD', '', 200, {}, 'no account'],
    [true, 'PUT', '/c/o', 413, {}, 'a limit of a proxy, which is no word about what is stored'],
    [true, 'HEAD', '/c/o', 503, {}, 'an error'],
    [false, 'HEAD', '/c/o', 404, { ...traced, age: '30' }, 'a 404 that a cache has kept'],
    [true, 'HEAD', '/c/o', 404, { ...traced, age: '0' }, 'a 404 that a cache has asked for'],
    [false, 'HEAD', '/c', 204, { ...traced, age: '30' }, 'a container of a cache'],
    [false, 'GET', '', 200, { ...traced, age: '30' }, "an account's list of a cache"],
    [true, 'GET', `/c/${BLOB}`, 200, { ...traced, etag: MD5, age: '30' }, 'bytes of a cache, whose hash is checked'],
    [false, 'GET', '/c/o', 200, { ...traced, etag: MD5, age: '30' }, 'bytes of a cache, which may have been replaced'],
    [false, 'HEAD', `/c/${BLOB}`, 200, { ...traced, etag: MD5, age: '30' }, 'an object of a cache, which may have been deleted'],
  ];
  for (const [expected, method, path, status, headers, what] of rows) {
    void test(`${expected ? 'believed' : 'not believed'}: ${what} (${method} ${path === '' ? 'the account' : path} ${status})`, () => {
      assert.equal(isSwiftsOwn({ method, path }, status, headers, 10), expected);
    });
  }

  void test('an age that is no more than the request took is no other answer', () => {
    const isBelieved = (tookMs: number): boolean => isSwiftsOwn({ method: 'GET', path: '/c' }, 200, { ...traced, age: '3' }, tookMs);
    assert.deepEqual([isBelieved(2_900), isBelieved(3_100), isBelieved(-1)], [false, true, false]);
    assert.equal(isSwiftsOwn({ method: 'GET', path: '/c' }, 200, { ...traced, age: '0' }, -1), true);
  });
});

void describe('something else answers in the place of Swift', () => {
  let stub: LoginStub;
  let store: SwiftStore;
  before(async () => {
    stub = await LoginStub.start(() => ({ status: 404 }));
  });
  after(async () => {
    await stub.close();
  });

  const body = { sizeBytes: 1, md5: MD5, read: () => Buffer.from('x') };
  const calls: Record<string, () => Promise<unknown>> = {
    head: () => store.head('c', 'o'),
    get: () => store.get('c', 'o'),
    'get of a range': () => store.get('c', 'o', { range: { start: 1, end: 2 } }),
    put: () => store.put('c', 'aa/' + 'a'.repeat(40), body),
    delete: () => store.delete('c', 'o'),
    deleteMany: () => store.deleteMany('c', ['o']),
    copy: () => store.copy('c', 'o', 'c', 'aa/' + 'a'.repeat(40)),
    updateMetadata: () => store.updateMetadata('c', 'o', {}),
    list: () => listNames(store, 'c'),
    headContainer: () => store.headContainer('c'),
    createContainer: () => store.createContainer('c'),
    updateContainer: () => store.updateContainer('c', {}),
    deleteContainer: () => store.deleteContainer('c'),
    listContainers: async () => {
      for await (const page of store.listContainers('')) assert.fail(page.join());
    },
    probe: () => store.probe(),
  };
  const strangers: Record<string, StubAnswer> = {
    'a load balancer without a server behind it': { status: 404, text: PAGE },
    'a maintenance page': { status: 200, text: PAGE, headers: { 'content-type': 'text/html' } },
    '204 to everything': { status: 204 },
  };
  for (const [what, answer] of Object.entries(strangers)) {
    void test(`${what} is an outage for every request, and says what to look at`, async () => {
      stub.answerWith(() => ({ ...answer, stranger: true }));
      for (const [name, call] of Object.entries(calls)) {
        store = storeAt(stub);
        try {
          await assert.rejects(call(), /something else answered in Swift's place; check proxies/, name);
        } finally {
          await store.close();
        }
      }
    });
  }

  void test('the account is the last part of the storage URL, by whichever name or path the server is reached', async () => {
    const at = async (storageUrl: string): Promise<string> => {
      const one = createSwiftStore({ ...TEST_SETTINGS, token: 't', storageUrl }, { log: SILENT_LOG, userAgent: 'unit' });
      try {
        return await one.account();
      } finally {
        await one.close();
      }
    };
    assert.equal(await at('http://a.example:8080/v1/AUTH_a/'), 'AUTH_a');
    assert.equal(await at('https://b.example/v1/AUTH_a'), 'AUTH_a');
    assert.equal(await at('https://proxy.example/object-store/swift/v1/AUTH_a'), 'AUTH_a');
  });
});
