/** Large objects on a real Swift that takes no object above 100,000 bytes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kindOf } from '../../src/base/errors.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { bytesOf, makeBlob } from '../helpers/blobs.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, listNames, readBytes, streamedBodyOf } from '../helpers/store-bytes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

void describe('large objects', () => {
  let swift: Swift;
  let bare: SwiftClient;
  let store: SwiftStore;
  const log = new LogGuard();
  const bytes = bytesOf(1, 250_000);

  const segments = async (container = 'main'): Promise<string[]> => (await bare.names(`${container}_segments`)).sort();

  before(async () => {
    swift = await withSwift({ maxFileSizeBytes: 100_000 });
    bare = await swift.client();
    store = createSwiftStore(tempauthSettings(swift.authUrl, { segmentBytes: 90_000 }), { log: log.log(), userAgent: 'large' });
    await store.createContainer('main');
    await store.createContainer('other');
  });
  after(async () => {
    await store.close();
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
    const info = await store.head('dlo', blob.name);
    assert.deepEqual([info?.sizeBytes, info?.md5], [3000, undefined]);
    for await (const page of store.list('dlo', { prefix: blob.name })) assert.equal(page[0]?.sizeBytes, undefined);
  });
});
