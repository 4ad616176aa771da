/** Tokens of a real Keystone that end: by their time, by revocation, for many callers at once, and in the middle of everything. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { SYSTEM_CLOCK, type Clock } from '../../src/base/clock.js';
import { kindOf, messageOf } from '../../src/base/errors.js';
import type { SwiftSettings } from '../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { bytesOf } from '../helpers/blobs.js';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, listNames, readBytes, streamedBodyOf } from '../helpers/store-bytes.js';
import { keystoneSettings } from '../helpers/swift-settings.js';
import { withKeystone, type Keystone } from '../helpers/with-keystone.js';

const BOX = 'tokens';
const LIFE_SECONDS = 25;
/** A machine whose clock stands still takes every token for good: Swift's 401 is the first it hears of the end. */
const STOPPED_CLOCK: Clock = { ...SYSTEM_CLOCK, nowMs: () => 1_800_000_000_000 };

void describe('tokens of Keystone', () => {
  let keystone: Keystone;
  let swift: FaultProxy;
  let stores: SwiftStore[] = [];
  const log = new LogGuard();
  // The clock of one test stands somewhere else.
  log.expect(/^WARN clocks-differ /);
  const agent = new Agent();

  const open = (changed: Partial<SwiftSettings> = {}): SwiftStore => {
    const store = createSwiftStore(keystoneSettings(keystone.authUrl, changed), { log: log.log(), userAgent: 'tokens' });
    stores.push(store);
    return store;
  };
  const logins = (): number => keystone.proxy.seen.length;
  /** The token of the last request that Swift was asked with. */
  const lastToken = (): string => String(swift.seen.at(-1)?.headers['x-auth-token']);
  const revoke = async (token: string): Promise<void> => {
    const url = `${keystone.authUrl}/auth/tokens`;
    const answer = await request(url, {
      method: 'DELETE',
      dispatcher: agent,
      headers: { 'x-auth-token': token, 'x-subject-token': token },
    });
    await answer.body.dump();
    assert.equal(answer.statusCode, 204);
    // Swift believes a token that it has checked for a second longer.
    await sleep(1200);
    keystone.proxy.resetCounts();
  };

  before(async () => {
    keystone = await withKeystone({ tokenLifeSeconds: LIFE_SECONDS, tokenCacheSeconds: 1 });
    const proxy = keystone.regions[0]?.proxy;
    assert.ok(proxy !== undefined);
    swift = proxy;
    const store = open();
    await store.createContainer(BOX);
    await store.put(BOX, 'seed', bodyOf('seed'));
  });
  beforeEach(() => {
    for (const proxy of [keystone.proxy, swift]) {
      proxy.clear();
      proxy.resetCounts();
    }
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    stores = [];
  });
  after(async () => {
    await agent.close();
    await keystone.stop();
    log.assertQuiet();
  });

  void test('a token that was revoked costs a call one login and nothing else', async () => {
    const bytes = bytesOf(1, 300_000);
    const calls: [string, (store: SwiftStore) => Promise<unknown>][] = [
      ['put', (store) => store.put(BOX, 'put', streamedBodyOf(bytes))],
      ['get', async (store) => assert.deepEqual(await readBytes(store, BOX, 'put'), bytes)],
      ['list', async (store) => assert.deepEqual(await listNames(store, BOX), ['put', 'seed'])],
      ['deleteMany', async (store) => assert.deepEqual([...(await store.deleteMany(BOX, ['put', 'never'])).failed], [])],
    ];
    for (const [name, call] of calls) {
      const store = open();
      await store.head(BOX, 'seed');
      await revoke(lastToken());
      await call(store);
      assert.equal(logins(), 1, name);
    }
    assert.equal(await open().head(BOX, 'put'), undefined);
  });

  void test('fifty first calls cost one login', async () => {
    const store = open();
    await Promise.all(Array.from({ length: 50 }, (_, n) => store.head(BOX, `n${n}`)));
    assert.equal(logins(), 1);
  });

  void test('an upload whose token ends on the way is sent once more whole', async () => {
    const store = open();
    await store.head(BOX, 'seed');
    swift.add({ do: 'status', status: 401, early: true, method: 'PUT', times: 1 });
    const bytes = bytesOf(2, 2_000_000);
    await store.put(BOX, 'early', streamedBodyOf(bytes));
    assert.deepEqual(await readBytes(store, BOX, 'early'), bytes);
    assert.equal(logins(), 2);
  });

  void test('a login that is refused again and again never meets a limit of 90 a minute', async () => {
    const store = open();
    await store.login();
    keystone.proxy.resetCounts();
    keystone.proxy.add({ do: 'status', status: 401 });
    log.expect(/login-failed/);
    swift.add({ do: 'status', status: 401 });
    const untilMs = Date.now() + 4000;
    while (Date.now() < untilMs) {
      const ended = await Promise.allSettled(Array.from({ length: 20 }, () => store.head(BOX, 'seed', { timeoutMs: 1000 })));
      for (const one of ended) assert.equal(one.status === 'rejected' ? kindOf(one.reason) : 'served', 'unavailable');
      await sleep(20);
    }
    assert.ok(logins() >= 1 && logins() <= 6, `${logins()} logins in four seconds`);
  });

  void test('a ready token that was revoked is named as such', async () => {
    const store = open();
    const { storageUrl } = await store.login();
    await store.head(BOX, 'seed');
    const token = lastToken();
    await revoke(token);
    const { authUrl: _, username: __, password: ___, ...rest } = keystoneSettings('');
    const fixed = createSwiftStore({ ...rest, token, storageUrl }, { log: log.log(), userAgent: 'tokens' });
    stores.push(fixed);
    await assert.rejects(fixed.head(BOX, 'seed'), (error) => {
      assert.equal(kindOf(error), 'bad-credentials', messageOf(error));
      assert.match(messageOf(error), /token given \(token, OS_TOKEN\) has expired, was revoked/);
      return true;
    });
    assert.equal(logins(), 0);
  });

  void test('a reader is told what it lacks in one line, for everything that writes', async () => {
    const reader = open({ username: 'odoo-reader' });
    assert.equal((await readBytes(reader, BOX, 'seed'))?.toString(), 'seed');
    assert.deepEqual(await listNames(reader, BOX, { prefix: 'se' }), ['seed']);
    const writes: [string, () => Promise<unknown>][] = [
      ['PUT', () => reader.put(BOX, 'no', bodyOf('no'))],
      ['POST', () => reader.updateMetadata(BOX, 'seed', { a: 'b' })],
      ['COPY', () => reader.copy(BOX, 'seed', BOX, 'no')],
      ['DELETE', () => reader.delete(BOX, 'seed')],
      ['PUT', () => reader.createContainer('readers-own')],
    ];
    for (const [method, write] of writes) {
      await assert.rejects(write(), (error) => {
        assert.equal(kindOf(error), 'forbidden', messageOf(error));
        assert.match(messageOf(error), new RegExp(`^${method} .* answered 403 .*needs a role that may read and write here`));
        assert.doesNotMatch(messageOf(error), /\n/);
        return true;
      });
    }
    const { failed } = await reader.deleteMany(BOX, ['seed']);
    assert.match(failed.get('seed') ?? '', /^403/);
    assert.equal(logins(), 1);
  });

  void test('fifty calls at once with a token that has expired cost one login, and one that is renewed ahead is never refused', async () => {
    // From here on Swift asks Keystone about each token once, or fifty questions a second would be Keystone's own storm.
    await keystone.regions[0]?.swift.up({ keystoneTokenCacheSeconds: 300 });
    const late = createSwiftStore(keystoneSettings(keystone.authUrl), {
      log: log.log(),
      userAgent: 'late',
      clock: STOPPED_CLOCK,
    });
    stores.push(late);
    await late.head(BOX, 'seed');
    const expired = lastToken();
    const startedMs = Date.now();
    const punctual = open();
    let calls = 0;
    for (; Date.now() < startedMs + (LIFE_SECONDS + 2) * 1000; await sleep(100)) {
      assert.equal((await punctual.head(BOX, 'seed'))?.sizeBytes, 4);
      calls++;
    }
    assert.equal(punctual.requestCounts['HEAD'], calls, 'no call was refused and repeated');
    keystone.proxy.resetCounts();
    swift.resetCounts();
    const found = await Promise.all(Array.from({ length: 50 }, () => late.head(BOX, 'seed')));
    assert.deepEqual([...new Set(found.map((info) => info?.sizeBytes))], [4]);
    assert.ok(
      swift.seen.some(({ headers }) => headers['x-auth-token'] === expired),
      'the token had expired on the way',
    );
    assert.equal(logins(), 1);
  });
});
