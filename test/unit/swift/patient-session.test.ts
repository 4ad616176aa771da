/** A login that fails for now, for who asks for nothing but a login. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { LoginStub, type StubAnswer } from '../../helpers/keystone-v2-stub.js';
import { tempauthSettings } from '../../helpers/swift-settings.js';

const GOOD: StubAnswer = { status: 200, headers: { 'x-storage-url': 'http://swift.example/v1/AUTH_a', 'x-auth-token': 't' } };
const BUSY: StubAnswer = { status: 429, headers: { 'retry-after': '0.3' } };

void describe('a login without a call behind it', () => {
  let stub: LoginStub;
  before(async () => {
    stub = await LoginStub.start(() => GOOD);
  });
  after(async () => {
    await stub.close();
  });

  /** The answers come one after the other; the last one stays. */
  const withStore = async (
    answers: readonly StubAnswer[],
    work: (store: SwiftStore) => Promise<unknown>,
    changed: Partial<SwiftSettings> = {},
  ): Promise<number> => {
    stub.seen.length = 0;
    stub.answerWith(() => answers[Math.min(stub.seen.length, answers.length) - 1] ?? GOOD);
    const store = createSwiftStore(tempauthSettings(`${stub.url}/auth/v1.0`, changed), { log: SILENT_LOG, userAgent: 'unit' });
    try {
      await work(store);
    } finally {
      await store.close();
    }
    return stub.seen.length;
  };
  const unavailable = (work: () => Promise<unknown>): Promise<void> =>
    assert.rejects(work, (error) => {
      assert.equal(kindOf(error), 'unavailable', messageOf(error));
      return true;
    });

  void test('is repeated when the service limits our rate', async () => {
    assert.equal(await withStore([BUSY, GOOD], async (store) => assert.equal((await store.login()).way, 'v1')), 2);
    assert.equal(await withStore([BUSY, BUSY, GOOD], async (store) => assert.equal(await store.account(), 'AUTH_a')), 3);
  });

  void test('is repeated once when the service fails, which is an outage then', async () => {
    assert.equal(await withStore([{ status: 503 }, GOOD], (store) => store.login()), 2);
    assert.equal(await withStore([{ status: 503 }], (store) => unavailable(() => store.login())), 2);
  });

  void test('is not waited for beyond the time of a call', async () => {
    const startedMs = Date.now();
    const long = { ...BUSY, headers: { 'retry-after': '30' } };
    assert.equal(await withStore([long], (store) => unavailable(() => store.login()), { requestTimeoutMs: 5000 }), 1);
    assert.equal(await withStore([long], (store) => unavailable(() => store.account({ timeoutMs: 5000 }))), 1);
    const caller = new AbortController();
    await withStore([long], async (store) => {
      const waiting = store.account({ signal: caller.signal });
      setTimeout(() => caller.abort(), 50);
      await assert.rejects(waiting, (error) => kindOf(error) === 'interrupted');
    });
    assert.ok(Date.now() - startedMs < 20_000);
  });

  void test('is not repeated when it is refused', async () => {
    const refused = (store: SwiftStore) => assert.rejects(store.login(), (error) => kindOf(error) === 'bad-credentials');
    assert.equal(await withStore([{ status: 401 }], refused), 1);
  });
});
