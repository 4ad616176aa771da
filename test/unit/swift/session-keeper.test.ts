import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FilestoreError, kindOf } from '../../../src/base/errors.js';
import { LoginUnavailable } from '../../../src/swift/login/login-request.js';
import { SessionKeeper } from '../../../src/swift/login/session-keeper.js';
import type { LoginReport, Session } from '../../../src/swift/login/session.js';
import { FakeClock, settle } from '../../helpers/clock.js';
import { LogGuard } from '../../helpers/log-guard.js';

/** A keeper whose login is scripted: each entry is a life in milliseconds (undefined: not said) or an error. */
function scripted(script: (number | undefined | Error)[], way: LoginReport['way'] = 'v3 password', accounts = ['AUTH_a']) {
  const clock = new FakeClock();
  const log = new LogGuard();
  let logins = 0;
  const login = async (): Promise<Session> => {
    const next = script[Math.min(logins, script.length - 1)];
    logins++;
    await settle(1);
    if (next instanceof Error) throw next;
    const nowMs = clock.nowMs();
    const expiresAtMs = next === undefined ? undefined : nowMs + next;
    const storageUrl = `http://swift${logins}.example/v1/${accounts[Math.min(logins, accounts.length) - 1] ?? ''}`;
    const report: LoginReport = {
      way,
      authUrl: undefined,
      storageUrl,
      expiresAtMs,
      user: undefined,
      project: undefined,
      roles: [],
      regions: [],
    };
    return { storageUrl, token: `token-${logins}`, issuedMs: nowMs, expiresAtMs, owner: undefined, report };
  };
  return { clock, log, keeper: new SessionKeeper(login, clock, log.log()), logins: () => logins };
}

const REFUSED = new FilestoreError('bad-credentials', 'the service says no');

void describe('sessions', () => {
  void test('many callers share one login', async () => {
    const { keeper, logins } = scripted([undefined]);
    const sessions = await Promise.all(Array.from({ length: 50 }, () => Promise.resolve(keeper.session())));
    assert.equal(logins(), 1);
    assert.equal(new Set(sessions.map((s) => s.token)).size, 1);
  });

  void test('a refused token is replaced once, however many report it', async () => {
    const { keeper, logins } = scripted([undefined]);
    const session = await keeper.session();
    for (let i = 0; i < 10; i++) keeper.invalidate(session);
    const next = await keeper.session();
    keeper.invalidate(session);
    assert.equal((await keeper.session()).token, next.token);
    assert.equal(logins(), 2);
  });

  void test('a login that leads to another account than the first is an outage until it leads back, by whatever URL', async () => {
    const { keeper, clock, log } = scripted([undefined], 'v3 password', ['AUTH_a', 'AUTH_b', 'AUTH_a']);
    log.expect(/^WARN login-failed/);
    keeper.invalidate(await keeper.session());
    const isTold = (error: unknown): boolean =>
      kindOf(error) === 'unavailable' && /account AUTH_b now, .* AUTH_a before/.test(String(error));
    await assert.rejects(Promise.resolve(keeper.session()), isTold);
    await clock.advance(1000);
    assert.equal((await keeper.session()).storageUrl, 'http://swift3.example/v1/AUTH_a');
    log.assertQuiet();
  });

  void test('an account that is doubted before it was confirmed is learnt anew, at most every ten seconds', async () => {
    const { keeper, clock, log, logins } = scripted([undefined], 'v3 password', ['AUTH_wrong', 'AUTH_wrong', 'AUTH_right', 'AUTH_wrong']);
    log.expect(/^WARN login-failed/);
    await keeper.session();
    for (let i = 0; i < 5; i++) {
      keeper.doubtAccount('AUTH_wrong');
      await keeper.session();
    }
    assert.equal(logins(), 2);
    await clock.advance(10_000);
    keeper.doubtAccount('AUTH_wrong');
    keeper.doubtAccount('AUTH_other');
    const session = await keeper.session();
    assert.equal(session.storageUrl, 'http://swift3.example/v1/AUTH_right');
    assert.throws(() => keeper.confirmAccount('AUTH_wrong'), { kind: 'unavailable' });
    keeper.confirmAccount('AUTH_right');
    await clock.advance(10_000);
    keeper.doubtAccount('AUTH_right');
    assert.equal(await keeper.session(), session);
    keeper.invalidate(session);
    await assert.rejects(Promise.resolve(keeper.session()), { kind: 'unavailable' });
    log.assertQuiet();
  });

  void test('a v3 token is renewed before it expires, and the old one serves meanwhile', async () => {
    const { keeper, clock, logins } = scripted([3_600_000]);
    assert.equal((await keeper.session()).token, 'token-1');
    await clock.advance(3_600_000 - 299_000);
    assert.equal((await keeper.session()).token, 'token-1');
    await settle();
    assert.equal((await keeper.session()).token, 'token-2');
    assert.equal(logins(), 2);
  });

  void test('a v1 token is not renewed early, since the service would hand out the same one', async () => {
    const { keeper, clock, logins } = scripted([3_600_000], 'v1');
    await keeper.session();
    await clock.advance(3_700_000);
    await keeper.session();
    assert.equal(logins(), 1);
  });

  void test('a first login that is refused says so, and is not repeated before its pause', async () => {
    const { keeper, clock, logins } = scripted([REFUSED]);
    for (let i = 0; i < 10; i++) {
      await assert.rejects(Promise.resolve(keeper.session()), (error) => kindOf(error) === 'bad-credentials');
    }
    assert.equal(logins(), 1);
    await clock.advance(1001);
    await assert.rejects(Promise.resolve(keeper.session()));
    assert.equal(logins(), 2);
  });

  void test('a login that worked before and is refused now is an outage', async () => {
    const { keeper, clock, log } = scripted([undefined, REFUSED, undefined]);
    log.expect(/login-failed/);
    keeper.invalidate(await keeper.session());
    await assert.rejects(Promise.resolve(keeper.session()), (error) => {
      assert.equal(kindOf(error), 'unavailable');
      assert.match(String(error), /worked before.*the service says no/);
      return true;
    });
    await clock.advance(1001);
    assert.equal((await keeper.session()).token, 'token-3');
    assert.equal(keeper.failures, 0);
    log.assertQuiet();
  });

  void test('Retry-After of the login service is kept', async () => {
    const { keeper, clock, logins } = scripted([new LoginUnavailable('429', { retryAfterMs: 20_000 }), undefined]);
    await assert.rejects(Promise.resolve(keeper.session()), (error) => kindOf(error) === 'unavailable');
    await clock.advance(19_000);
    await assert.rejects(Promise.resolve(keeper.session()));
    assert.equal(logins(), 1);
    await clock.advance(1001);
    await keeper.session();
    assert.equal(logins(), 2);
  });

  void test('a login service that asks for hours is asked again after five minutes', async () => {
    const { keeper, clock, logins } = scripted([new LoginUnavailable('429', { retryAfterMs: 14_388_000 }), undefined]);
    await assert.rejects(Promise.resolve(keeper.session()), (error) => kindOf(error) === 'unavailable');
    await clock.advance(299_000);
    await assert.rejects(Promise.resolve(keeper.session()));
    assert.equal(logins(), 1);
    await clock.advance(1001);
    assert.equal((await keeper.session()).token, 'token-2');
  });

  void test('a certificate that is not trusted is a mistake in the settings at the first login', async () => {
    const { keeper } = scripted([new LoginUnavailable('self-signed', { untrusted: true })]);
    await assert.rejects(Promise.resolve(keeper.session()), (error) => kindOf(error) === 'bad-config');
  });

  void test('tokens refused as fast as they are issued never meet a limit of 90 logins a minute', async () => {
    const { keeper, clock, logins } = scripted([undefined]);
    for (let i = 0; i < 600; i++) {
      try {
        keeper.invalidate(await keeper.session());
      } catch (error) {
        assert.equal(kindOf(error), 'unavailable');
      }
      await clock.advance(100);
    }
    assert.ok(logins() > 50 && logins() <= 66, `${logins()} logins in a minute`);
  });
});
