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

  before(async () => {
    stub = await LoginStub.start(() => ({ status: 404 }));
    stub.answerWith(({ method, url }) => {
      const { pathname } = new URL(url, stub.url);
      asked.push(`${method} ${pathname}`);
      if (pathname !== '/v1/AUTH_a') return { status: 404 };
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

  void test('is unavailable while its account lists it, and missing when that has gone on for a minute', async (t) => {
    const clock = new FakeClock();
    const settings = { ...TEST_SETTINGS, token: 't', storageUrl: `${stub.url}/v1/AUTH_a` };
    const timed = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit', clock });
    t.after(() => timed.close());
    account = ['box'];
    await assert.rejects(timed.headContainer('box'), { kind: 'unavailable', message: /HEAD .*box answered 404 .*its account lists it/ });
    await clock.advance(59_000);
    await assert.rejects(timed.headContainer('box'), { kind: 'unavailable' });
    await clock.advance(1_000);
    assert.equal(await timed.headContainer('box'), undefined);
    account = [];
    assert.equal(await timed.headContainer('box'), undefined);
    account = ['box'];
    await assert.rejects(timed.headContainer('box'), { kind: 'unavailable' });
  });

  void test('has objects that are looked for once more where Swift has several policies, unless it answered a moment ago', async (t) => {
    let policies = ['a', 'b'];
    const asked: string[] = [];
    const swift = await LoginStub.start(({ method, url }) => {
      const { pathname } = new URL(url, 'http://swift');
      if (pathname === '/info') return { status: 200, json: { swift: { policies: policies.map((name) => ({ name })) } } };
      asked.push(`${method} ${pathname}`);
      return { status: pathname.endsWith('/name') ? 404 : 204 };
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
    await clock.advance(30_000);
    assert.equal(await requestsOf(() => several.get('box', 'name')), 'GET box/name, HEAD box, GET box/name');
    policies = ['a'];
    const one = open();
    assert.equal(await requestsOf(() => one.head('box', 'name')), 'HEAD box/name');
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
