/** Listings of servers that are less exact than Swift. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { StubAnswer, StubRequest } from '../../helpers/keystone-v2-stub.js';
import { listNames } from '../../helpers/store-bytes.js';
import { storeAt, StubbedSwift } from '../../helpers/stub-store.js';

const row = (name: string, bytes = 5) => ({ name, bytes, hash: 'x', last_modified: '2024-01-01T00:00:00.123456', content_type: 'x' });

void describe('listings', () => {
  let swift: StubbedSwift;
  const serve = (answer: (query: URLSearchParams) => StubAnswer): void => {
    swift.stub.answerWith((request: StubRequest) => answer(new URL(request.url, swift.stub.url).searchParams));
  };

  before(async () => {
    swift = await StubbedSwift.start();
  });
  after(() => swift.close());

  void test('a short page is not the last: only an empty one is', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `n${i}`);
    serve((query) => ({ status: 200, json: names.filter((n) => n > (query.get('marker') ?? '')).slice(0, 3).map((n) => row(n)) })); // prettier-ignore
    assert.deepEqual(await listNames(swift.store, 'c'), names);
    serve(() => ({ status: 204 }));
    assert.deepEqual(await listNames(swift.store, 'c'), []);
  });

  void test('a server that ignores the marker is found out', async () => {
    serve(() => ({ status: 200, json: [row('a'), row('b')] }));
    await assert.rejects(listNames(swift.store, 'c'), /does not go on after "b"/);
  });

  void test('servers that disagree about what comes next are found out', async () => {
    const next: Readonly<Record<string, readonly string[]>> = { '': ['a', 'b'], b: ['c', 'd'], d: ['a', 'b'] };
    serve((query) => ({ status: 200, json: (next[query.get('marker') ?? ''] ?? []).map((name) => row(name)) }));
    await assert.rejects(listNames(swift.store, 'c'), /does not go on after "d"/);
    // By their bytes: in UTF-16 the second comes before the first.
    serve((query) => ({
      status: 200,
      json: query.get('marker') === null ? [row('\uffee')] : query.get('marker') === '\uffee' ? [row('😀')] : [],
    }));
    assert.deepEqual(await listNames(swift.store, 'c'), ['\uffee', '😀']);
  });

  void test('an answer that is no listing is not taken for an empty container', async () => {
    serve(() => ({ status: 200, text: '<html>welcome</html>' }));
    await assert.rejects(listNames(swift.store, 'c'), /not JSON/);
  });

  void test('an account that is not there is not taken for an empty one', async () => {
    serve(() => ({ status: 404 }));
    const list = async (): Promise<void> => {
      for await (const page of swift.store.listContainers('')) assert.fail(`listed ${page.length}`);
    };
    await assert.rejects(list(), /no such account; check interface \(OS_INTERFACE\) and storage_url/);
    serve(() => ({ status: 204 }));
    await list();
  });

  void test('times are exact to the millisecond, and a content name without bytes is not believed', async () => {
    const sha1 = 'a'.repeat(40);
    const empty = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';
    serve((query) => ({
      status: 200,
      json: query.has('marker') ? [] : [row(`aa/${sha1}`, 0), row(`da/${empty}`, 0), { subdir: 'x/' }, row('other', 0)],
    }));
    for await (const page of swift.store.list('c')) {
      assert.deepEqual(page.map((o) => o.sizeBytes), [undefined, 0, 0]); // prettier-ignore
      assert.equal(page[0]?.lastModifiedMs, Date.parse('2024-01-01T00:00:00.123Z'));
    }
  });

  void test('a ready token that is refused is named with its remedy', async () => {
    const fresh = storeAt(swift.stub);
    serve(() => ({ status: 401 }));
    await assert.rejects(fresh.head('c', 'n'), /OS_TOKEN/);
    await fresh.close();
  });

  void test('names that cannot stand in a URL are refused before anything is sent', async () => {
    const before = swift.stub.seen.length;
    for (const name of ['', 'a/../b', './a', '\ud800']) await assert.rejects((async () => swift.store.head('c', name))(), /name/);
    for (const container of ['', 'a/b', 'x'.repeat(257)])
      await assert.rejects((async () => swift.store.head(container, 'n'))(), /container name/);
    assert.equal(swift.stub.seen.length, before);
  });
});
