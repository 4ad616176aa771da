/** What is no word of Swift's about a file: an answer of something else in its place, a container that is missing, another account. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import type { Rule } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { SwiftClient } from '../helpers/swift-client.js';
import { StartRefused, startMount } from '../helpers/with-mount.js';
import type { Mount, MountSettings } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

const SHORT_WAITS = ['--read-timeout', '2s', '--lookup-wait', '300ms', '--write-timeout', '2s', '--drain-timeout', '2s'];
const PAGE = '<html>no server is ready</html>';

describe('what is no word of Swift', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());

  const login = (user = swift.user, key = swift.key): NonNullable<MountSettings['swift']> => ({ authUrl: proxy.authUrl, user, key });
  /** Runs with a mount that may warn and be degraded, and puts everything right afterwards. */
  const withMount = async (settings: MountSettings, work: (mount: Mount) => Promise<void>): Promise<void> => {
    const mount = await startMount({ swift: login(), args: SHORT_WAITS, ...settings });
    mount.log.expect(/^(WARN|ERROR) /);
    try {
      await work(mount);
    } finally {
      proxy.clear();
      await mount.stop();
    }
  };
  const refusal = async (start: Promise<unknown>): Promise<string> => {
    const error: unknown = await start.then(
      () => assert.fail('the start is refused'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof StartRefused, String(error));
    assert.notEqual(error.code, 0);
    return error.stderr;
  };
  const removeContainer = async (container: string): Promise<void> => {
    const client = await swift.client();
    for (const name of await client.names(container)) await client.delete(container, name);
    await client.delete(container);
    assert.equal(await client.list(container), undefined);
  };

  it("What something else answers in Swift's place is an outage: no file is absent for it, none is there, and no delete is done.", () =>
    withMount({ database: 'stranger' }, async (mount) => {
      const strangers: Rule[] = [
        { do: 'status', status: 404, text: PAGE },
        { do: 'status', status: 200, text: PAGE, headers: { 'content-type': 'text/html' } },
        { do: 'status', status: 204 },
      ];
      for (const [index, stranger] of strangers.entries()) {
        const [known, doomed, fresh, nowhere] = [0, 1, 2, 3].map((n) => makeBlob(10 * index + n)) as [Blob, Blob, Blob, Blob];
        for (const blob of [known, doomed]) await writeBlob(mount.path, blob);
        await mount.drained();
        // Nothing of it is in the cache of the next life.
        await mount.terminate();
        await fs.rm(mount.cacheDir, { recursive: true });
        await mount.restart();
        proxy.add(stranger);
        await assert.rejects(fs.readFile(mount.file(known.name)), { code: 'EIO' });
        await fs.stat(mount.file(known.name));
        await assert.rejects(fs.stat(mount.file(nowhere.name)), { code: 'ENOENT' });
        await fs.unlink(mount.file(doomed.name));
        await writeBlob(mount.path, fresh);
        const status = await mount.status();
        assert.equal(status.state, 'degraded');
        assert.match(status.databases[0]?.reason ?? '', /something else answered in Swift's place/);
        assert.deepEqual([status.databases[0]?.pendingWrites, status.databases[0]?.pendingDeletes], [1, 1]);
        proxy.clear();
        assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
        await mount.drained();
        const client = await swift.client();
        assert.deepEqual(await client.get('odoo-stranger', fresh.name), fresh.content);
        await eventually('the delete reaches Swift', async () => (await client.get('odoo-stranger', doomed.name)) === undefined);
      }
    }));

  it('A start that finds another account, or its container missing, is refused while files are known or writes wait.', () =>
    withMount({ database: 'moved' }, async (mount) => {
      const [known, late] = [makeBlob(100), makeBlob(101)];
      await writeBlob(mount.path, known);
      await mount.drained();
      await proxy.down();
      await writeBlob(mount.path, late);
      await mount.terminate();
      await proxy.up();
      const other = await refusal(mount.restart({ swift: login('test2:tester2', 'testing2') }));
      assert.match(other, /odoo-moved was in account AUTH_test, and these credentials are for account AUTH_test2/);
      assert.match(other, /--accept-new-container/);
      await mount.restart({ swift: login() });
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-moved', late.name), late.content);
      await mount.terminate();
      await removeContainer('odoo-moved');
      assert.match(await refusal(mount.restart()), /odoo-moved is missing in account AUTH_test; 2 files are known to be in it/);
      await mount.restart({ args: [...SHORT_WAITS, '--accept-new-container'] });
      await assert.rejects(fs.stat(mount.file(known.name)), { code: 'ENOENT' });
      await writeBlob(mount.path, late);
      await mount.restart({ args: SHORT_WAITS });
      assert.deepEqual(await fs.readFile(mount.file(late.name)), late.content);
    }));

  it('A login that leads to another account while the mount runs is an outage: nothing is absent for it, and nothing is sent there.', () =>
    withMount({ database: 'led-astray', args: [...SHORT_WAITS, '--nodes', 'many', '--delete-bound', '100ms'] }, async (mount) => {
      const [known, doomed, late] = [makeBlob(110), makeBlob(111), makeBlob(112)];
      for (const blob of [known, doomed]) await writeBlob(mount.path, blob);
      await mount.drained();
      await fs.rm(mount.cacheDir, { recursive: true });
      const foreign = await SwiftClient.login(swift.authUrl, 'test2:tester2', 'testing2');
      await foreign.makeContainer('odoo-led-astray');
      const token = (await fetch(swift.authUrl, { headers: { 'x-auth-user': 'test2:tester2', 'x-auth-key': 'testing2' } })).headers;
      proxy.add({ do: 'status', status: 401, times: 1, path: /^\/v1\//, headers: { 'x-trans-id': 'tx1' } });
      const headers = { 'x-storage-url': `${proxy.url}/v1/AUTH_test2`, 'x-auth-token': token.get('x-auth-token') ?? '' };
      proxy.add({ do: 'status', status: 200, path: /^\/auth\//, headers });
      await assert.rejects(fs.readFile(mount.file(known.name)), { code: 'EIO' });
      await fs.unlink(mount.file(doomed.name));
      await writeBlob(mount.path, late);
      const status = await mount.status();
      assert.equal(status.state, 'degraded');
      assert.match(status.databases[0]?.reason ?? '', /for account AUTH_test2 now, and was for account AUTH_test before/);
      assert.deepEqual(await foreign.names('odoo-led-astray'), []);
      await foreign.close();
      proxy.clear();
      await mount.drained();
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      const client = await swift.client();
      assert.deepEqual(await client.get('odoo-led-astray', late.name), late.content);
      await eventually('the delete reaches Swift', async () => (await client.get('odoo-led-astray', doomed.name)) === undefined);
    }));

  it('A first login that leads to the wrong account, at a start without Swift, is made good without a restart.', () =>
    withMount({ database: 'misled' }, async (mount) => {
      const [known, late] = [makeBlob(113), makeBlob(114)];
      await writeBlob(mount.path, known);
      await mount.drained();
      await mount.terminate();
      await fs.rm(mount.cacheDir, { recursive: true });
      const foreign = await SwiftClient.login(swift.authUrl, 'test2:tester2', 'testing2');
      await proxy.down();
      await mount.restart();
      await writeBlob(mount.path, late);
      const token = (await fetch(swift.authUrl, { headers: { 'x-auth-user': 'test2:tester2', 'x-auth-key': 'testing2' } })).headers;
      const headers = { 'x-storage-url': `${proxy.url}/v1/AUTH_test2`, 'x-auth-token': token.get('x-auth-token') ?? '' };
      proxy.add({ do: 'status', status: 200, path: /^\/auth\//, headers });
      await proxy.up();
      await mount.log.waitFor(/^ERROR container\.lost .*for account AUTH_test2/);
      await assert.rejects(fs.readFile(mount.file(known.name)), { code: 'EIO' });
      assert.equal(await foreign.list('odoo-misled'), undefined);
      await foreign.close();
      proxy.clear();
      await mount.drained();
      assert.deepEqual(await fs.readFile(mount.file(known.name)), known.content);
      assert.deepEqual(await (await swift.client()).get('odoo-misled', late.name), late.content);
    }));

  it('In a mount of the whole filestore a missing container makes its own database degraded, and no other one.', () =>
    withMount({}, async (mount) => {
      const [known, late] = [makeBlob(110), makeBlob(111)];
      for (const database of ['gone', 'kept']) {
        await fs.mkdir(mount.file(database));
        await writeBlob(mount.file(database), known);
      }
      await mount.drained();
      await mount.terminate();
      await removeContainer('odoo-gone');
      await fs.rm(mount.cacheDir, { recursive: true });
      await mount.restart();
      await mount.log.waitFor(/^ERROR container\.lost /);
      await assert.rejects(fs.readFile(mount.file('gone', known.name)), { code: 'EIO' });
      assert.deepEqual(await fs.readFile(mount.file('kept', known.name)), known.content);
      const { safeToLoseThisMachine, databases } = await mount.status();
      assert.deepEqual([safeToLoseThisMachine, databases.every(({ pendingWrites }) => pendingWrites === 0)], [false, true]);
      for (const database of ['gone', 'kept']) await writeBlob(mount.file(database), late);
      const states = (await mount.status()).databases.map(({ database, state }) => `${database} ${state}`);
      assert.ok(states.includes('gone degraded') && states.includes('kept serving'), states.join());
      assert.equal((await mount.status()).safeToLoseThisMachine, false);
      assert.equal(await (await swift.client()).list('odoo-gone'), undefined);
      assert.match(await refusal(mount.restart({ swift: login('test2:tester2', 'testing2') })), /was in account AUTH_test/);
      await mount.restart({ swift: login(), args: [...SHORT_WAITS, '--accept-new-container'] });
      await mount.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-gone', late.name), late.content);
    }));

  it('A delete is not done because a second attempt at it found the container missing.', () =>
    withMount({ database: 'twice' }, async (mount) => {
      const [kept, doomed] = [makeBlob(130), makeBlob(131)];
      for (const blob of [kept, doomed]) await writeBlob(mount.path, blob);
      proxy.add(
        { do: 'status', status: 503, headers: { 'x-trans-id': 'tx1' }, method: 'DELETE', times: 1 },
        { do: 'status', status: 404, headers: { 'x-trans-id': 'tx2' }, path: /\/odoo-twice/ },
        // The account does not list it either.
        { do: 'status', status: 204, headers: { 'x-trans-id': 'tx3' }, path: /prefix=odoo-twice/ },
      );
      await fs.unlink(mount.file(doomed.name));
      await mount.log.waitFor(/^ERROR container\.lost /);
      assert.equal((await mount.status()).databases[0]?.pendingDeletes, 1);
      proxy.clear();
      await eventually('the delete is told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0);
      assert.deepEqual(await (await swift.client()).names('odoo-twice'), [kept.name]);
      await assert.rejects(fs.stat(mount.file(doomed.name)), { code: 'ENOENT' });
    }));

  it('A rate limit is no outage: nothing is said to be away.', () =>
    withMount({ database: 'limited' }, async (mount) => {
      await writeBlob(mount.path, makeBlob(120));
      proxy.add({ do: 'status', status: 429, headers: { 'retry-after': '1' }, path: /odoo-limited/ });
      await writeBlob(mount.path, makeBlob(121));
      await writeBlob(mount.path, makeBlob(122));
      proxy.clear();
      await mount.drained();
      assert.equal(mount.log.has(/swift\.away/), false);
    }));

  it('Answers that a proxy hands on without their length are read all the same, and are no empty files.', () =>
    withMount({ database: 'chunked' }, async (mount) => {
      const [blob, other] = [makeBlob(127), 'notes.txt'];
      const client = await swift.client();
      proxy.add({ do: 'chunked', path: /odoo-chunked\/./ });
      await client.put('odoo-chunked', blob.name, blob.content);
      await client.put('odoo-chunked', other, 'some notes');
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      assert.equal((await fs.stat(mount.file(blob.name))).size, blob.content.length);
      assert.equal(await fs.readFile(mount.file(other), 'utf8'), 'some notes');
      assert.equal((await fs.stat(mount.file(other))).size, 'some notes'.length);
      assert.equal(mount.log.has(/swift\.away/), false);
      proxy.clear();
    }));

  it('One object that Swift can neither take nor give is no outage: its write waits, its reader gets EIO, and nobody else notices.', () =>
    withMount({ database: 'unlucky', args: [...SHORT_WAITS, '--write-mode', 'back'] }, async (mount) => {
      const [unstored, unread, strange, cold, prompt] = [makeBlob(123), makeBlob(124), makeBlob(125), makeBlob(126), makeBlob(128)];
      const client = await swift.client();
      for (const blob of [unread, strange, cold]) await client.put('odoo-unlucky', blob.name, blob.content);
      await mount.restart();
      for (const blob of [unread, strange, cold])
        await eventually('it is listed', async () => (await fs.readdir(mount.file())).includes(blob.name.slice(0, 2)));
      const answer = (method: string, { name }: Blob, status: number): Rule => {
        return { do: 'status', status, headers: { 'x-trans-id': 'tx1' }, method, path: new RegExp(`/odoo-unlucky/${name}`) };
      };
      proxy.add(answer('PUT', unstored, 503), answer('GET', unread, 503), answer('GET', strange, 412), answer('HEAD', strange, 412));
      await writeBlob(mount.path, unstored);
      await eventually('its PUT has failed', () => proxy.seen.some(({ method, fault }) => method === 'PUT' && fault !== undefined));
      await writeBlob(mount.path, prompt);
      await eventually('the next one is stored', async () => (await client.get('odoo-unlucky', prompt.name)) !== undefined, 15_000);
      await assert.rejects(fs.readFile(mount.file(strange.name)), { code: 'EIO' });
      const untilMs = Date.now() + 12_000;
      const reader = assert.rejects(fs.readFile(mount.file(unread.name)), { code: 'EIO' });
      while (Date.now() < untilMs) {
        const [database] = (await mount.status()).databases;
        assert.equal(database?.pendingWrites, 1);
        assert.equal(database.degradedSinceMs, undefined, `said to be away: ${database.reason ?? ''}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await reader;
      assert.deepEqual(await fs.readFile(mount.file(cold.name)), cold.content);
      assert.equal(mount.log.has(/swift\.away/), false);
      proxy.clear();
      await mount.drained();
      for (const blob of [unstored, unread, strange]) assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
    }));
});
