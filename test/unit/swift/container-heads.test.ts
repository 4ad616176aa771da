/** What a container's 404 is worth. The real Swift that says it without reason: test/fault/swift-servers.test.ts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { FakeClock } from '../../helpers/clock.js';
import { LoginStub } from '../../helpers/keystone-v2-stub.js';
import { storeAt } from '../../helpers/stub-store.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

void describe('a container that answers 404', () => {
  let stub: LoginStub;
  let store: SwiftStore;
  /** What the account lists, or the status it answers with. */
  let account: readonly string[] | number = [];
  let asked: string[] = [];
  /** The container is there, and is called missing until the account has been asked. */
  let isForgotten = false;

  before(async () => {
    stub = await LoginStub.start(() => ({ status: 404 }));
    stub.answerWith(({ method, url }) => {
      const { pathname } = new URL(url, stub.url);
      asked.push(`${method} ${pathname}`);
      if (pathname !== '/v1/AUTH_a') return { status: isForgotten && asked.includes('GET /v1/AUTH_a') ? 204 : 404 };
      return typeof account === 'number' ? { status: account } : { status: 200, json: account.map((name) => ({ name })) };
    });
    store = storeAt(stub);
  });
  after(async () => {
    await store.close();
    await stub.close();
  });

  void test('is missing where its account does not list it, or one whose name only begins like it', async () => {
    for (account of [[], ['box2']]) {
      asked = [];
      assert.equal(await store.headContainer('box'), undefined);
      assert.deepEqual(asked, ['HEAD /v1/AUTH_a/box', 'GET /v1/AUTH_a', 'HEAD /v1/AUTH_a/box']);
    }
  });

  void test('is missing where we may not ask the account', async () => {
    account = 403;
    assert.equal(await store.headContainer('box'), undefined);
  });

  void test('is missing too where its account goes on listing it, as after a removal that it did not hear of', async () => {
    account = ['box'];
    asked = [];
    assert.equal(await store.headContainer('box'), undefined);
    const look = ['GET /v1/AUTH_a', 'HEAD /v1/AUTH_a/box'];
    assert.deepEqual(asked, ['HEAD /v1/AUTH_a/box', ...look, ...look, ...look]);
  });

  void test('is there where it says so as soon as its account has answered', async () => {
    account = ['box'];
    [isForgotten, asked] = [true, []];
    assert.notEqual(await store.headContainer('box'), undefined);
    isForgotten = false;
  });

  void test('has objects that are looked for once more where Swift has several policies, unless it answered a moment ago', async (t) => {
    let policies = ['a', 'b'];
    let own = 'a';
    const asked: string[] = [];
    const swift = await LoginStub.start(({ method, url }) => {
      const { pathname } = new URL(url, 'http://swift');
      if (pathname === '/info') return { status: 200, json: { swift: { policies: policies.map((name) => ({ name })) } } };
      asked.push(`${method} ${pathname}`);
      return { status: pathname.endsWith('/name') ? 404 : 204, headers: { 'x-storage-policy': own } };
    });
    const clock = new FakeClock();
    const open = (): SwiftStore => {
      const settings = { ...TEST_SETTINGS, token: 't', storageUrl: `${swift.url}/v1/AUTH_a` };
      const opened = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit', clock });
      t.after(() => opened.close());
      return opened;
    };
    t.after(() => swift.close());
    const several = open();
    const requestsOf = async (look: () => Promise<unknown>): Promise<string> => {
      asked.length = 0;
      assert.equal(await look(), undefined);
      return asked.join(', ').replaceAll('/v1/AUTH_a/', '');
    };
    assert.equal(await requestsOf(() => several.head('box', 'name')), 'HEAD box/name, HEAD box, HEAD box/name');
    assert.equal(await requestsOf(() => several.get('box', 'name')), 'GET box/name');
    await clock.advance(1_000);
    assert.equal(await requestsOf(() => several.get('box', 'name')), 'GET box/name, HEAD box, GET box/name');
    policies = ['a'];
    const one = open();
    const afterLook = async (): Promise<string> => {
      await one.headContainer('box');
      await clock.advance(1_000);
      return requestsOf(() => one.head('box', 'name'));
    };
    assert.equal(await afterLook(), 'HEAD box/name');
    own = 'deprecated';
    assert.equal(await afterLook(), 'HEAD box/name, HEAD box, HEAD box/name');
  });

  void test('is not asked for once more where it is that of segments, beside one whose file goes', async (t) => {
    const asked: string[] = [];
    const swift = await LoginStub.start(({ method, url }) => {
      const { pathname } = new URL(url, 'http://swift');
      if (pathname !== '/info') asked.push(`${method} ${pathname.replace('/v1/AUTH_a', '')}`);
      return pathname === '/v1/AUTH_a' ? { status: 200, json: [] } : { status: method === 'DELETE' ? 204 : 404 };
    });
    const small = storeAt(swift);
    t.after(async () => {
      await small.close();
      await swift.close();
    });
    assert.equal(await small.delete('box', 'name'), true);
    assert.deepEqual(asked, ['HEAD /box_segments', 'GET ', 'HEAD /box_segments', 'DELETE /box/name']);
  });

  void test('has its object updated, once it has answered, though the update was told that it is missing', async (t) => {
    const asked: string[] = [];
    const swift = await LoginStub.start(({ method, url }) => {
      const { pathname } = new URL(url, 'http://swift');
      asked.push(`${method} ${pathname.replace('/v1/AUTH_a/', '')}`);
      if (method === 'POST') return { status: asked.includes('HEAD box') ? 202 : 404 };
      return { status: 200, headers: { etag: '"x"' } };
    });
    const updating = storeAt(swift);
    t.after(async () => {
      await updating.close();
      await swift.close();
    });
    assert.equal(await updating.updateMetadata('box', 'name', { a: 'b' }), true);
    assert.deepEqual(asked, ['HEAD box/name', 'POST box/name', 'HEAD box', 'HEAD box/name', 'POST box/name']);
  });

  void test('keeps a large object that was called missing with its segments, until it is deleted', async (t) => {
    const LARGE = { 'x-static-large-object': 'True', etag: '"x"' };
    const deletes: string[] = [];
    const swift = await LoginStub.start(({ method, url }) => {
      const { pathname, searchParams } = new URL(url, 'http://swift');
      if (method === 'DELETE') {
        deletes.push(pathname);
        const found = deletes.length > 1 ? 2 : 0;
        return { status: 200, json: { 'Response Status': '200 OK', 'Number Deleted': found, 'Number Not Found': 2 - found, Errors: [] } };
      }
      if (searchParams.get('multipart-manifest') === 'get') return { status: 200, json: [], headers: LARGE };
      if (pathname.endsWith('/name')) return deletes.length > 1 ? { status: 404 } : { status: 200, headers: LARGE };
      return { status: 204 };
    });
    const large = storeAt(swift);
    t.after(async () => {
      await large.close();
      await swift.close();
    });
    assert.equal(await large.delete('box', 'name'), true);
    assert.deepEqual(deletes, ['/v1/AUTH_a/box/name', '/v1/AUTH_a/box/name']);
  });

  void test('hears a listing, a delete and an update, which say the same without reason, as unavailable', async () => {
    account = 503;
    const listing = async (): Promise<void> => {
      for await (const page of store.list('box', { tries: 'few', timeoutMs: 500 })) assert.fail(`listed ${page.length}`);
    };
    await assert.rejects(listing(), { kind: 'unavailable' });
    await assert.rejects(store.updateContainer('box', { a: 'b' }, { tries: 'few', timeoutMs: 500 }), { kind: 'unavailable' });
    await assert.rejects(store.delete('box', 'name', { tries: 'few', timeoutMs: 500 }), { kind: 'unavailable' });
    await assert.rejects(store.deleteContainer('box', { tries: 'few', timeoutMs: 500 }), { kind: 'unavailable' });
  });
});
