/** What every implementation of the object port must do. Each run has its own containers, named with a random stem. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { kindOf, type ErrorKind } from '../../src/base/errors.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { blobOf, bytesOf } from '../helpers/blobs.js';
import { bodyOf, drain, listNames, readBytes, streamedBodyOf } from '../helpers/store-bytes.js';

export interface StoreUnderTest {
  readonly store: ObjectStore;
  readonly stop: () => Promise<void>;
}

/** Names Swift and POSIX both allow, with what URLs, headers and listings trip over. */
const AWKWARD_NAMES = [
  'a b', 'a%20b', 'a+b', 'a&b=c;d', 'a?b', 'a#b', 'a\nb', 'tab\there', "quote'\"", 'back\\slash', '<tag>', 'ünïcode', 'u\u0308nicode',
  '日本語', '😀', '~tilde', ':colon@at', '{brace}', 'a//b', '/leading', '//two', 'trailing/', '...', '.hidden', '%', '%00', '\x01\x1f\x7f',
  `${'n'.repeat(250)}/${'é'.repeat(380)}`, 'm'.repeat(1024),
]; // prettier-ignore

export function objectStoreContract(what: string, make: () => Promise<StoreUnderTest>): void {
  void describe(`object store: ${what}`, () => {
    let store: ObjectStore;
    let stop: () => Promise<void>;
    const stem = `contract-${randomBytes(4).toString('hex')}`;
    const main = `${stem}-main`;
    const other = `${stem}-other`;

    const failsAs = (kind: ErrorKind) => (error: unknown) => {
      assert.equal(kindOf(error), kind, String(error));
      return true;
    };

    before(async () => {
      ({ store, stop } = await make());
      await store.createContainer(main);
      await store.createContainer(other);
    });
    after(async () => {
      for (const container of [main, other]) {
        await store.deleteMany(container, await listNames(store, container));
        await store.deleteContainer(container);
      }
      await store.close();
      await stop();
    });

    void test('an object that was put is read back with its size, MD5 and metadata', async () => {
      const { content, name, md5 } = blobOf('some text');
      await store.put(main, name, bodyOf(content), { metadata: { sha1: 'abc', 'with-dash': 'x y' } });
      const read = await store.get(main, name);
      assert.ok(read !== undefined);
      assert.deepEqual(await drain(read.body), content);
      const info = await store.head(main, name);
      assert.ok(info !== undefined);
      for (const found of [read.info, info]) {
        assert.equal(found.sizeBytes, content.length);
        assert.equal(found.md5, md5);
        assert.equal(found.metadata['sha1'], 'abc');
        assert.equal(found.metadata['with-dash'], 'x y');
        assert.ok(Math.abs(found.lastModifiedMs - Date.now()) < 600_000);
      }
    });

    void test('a body that comes as a stream arrives whole, and its progress is told', async () => {
      const bytes = bytesOf(7, 700_001);
      let calls = 0;
      await store.put(main, 'streamed', streamedBodyOf(bytes), { onProgress: () => calls++ });
      assert.deepEqual(await readBytes(store, main, 'streamed'), bytes);
      assert.ok(calls > 0);
    });

    void test('a large body in memory arrives whole', async () => {
      const bytes = bytesOf(8, 900_001);
      await store.put(main, 'in-memory', bodyOf(bytes));
      assert.deepEqual(await readBytes(store, main, 'in-memory'), bytes);
    });

    void test('an object of no bytes is an object', async () => {
      await store.put(main, 'empty', bodyOf(''));
      assert.equal((await readBytes(store, main, 'empty'))?.length, 0);
      assert.equal((await store.head(main, 'empty'))?.sizeBytes, 0);
    });

    void test('what is not there is undefined or false, and nothing is thrown', async () => {
      assert.equal(await store.get(main, 'absent'), undefined);
      assert.equal(await store.head(main, 'absent'), undefined);
      assert.equal(await store.delete(main, 'absent'), false);
      assert.equal(await store.updateMetadata(main, 'absent', { a: 'b' }), false);
      assert.equal(await store.copy(main, 'absent', other, 'absent'), false);
      assert.equal(await store.get(`${stem}-none`, 'absent'), undefined);
      assert.equal(await store.head(`${stem}-none`, 'absent'), undefined);
      assert.equal(await store.headContainer(`${stem}-none`), undefined);
      assert.equal(await store.deleteContainer(`${stem}-none`), false);
      // Another answer than an empty container.
      await assert.rejects(listNames(store, `${stem}-none`), { kind: 'not-found' });
    });

    void test('a second PUT of a name replaces bytes and metadata', async () => {
      await store.put(main, 'twice', bodyOf('first'), { metadata: { one: '1' } });
      await store.put(main, 'twice', bodyOf('second!'), { metadata: { two: '2' } });
      assert.equal((await readBytes(store, main, 'twice'))?.toString(), 'second!');
      assert.deepEqual((await store.head(main, 'twice'))?.metadata, { two: '2' });
    });

    void test('bytes that do not have the MD5 promised are corrupt and not stored', async () => {
      const wrong = { ...bodyOf('these bytes'), md5: createHash('md5').update('others').digest('hex') };
      await assert.rejects(store.put(main, 'wrong-md5', wrong), failsAs('corrupt'));
      assert.equal(await store.head(main, 'wrong-md5'), undefined);
    });

    void test('a PUT into a container that is not there says so', async () => {
      await assert.rejects(store.put(`${stem}-none`, 'x', bodyOf('x')), failsAs('not-found'));
    });

    void test('a range gives its bytes and the size of the whole', async () => {
      const bytes = bytesOf(9, 10_000);
      await store.put(main, 'ranged', bodyOf(bytes));
      const read = await store.get(main, 'ranged', { range: { start: 100, end: 300 } });
      assert.equal(read?.info.sizeBytes, 10_000);
      assert.deepEqual(read === undefined ? undefined : await drain(read.body), bytes.subarray(100, 300));
      assert.deepEqual(await readBytes(store, main, 'ranged', { range: { start: 9_990, end: 20_000 } }), bytes.subarray(9_990));
      assert.equal((await readBytes(store, main, 'ranged', { range: { start: 10_000, end: 10_001 } }))?.length, 0);
      assert.equal((await readBytes(store, main, 'ranged', { range: { start: 5, end: 5 } }))?.length, 0);
      assert.equal((await readBytes(store, main, 'empty-later', { range: { start: 0, end: 5 } }))?.length, undefined);
    });

    void test('new metadata joins what is there and an empty value removes', async () => {
      await store.put(main, 'labelled', bodyOf('x'), { metadata: { keep: 'k', change: 'a', drop: 'd' } });
      assert.equal(await store.updateMetadata(main, 'labelled', { change: 'b', drop: '', add: 'n' }), true);
      assert.deepEqual((await store.head(main, 'labelled'))?.metadata, { keep: 'k', change: 'b', add: 'n' });
      assert.equal((await readBytes(store, main, 'labelled'))?.toString(), 'x');
    });

    void test('a copy has the bytes and metadata of its source, also across containers and under awkward names', async () => {
      await store.put(main, 'source é %', bodyOf('copied'), { metadata: { sha1: 'abc' } });
      assert.equal(await store.copy(main, 'source é %', other, 'tärget %41+ ?#'), true);
      assert.equal((await readBytes(store, other, 'tärget %41+ ?#'))?.toString(), 'copied');
      const [source, target] = [await store.head(main, 'source é %'), await store.head(other, 'tärget %41+ ?#')];
      assert.equal(target?.md5, source?.md5);
      assert.equal(target?.metadata['sha1'], 'abc');
      assert.equal(await store.copy(main, 'source é %', other, 'marked', { addedMetadata: { node: 'n' } }), true);
      assert.deepEqual((await store.head(other, 'marked'))?.metadata, { sha1: 'abc', node: 'n' });
      await assert.rejects(store.copy(main, 'source é %', `${stem}-none`, 'x'), failsAs('not-found'));
    });

    void test('a copy with metadata of its own drops what the source had, and one with an end is gone when that has come', async () => {
      await store.put(main, 'for a while', bodyOf('kept'), { metadata: { sha1: 'abc', old: 'x' } });
      assert.equal(await store.copy(main, 'for a while', other, 'short', { deleteAfterSeconds: 3 }), true);
      assert.equal(await store.copy(other, 'short', main, 'long', { metadata: { sha1: 'abc' } }), true);
      assert.deepEqual((await store.head(other, 'short'))?.metadata, { sha1: 'abc', old: 'x' });
      assert.deepEqual((await store.head(main, 'long'))?.metadata, { sha1: 'abc' });
      const until = Date.now() + 10_000;
      while ((await store.head(other, 'short')) !== undefined && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(await store.head(other, 'short'), undefined);
      assert.equal(await store.get(other, 'short'), undefined);
      assert.equal(await store.copy(other, 'short', main, 'later'), false);
      assert.equal((await readBytes(store, main, 'long'))?.toString(), 'kept', 'the copy of a copy with an end has none');
    });

    void test('a deleted object is gone at once, and deleting it again is false', async () => {
      await store.put(main, 'doomed', bodyOf('x'));
      assert.equal(await store.delete(main, 'doomed'), true);
      assert.equal(await store.head(main, 'doomed'), undefined);
      assert.equal(await store.delete(main, 'doomed'), false);
    });

    void test('names with every awkward character are stored, read, listed and deleted as they are', async () => {
      const container = `${stem}-names`;
      await store.createContainer(container);
      for (const name of AWKWARD_NAMES) await store.put(container, name, bodyOf(name));
      for (const name of AWKWARD_NAMES) {
        assert.equal((await readBytes(store, container, name))?.toString(), name, JSON.stringify(name));
      }
      const byBytes = [...AWKWARD_NAMES].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(await listNames(store, container), byBytes);
      const half = AWKWARD_NAMES.length >> 1;
      for (const name of AWKWARD_NAMES.slice(0, half)) assert.equal(await store.delete(container, name), true, JSON.stringify(name));
      assert.equal((await store.deleteMany(container, AWKWARD_NAMES)).failed.size, 0);
      assert.deepEqual(await listNames(store, container), []);
      await store.deleteContainer(container);
    });

    void test('a listing comes in pages, in order, by prefix and after a marker', async () => {
      const container = `${stem}-list`;
      await store.createContainer(container);
      const names = ['aa/1', 'aa/2', 'ab/1', 'ab/2', 'ab/3', 'b'];
      for (const name of names) await store.put(container, name, bodyOf(name));
      const pages: number[] = [];
      const sizes: (number | undefined)[] = [];
      for await (const page of store.list(container, { limit: 4 })) {
        pages.push(page.length);
        sizes.push(...page.map((object) => object.sizeBytes));
      }
      assert.deepEqual(pages, [4, 2]);
      assert.deepEqual(sizes, [4, 4, 4, 4, 4, 1]);
      assert.deepEqual(await listNames(store, container, { prefix: 'ab/', limit: 2 }), ['ab/1', 'ab/2', 'ab/3']);
      assert.deepEqual(await listNames(store, container, { marker: 'ab/2' }), ['ab/3', 'b']);
      for (const limit of [1, 2, 100]) {
        assert.deepEqual(await listNames(store, container, { level: true, limit }), ['aa/', 'ab/', 'b']);
        assert.deepEqual(await listNames(store, container, { level: true, limit, prefix: 'ab/' }), ['ab/1', 'ab/2', 'ab/3']);
      }
      assert.equal((await store.deleteMany(container, [...names, 'never-there'])).failed.size, 0);
      assert.deepEqual(await listNames(store, container), []);
      await store.deleteContainer(container);
    });

    void test('containers are made, found, labelled and removed', async () => {
      const container = `${stem}-box`;
      assert.equal(await store.createContainer(container, { site: 's1', other: 'o' }), 'created');
      assert.equal(await store.createContainer(container, { more: 'm' }), 'existed');
      await store.updateContainer(container, { other: '', site: 's2' });
      const info = await store.headContainer(container);
      assert.deepEqual(info?.metadata, { site: 's2', more: 'm' });
      assert.equal(info?.objectCount, 0);
      const found: string[] = [];
      for await (const page of store.listContainers(`${stem}-`)) found.push(...page);
      assert.ok(found.includes(container) && found.includes(main));
      await store.put(container, 'x', bodyOf('x'));
      await assert.rejects(store.deleteContainer(container), failsAs('not-empty'));
      await store.delete(container, 'x');
      assert.equal(await store.deleteContainer(container), true);
      assert.equal(await store.headContainer(container), undefined);
      await assert.rejects(store.updateContainer(container, { a: 'b' }), failsAs('not-found'));
    });

    void test('a caller that gives up beforehand is answered with interrupted', async () => {
      const signal = AbortSignal.abort();
      const hung = store.head(main, 'empty', { signal });
      // A store that answers at once may answer.
      await hung.catch(failsAs('interrupted'));
    });

    void test('it answers a probe, and nothing is stalled when nothing runs', async () => {
      await store.probe();
      assert.equal(store.stalledMs, 0);
    });
  });
}
