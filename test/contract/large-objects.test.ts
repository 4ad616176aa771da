/** Large objects on a real Swift that takes no object above 100,000 bytes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kindOf } from '../../src/base/errors.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { bytesOf, makeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, listNames, readBytes, streamedBodyOf } from '../helpers/store-bytes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

void describe('large objects', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let bare: SwiftClient;
  let store: SwiftStore;
  const log = new LogGuard();
  const bytes = bytesOf(1, 250_000);

  const segments = async (container = 'main'): Promise<string[]> => (await bare.names(`${container}_segments`)).sort();

  before(async () => {
    swift = await withSwift({ maxFileSizeBytes: 100_000 });
    bare = await swift.client();
    proxy = await FaultProxy.start(swift.url);
    store = createSwiftStore(tempauthSettings(proxy.authUrl, { segmentBytes: 90_000 }), { log: log.log(), userAgent: 'large' });
    await store.createContainer('main');
    await store.createContainer('other');
  });
  after(async () => {
    await store.close();
    await proxy.close();
    await swift.stop();
    log.assertQuiet();
  });

  void test('what is too large for one object is stored in segments and read as one, whole and in ranges', async () => {
    await store.put('main', 'xx/large', streamedBodyOf(bytes), { metadata: { sha1: 'abc' } });
    assert.equal((await segments()).length, 3);
    assert.deepEqual(await readBytes(store, 'main', 'xx/large'), bytes);
    assert.deepEqual(
      await readBytes(store, 'main', 'xx/large', { range: { start: 89_990, end: 180_010 } }),
      bytes.subarray(89_990, 180_010),
    );
    const info = await store.head('main', 'xx/large');
    assert.equal(info?.sizeBytes, bytes.length);
    assert.equal(info?.md5, undefined);
    assert.deepEqual(info?.metadata, { sha1: 'abc' });
  });

  void test('a listing gives its true size, not that of its manifest', async () => {
    for await (const page of store.list('main')) {
      assert.deepEqual(page.map(({ name, sizeBytes }) => [name, sizeBytes]), [['xx/large', bytes.length]]); // prettier-ignore
    }
  });

  void test('its metadata changes without harm to its segments', async () => {
    assert.equal(await store.updateMetadata('main', 'xx/large', { more: 'm' }), true);
    assert.deepEqual((await store.head('main', 'xx/large'))?.metadata, { sha1: 'abc', more: 'm' });
    assert.deepEqual(await readBytes(store, 'main', 'xx/large'), bytes);
  });

  void test('its copy has segments of its own and outlives the original', async () => {
    assert.equal(await store.copy('main', 'xx/large', 'other', 'xx/copy'), true);
    assert.equal((await segments('other')).length, 3);
    assert.equal(await store.delete('main', 'xx/large'), true);
    assert.deepEqual(await segments(), []);
    assert.equal(await store.head('main', 'xx/large'), undefined);
    assert.deepEqual(await readBytes(store, 'other', 'xx/copy'), bytes);
    assert.equal((await store.head('other', 'xx/copy'))?.metadata['sha1'], 'abc');
  });

  void test('many deletes take the segments of large objects along, and nobody else’s', async () => {
    await store.put('main', 'keep', bodyOf(bytes));
    await store.put('main', 'go', bodyOf(bytes));
    await store.put('main', 'small', bodyOf('x'));
    assert.equal((await store.deleteMany('main', ['go', 'small', 'never'])).failed.size, 0);
    assert.deepEqual(await listNames(store, 'main'), ['keep']);
    assert.equal((await segments()).length, 3);
    assert.deepEqual(await readBytes(store, 'main', 'keep'), bytes);
  });

  void test('an upload that is not what was promised leaves neither object nor segments', async () => {
    const before = await segments();
    await assert.rejects(store.put('main', 'wrong', { ...bodyOf(bytes), md5: '0'.repeat(32) }), (error) => kindOf(error) === 'corrupt');
    assert.equal(await store.head('main', 'wrong'), undefined);
    assert.deepEqual(await segments(), before);
  });

  void test('its segments are sent several at once, and not all of them', async () => {
    proxy.add({ do: 'delay', ms: 150, method: 'PUT', path: /_segments\// });
    const watched = { most: 0, done: false };
    const watching = (async () => {
      for (; !watched.done; await sleep(5)) watched.most = Math.max(watched.most, proxy.running);
    })();
    const many = bytesOf(2, 10 * 90_000);
    try {
      await store.put('main', 'wide', streamedBodyOf(many));
    } finally {
      watched.done = true;
      proxy.clear();
      await watching;
    }
    // The proxy learns a little late that one has ended.
    assert.ok(watched.most >= 2 && watched.most <= 6, `${watched.most} at once`);
    assert.deepEqual(await readBytes(store, 'main', 'wide'), many);
    assert.equal(await store.delete('main', 'wide'), true);
  });

  void test('a segment that Swift does not take ends the others, and nothing of the upload stays', async () => {
    const before = await segments();
    proxy.add({ do: 'status', status: 403, method: 'PUT', path: /_segments\/.*\/00000001$/ });
    try {
      await assert.rejects(store.put('main', 'refused', streamedBodyOf(bytesOf(3, 900_000))), (error) => kindOf(error) === 'forbidden');
    } finally {
      proxy.clear();
    }
    assert.equal(await store.head('main', 'refused'), undefined);
    assert.deepEqual(await segments(), before);
  });

  void test('a segment that was stored otherwise than sent is corrupt, and the upload is undone', async () => {
    const before = await segments();
    proxy.add({ do: 'headers', headers: { etag: '0'.repeat(32) }, method: 'PUT', path: /_segments\/.*\/00000002$/, times: 1 });
    try {
      await assert.rejects(store.put('main', 'bent', bodyOf(bytes)), (error) => kindOf(error) === 'corrupt');
    } finally {
      proxy.clear();
    }
    assert.deepEqual(await segments(), before);
  });

  void test('a small object over a large one takes the segments away, and so does another large one, and a copy', async () => {
    const before = await segments();
    await store.put('main', 'report.pdf', bodyOf(bytes));
    await store.put('main', 'report.pdf', bodyOf('small now'));
    assert.equal((await readBytes(store, 'main', 'report.pdf'))?.toString(), 'small now');
    assert.deepEqual(await segments(), before);
    const other = bytesOf(6, 190_000);
    await store.put('main', 'report.pdf', bodyOf(bytes));
    await store.put('main', 'report.pdf', bodyOf(other));
    assert.deepEqual(await readBytes(store, 'main', 'report.pdf'), other);
    assert.equal((await segments()).length, before.length + 3);
    await store.put('main', 'small', bodyOf('copied over'));
    assert.equal(await store.copy('main', 'small', 'main', 'report.pdf'), true);
    assert.equal((await readBytes(store, 'main', 'report.pdf'))?.toString(), 'copied over');
    assert.deepEqual(await segments(), before);
  });

  void test('a small object over a large one that another tool made leaves its segments alone', async () => {
    await bare.put('main', 'theirs/1', 'one');
    const manifest = JSON.stringify([{ path: '/main/theirs/1', size_bytes: 3 }]);
    assert.equal((await bare.raw('PUT', 'main/theirs.bin?multipart-manifest=put', {}, manifest)).status, 201);
    await store.put('main', 'theirs.bin', bodyOf('ours'));
    assert.equal((await bare.get('main', 'theirs/1'))?.toString(), 'one');
    await store.deleteMany('main', ['theirs/1', 'theirs.bin']);
  });

  void test('one that has lost a segment breaks off with a hint at it', async () => {
    const before = await segments();
    await store.put('main', 'xx/lacking', bodyOf(bytes));
    const own = (await segments()).filter((segment) => !before.includes(segment));
    await bare.delete('main_segments', own[2] ?? assert.fail('it has no third segment'));
    const message = /^GET .*xx\/lacking \(transaction tx.*one of its segments may be missing: its manifest/;
    await assert.rejects(readBytes(store, 'main', 'xx/lacking'), { kind: 'unavailable', message });
    await store.delete('main', 'xx/lacking');
    assert.deepEqual(await segments(), before);
  });

  void test('a large object whose segments are not its own is deleted without them', async () => {
    await store.put('main', 'xx/shared', streamedBodyOf(bytes));
    const manifest = await bare.raw('GET', 'main/xx/shared?multipart-manifest=get&format=raw');
    await bare.raw('PUT', 'other/xx/shared?multipart-manifest=put', {}, manifest.body);
    await bare.makeContainer('other_segments');
    assert.deepEqual(await readBytes(store, 'other', 'xx/shared'), bytes);
    assert.equal(await store.delete('other', 'xx/shared'), true);
    assert.equal(await store.head('other', 'xx/shared'), undefined);
    assert.deepEqual(await readBytes(store, 'main', 'xx/shared'), bytes);
    await store.delete('main', 'xx/shared');
    assert.deepEqual((await segments()).filter((name) => name.startsWith('xx/shared/')), []); // prettier-ignore
  });

  void test('large objects have names as awkward and as long as others', async () => {
    const before = await segments();
    const names = ['a b%20+?#\n"é', '/leading//double/', '😀', 'é'.repeat(512), `${'n'.repeat(1000)}/x`];
    for (const name of names) {
      await store.put('main', name, bodyOf(bytes));
      assert.deepEqual(await readBytes(store, 'main', name), bytes, name);
      assert.equal(await store.copy('main', name, 'main', `${name.slice(0, 400)}-copy`), true, name);
    }
    assert.equal((await segments()).length, before.length + 6 * names.length);
    const copies = names.map((name) => `${name.slice(0, 400)}-copy`);
    for (const name of copies) assert.equal(await store.delete('main', name), true, name);
    assert.equal((await store.deleteMany('main', names)).failed.size, 0);
    assert.deepEqual(await segments(), before);
  });

  void describe('two stores on one container', () => {
    let second: SwiftStore;
    before(() => {
      second = createSwiftStore(tempauthSettings(swift.authUrl, { segmentBytes: 90_000 }), { log: log.log(), userAgent: 'second' });
    });
    after(async () => {
      await second.close();
    });

    void test('one content that both store at once has the segments of one of them', async () => {
      const [blob, before] = [makeBlob(10, 250_000), await segments()];
      proxy.add({ do: 'delay', ms: 300, method: 'PUT', path: /_segments\//, times: 1 });
      await Promise.all([store.put('main', blob.name, bodyOf(blob.content)), second.put('main', blob.name, bodyOf(blob.content))]);
      assert.deepEqual(await readBytes(store, 'main', blob.name), blob.content);
      assert.equal((await segments()).length, before.length + 3);
      assert.equal(await store.delete('main', blob.name), true);
      assert.deepEqual(await segments(), before);
    });

    void test('who has found no large object in a container deletes the first one of the other with its segments', async () => {
      const names = ['asked-for', 'listed'];
      for (const name of names) {
        await store.createContainer(name);
        assert.equal(await second.delete(name, 'nothing'), false);
        await store.put(name, 'large', bodyOf(bytes));
        if (name === 'listed') await listNames(second, name);
        else await second.head(name, 'large');
        assert.equal(await second.delete(name, 'large'), true);
        assert.deepEqual(await segments(name), []);
      }
    });

    void test('a segments container that the other took away is made again', async () => {
      await store.createContainer('again');
      await store.put('again', 'large', bodyOf(bytes));
      await second.delete('again', 'large');
      await second.deleteContainer('again');
      assert.equal(await bare.head('again_segments'), undefined);
      await second.createContainer('again');
      await store.put('again', 'large', bodyOf(bytes));
      assert.deepEqual(await readBytes(second, 'again', 'large'), bytes);
    });

    void test('what is stored in a container that was made anew stays, however late the segments of the former one go', async () => {
      await store.createContainer('ends');
      await store.put('ends', 'large', bodyOf(bytes));
      await bare.put('ends_segments', 'left/slo/1-00000000/00000000', 'of an upload that was cut short');
      await store.delete('ends', 'large');
      proxy.add({ do: 'delay', ms: 500, path: /\/ends_segments\?|bulk-delete/ });
      try {
        const ending = store.deleteContainer('ends');
        while ((await bare.head('ends')) !== undefined) await sleep(5);
        await second.createContainer('ends');
        await second.put('ends', 'large', bodyOf(bytes));
        await ending;
      } finally {
        proxy.clear();
      }
      assert.deepEqual(await readBytes(second, 'ends', 'large'), bytes);
      assert.equal((await segments('ends')).length, 3);
    });
  });

  void test('what uploads of a name have left behind goes with its object, and what is younger stays', async () => {
    const before = await segments();
    const left = (upload: string): string => `torn.bin/slo/${upload}/00000000`;
    await bare.put('main_segments', left('1-aaaaaaaa'), 'cut short');
    await store.put('main', 'torn.bin', bodyOf(bytes));
    await bare.put('main_segments', left('2-bbbbbbbb'), 'going on');
    assert.equal(await store.delete('main', 'torn.bin'), true);
    assert.deepEqual(await segments(), [...before, left('2-bbbbbbbb')].sort());
    await bare.delete('main_segments', left('2-bbbbbbbb'));
  });

  void test('a manifest whose answer is lost may be stored: its segments stay until it is replaced', async () => {
    const before = await segments();
    proxy.add({ do: 'lost', method: 'PUT', path: /multipart-manifest=put/ });
    try {
      const put = store.put('main', 'unanswered', bodyOf(bytes), { timeoutMs: 1_500 });
      await assert.rejects(put, (error) => kindOf(error) === 'unavailable');
    } finally {
      proxy.clear();
    }
    assert.deepEqual(await bare.get('main', 'unanswered'), bytes);
    await sleep(1_100);
    await store.put('main', 'unanswered', bodyOf(bytes));
    assert.deepEqual(await readBytes(store, 'main', 'unanswered'), bytes);
    assert.equal((await segments()).length, before.length + 3);
    assert.equal(await store.delete('main', 'unanswered'), true);
    assert.deepEqual(await segments(), before);
  });

  void test('a container that goes takes its own segments container along, and no other that is only named so', async () => {
    await store.deleteMany('main', await listNames(store, 'main'));
    assert.equal(await store.deleteContainer('main'), true);
    assert.equal(await store.headContainer('main_segments'), undefined);
    await store.createContainer('db');
    await store.createContainer('db_segments');
    await store.put('db_segments', 'xx/other-database', bodyOf('precious'));
    assert.equal(await store.deleteContainer('db'), true);
    assert.equal((await readBytes(store, 'db_segments', 'xx/other-database'))?.toString(), 'precious');
  });

  void test('a dynamic large object of another tool is read whole, and its listed size is not believed', async () => {
    const blob = makeBlob(5, 3000);
    await store.createContainer('dlo');
    await bare.put('dlo', `part/1`, blob.content.subarray(0, 1000));
    await bare.put('dlo', `part/2`, blob.content.subarray(1000));
    await bare.put('dlo', blob.name, '', { 'x-object-manifest': 'dlo/part/' });
    assert.deepEqual(await readBytes(store, 'dlo', blob.name), blob.content);
    const across = await readBytes(store, 'dlo', blob.name, { range: { start: 990, end: 1010 } });
    assert.deepEqual(across, blob.content.subarray(990, 1010));
    const info = await store.head('dlo', blob.name);
    assert.deepEqual([info?.sizeBytes, info?.md5], [3000, undefined]);
    for await (const page of store.list('dlo', { prefix: blob.name })) assert.equal(page[0]?.sizeBytes, undefined);
  });
});
