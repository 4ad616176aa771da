/** Files to objects and back, small and large, against a real Swift. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createLog } from '../../src/base/log.js';
import { printObject, saveObject } from '../../src/swift/files/save-object.js';
import { sendFile } from '../../src/swift/files/send-file.js';
import { RANGES_FROM_BYTES } from '../../src/swift/objects/ranges-body.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { bytesOf } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { tempauthSettings } from '../helpers/swift-settings.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const CONTAINER = 'transfers';

void describe('transfers of files', () => {
  let swift: Swift;
  let store: SwiftStore;
  let directory: string;

  before(async () => {
    swift = await withSwift();
    directory = tempDir('transfers');
    store = createSwiftStore(tempauthSettings(swift.authUrl), { log: createLog('warn', console.error), userAgent: 'test' });
    await store.createContainer(CONTAINER);
  });

  after(async () => {
    await store.close();
    await swift.stop();
    removeDir(directory);
  });

  for (const sizeBytes of [0, 20_000, (1 << 20) + 1, RANGES_FROM_BYTES - 1, RANGES_FROM_BYTES, RANGES_FROM_BYTES + (8 << 20) + 7]) {
    void test(`a file of ${sizeBytes} bytes comes back as it was`, async () => {
      const bytes = bytesOf(sizeBytes + 1, sizeBytes);
      const file = path.join(directory, `up-${sizeBytes}`);
      fs.writeFileSync(file, bytes);
      const sent = await sendFile(store, CONTAINER, `o-${sizeBytes}`, file, { wants: 'sha1' });
      const sum = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
      assert.deepEqual(sent, { sizeBytes, md5: sum('md5'), sha1: sum('sha1') });
      assert.equal((await store.head(CONTAINER, `o-${sizeBytes}`))?.md5, sent.md5);

      const read = await store.get(CONTAINER, `o-${sizeBytes}`);
      assert.ok(read);
      const back = path.join(directory, `down-${sizeBytes}`);
      assert.equal(await saveObject(read, `o-${sizeBytes}`, back), 'etag');
      assert.ok(fs.readFileSync(back).equals(bytes));
    });
  }

  void test('a large object that is replaced while it is read is never a mixture of both', async () => {
    const sizeBytes = RANGES_FROM_BYTES + (40 << 20);
    const put = (seed: number) => {
      const bytes = bytesOf(seed, sizeBytes);
      const md5 = createHash('md5').update(bytes).digest('hex');
      return store.put(CONTAINER, 'replaced', { sizeBytes, md5, read: (start, end) => bytes.subarray(start, end) });
    };
    await put(11);
    const read = await store.get(CONTAINER, 'replaced');
    assert.ok(read);
    await put(12);
    await assert.rejects(saveObject(read, 'replaced', path.join(directory, 'mixed')), { kind: 'unavailable' });
  });

  void test('a large read that is given up leaves no request behind', async () => {
    const before = await store.get(CONTAINER, 'replaced');
    assert.ok(before);
    const closed = new Promise((resolve) => before.body.once('close', resolve));
    before.body.destroy();
    await closed;
    assert.ok(await store.head(CONTAINER, 'replaced'));
  });

  void describe('in segments', () => {
    const segmentBytes = 1 << 20;
    const bytes = bytesOf(31, 5 * segmentBytes + 9);
    let proxy: FaultProxy;
    let segmented: SwiftStore;
    const file = (): string => path.join(directory, 'segmented');
    const send = (name: string) => sendFile(segmented, CONTAINER, name, file(), { wants: 'sha1', inSegments: true });
    const segmentsOf = async (name: string): Promise<string[]> =>
      (await (await swift.client()).names(`${CONTAINER}_segments`)).filter((segment) => segment.startsWith(`${name}/`));
    const isStored = async (name: string): Promise<void> => {
      const read = (await store.get(CONTAINER, name)) ?? assert.fail(`${name} is not there`);
      const back = path.join(directory, 'segmented-back');
      assert.equal(await saveObject(read, name, back), 'nothing');
      assert.ok(fs.readFileSync(back).equals(bytes));
      assert.equal((await segmentsOf(name)).length, 6);
    };

    before(async () => {
      proxy = await FaultProxy.start(swift.url);
      const settings = tempauthSettings(proxy.authUrl, { segmentBytes });
      segmented = createSwiftStore(settings, { log: createLog('error', console.error), userAgent: 'test' });
    });
    beforeEach(() => fs.writeFileSync(file(), bytes));
    after(async () => {
      await segmented.close();
      await proxy.close();
    });

    void test('a file that Swift would take whole is a large object, whose segments go with what replaces it', async () => {
      assert.deepEqual(await send('parted'), { sizeBytes: bytes.length, md5: undefined, sha1: undefined });
      await isStored('parted');
      await send('parted');
      await isStored('parted');
      await sendFile(segmented, CONTAINER, 'parted', file());
      assert.deepEqual(await segmentsOf('parted'), []);
    });

    void test('one that is no larger than a segment is not', async () => {
      fs.writeFileSync(path.join(directory, 'one-segment'), bytes.subarray(0, segmentBytes));
      const sent = await sendFile(segmented, CONTAINER, 'one', path.join(directory, 'one-segment'), { inSegments: true });
      assert.equal((await store.head(CONTAINER, 'one'))?.md5, sent.md5);
    });

    void test('a segment whose answer is lost is sent again, and hashed anew', async () => {
      proxy.add({ do: 'lost', method: 'PUT', path: /_segments\/again/, times: 2 });
      await send('again');
      proxy.clear();
      await isStored('again');
    });

    for (const [what, change] of [
      ['that another is put in place of', (other: string) => fs.renameSync(other, file())],
      ['that is removed', () => fs.rmSync(file())],
    ] as const) {
      void test(`a file ${what} meanwhile is sent as it was, also where a segment is sent again`, async () => {
        proxy.add({ do: 'lost', method: 'PUT', path: /_segments\/changed.*0$/, times: 1 });
        proxy.add({ do: 'delay', ms: 300, method: 'PUT', path: /_segments\/changed/ });
        const sending = send('changed');
        const other = path.join(directory, 'other');
        fs.writeFileSync(other, bytesOf(32, bytes.length));
        change(other);
        await sending;
        proxy.clear();
        await isStored('changed');
      });
    }

    void test('of a file that is written to meanwhile nothing is stored, and what was there before stays', async () => {
      await send('written');
      proxy.add({ do: 'delay', ms: 300, method: 'PUT', path: /_segments\/written/ });
      const sending = send('written');
      fs.utimesSync(file(), 1, 1);
      await assert.rejects(sending, { kind: 'busy', message: /segmented was written to while it was sent/ });
      proxy.clear();
      await isStored('written');
    });

    void test('what is given up before its segments become an object leaves none of them behind', async () => {
      proxy.add({ do: 'delay', ms: 1000, method: 'HEAD', path: /transfers\/given-up/ });
      const ending = new AbortController();
      const sending = sendFile(segmented, CONTAINER, 'given-up', file(), { inSegments: true, signal: ending.signal });
      await eventually('all segments are stored', () =>
        proxy.seen.some(({ method, url }) => method === 'HEAD' && url.includes('given-up')),
      );
      ending.abort();
      await assert.rejects(sending, { kind: 'interrupted' });
      proxy.clear();
      assert.deepEqual(await segmentsOf('given-up'), []);
      assert.equal(await store.head(CONTAINER, 'given-up'), undefined);
    });

    void test('a Swift without large objects is told as such, also of a file that it would take in one piece', async () => {
      proxy.add({ do: 'status', status: 200, method: 'GET', path: /^\/info/, text: '{"swift": {"max_file_size": 5368709122}}' });
      const plain = createSwiftStore(tempauthSettings(proxy.authUrl, { segmentBytes }), {
        log: createLog('error', console.error),
        userAgent: 'test',
      });
      try {
        const message =
          /5242889 bytes in segments; this Swift has no static large objects, and takes at most 5368709122 bytes in one piece$/;
        await assert.rejects(sendFile(plain, CONTAINER, 'plain', file(), { inSegments: true }), { kind: 'too-large', message });
      } finally {
        await plain.close();
      }
      proxy.clear();
    });

    void test('no more segments are sent at once than there are connections: one that waited for another would run out of time', async () => {
      const settings = tempauthSettings(proxy.authUrl, { segmentBytes, connections: 1, requestTimeoutMs: 1000, stallTimeoutMs: 1000 });
      const narrow = createSwiftStore(settings, { log: createLog('error', console.error), userAgent: 'test' });
      try {
        proxy.add({ do: 'delay', ms: 500, method: 'PUT', path: /_segments\/narrow/ });
        await sendFile(narrow, CONTAINER, 'narrow', file(), { inSegments: true });
      } finally {
        await narrow.close();
      }
      proxy.clear();
      await isStored('narrow');
    });

    void test('a segment that is stored otherwise than it was sent is told, and nothing of the object is left', async () => {
      proxy.add({ do: 'headers', method: 'PUT', path: /_segments\/wrong.*3$/, headers: { etag: '0'.repeat(32) } });
      await assert.rejects(send('wrong'), { kind: 'corrupt', message: /sent bytes with MD5 [0-9a-f]{32}, stored are bytes with 0{32}$/ });
      proxy.clear();
      assert.deepEqual(await segmentsOf('wrong'), []);
      assert.equal(await store.head(CONTAINER, 'wrong'), undefined);
    });
  });

  void test('bytes that are not those of the ETag are told', async () => {
    const info = { sizeBytes: 3, md5: '0'.repeat(32), lastModifiedMs: 0, metadata: {} };
    const body = Readable.from([Buffer.from('abc')], { objectMode: false });
    await assert.rejects(saveObject({ info, body }, 'wrong', path.join(directory, 'wrong')), { kind: 'corrupt' });
  });

  void describe('bytes under a content name', () => {
    const bytes = Buffer.from('a document');
    const sum = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
    const sha1 = sum('sha1');
    const trueName = `${sha1.slice(0, 2)}/${sha1}`;
    const wrongName = `${'0'.repeat(2)}/${'0'.repeat(40)}`;
    const save = (name: string, md5: string | undefined) => {
      const info = { sizeBytes: bytes.length, md5, lastModifiedMs: 0, metadata: {} };
      return saveObject({ info, body: Readable.from([bytes], { objectMode: false }) }, name, path.join(directory, 'named'));
    };

    void test('are held against that, also where Swift tells no sum', async () => {
      assert.equal(await save(trueName, sum('md5')), 'name');
      assert.equal(await save(trueName, undefined), 'name');
      assert.equal(await save('large', undefined), 'nothing');
    });

    void test('are saved and told when Swift has them so, and refused when it has not', async () => {
      assert.equal(await save(wrongName, sum('md5')), 'etag-not-name');
      assert.ok(fs.readFileSync(path.join(directory, 'named')).equals(bytes));
      await assert.rejects(save(wrongName, '0'.repeat(32)), { kind: 'corrupt' });
      await assert.rejects(save(wrongName, undefined), { kind: 'corrupt' });
    });

    void test('are checked on their way to standard output too', async () => {
      const print = (name: string, md5: string | undefined) => {
        const info = { sizeBytes: bytes.length, md5, lastModifiedMs: 0, metadata: {} };
        return printObject({ info, body: Readable.from([bytes], { objectMode: false }) }, name, new PassThrough());
      };
      assert.equal(await print(trueName, undefined), 'name');
      assert.equal(await print('plain', sum('md5')), 'etag');
      assert.equal(await print(wrongName, sum('md5')), 'etag-not-name');
      await assert.rejects(print('plain', '0'.repeat(32)), { kind: 'corrupt' });
    });
  });

  void describe('through a proxy that misbehaves', () => {
    let proxy: FaultProxy;
    let proxied: SwiftStore;
    const bytes = bytesOf(77, (1 << 20) + 5);
    const md5 = createHash('md5').update(bytes).digest('hex');
    before(async () => {
      proxy = await FaultProxy.start(swift.url);
      proxied = createSwiftStore(tempauthSettings(proxy.authUrl), { log: createLog('error', console.error), userAgent: 'test' });
      fs.writeFileSync(path.join(directory, 'once'), bytes);
    });
    after(async () => {
      await proxied.close();
      await proxy.close();
    });

    void test('what was stored otherwise than it was sent is removed again and told', async () => {
      const wrong = { etag: '0'.repeat(32) };
      for (const method of ['PUT', 'HEAD']) proxy.add({ do: 'headers', method, path: /spoilt/, headers: wrong });
      await assert.rejects(sendFile(proxied, CONTAINER, 'spoilt', path.join(directory, 'once')), { kind: 'corrupt' });
      proxy.clear();
      assert.equal(await store.head(CONTAINER, 'spoilt'), undefined);
    });

    void test('a file whose answer is lost is sent again, and hashed anew', async () => {
      proxy.add({ do: 'lost', method: 'PUT', path: /lost/, times: 1 });
      assert.equal((await sendFile(proxied, CONTAINER, 'lost', path.join(directory, 'once'), { wants: 'sha1' })).md5, md5);
      proxy.clear();
      assert.equal((await store.head(CONTAINER, 'lost'))?.md5, md5);
    });

    void test('a range that breaks off fails the read, and nothing wrong is taken for the object', async () => {
      const read = async (): Promise<void> => {
        const found = await proxied.get(CONTAINER, `o-${RANGES_FROM_BYTES}`);
        await saveObject(found ?? assert.fail('not there'), 'cut', path.join(directory, 'cut'));
      };
      proxy.add({ do: 'truncate', method: 'GET', path: /o-/, after: 2, times: 1, bytes: 1000 });
      await assert.rejects(read(), { kind: 'unavailable' });
      proxy.clear();
      await read();
      assert.equal(
        createHash('md5')
          .update(fs.readFileSync(path.join(directory, 'cut')))
          .digest('hex'),
        (await store.head(CONTAINER, `o-${RANGES_FROM_BYTES}`))?.md5,
      );
    });
  });
});
