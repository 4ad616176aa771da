/**
 * Holds the session all calls share: one login in flight, renewal before it expires, and a brake on logins.
 *
 * Clouds answer 429 beyond some 90 logins a minute, so logins come out of a bucket of 5 that gains one a second, and a login that
 * failed is not tried again before its pause is over (1 s, doubled up to 30 s, or what Retry-After asks up to 5 minutes: a
 * service that names hours for one busy moment would keep us out long after it is well).
 *
 * INVARIANT: before the first login has succeeded a refusal is thrown as it is (bad-credentials, bad-config): somebody is at the
 * keyboard. Later the same refusal is an outage (`unavailable`): the credentials did work, writes belong in the spool, and the message
 * says what the service said.
 *
 * INVARIANT: all sessions are for one account, that of the first one. What a renewal says of another account (a project made anew, a catalog that was
 * mended wrongly) is a login that failed: that account's "not there" would be a lie about every file, and its owner would get our writes.
 * The first login may be the wrong one, of a daemon that began without Swift: until who knows the containers has confirmed its account, it
 * may be doubted, and then the next login is the first.
 */
import type { Clock } from '../../base/clock.js';
import { FilestoreError, kindOf, messageOf } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { LoginUnavailable } from './login-request.js';
import { accountOf, type Session } from './session.js';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;
const LONGEST_ASKED_PAUSE_MS = 5 * 60_000;
const BUCKET_SIZE = 5;
const BUCKET_REFILL_MS = 1000;
/** A token is renewed when a tenth of its life is left, at most five minutes before its end. */
const RENEW_BEFORE_MS = 5 * 60_000;
const RENEW_BEFORE_SHARE = 0.1;
/** Each of a crowd of databases may doubt an account, at each of its tries. */
const DOUBT_PAUSE_MS = 10_000;

export class SessionKeeper {
  readonly #login: (lastUrl: string | undefined) => Promise<Session>;
  readonly #clock: Clock;
  readonly #log: Log;
  #session: Session | undefined;
  #flight: Promise<Session> | undefined;
  #everLoggedIn = false;
  #account: string | undefined;
  #lastUrl: string | undefined;
  #isConfirmed = false;
  #doubtedAtMs = -Infinity;
  #failures = 0;
  #notBeforeMs = 0;
  #lastError: FilestoreError | undefined;
  #bucket = BUCKET_SIZE;
  #bucketMs = 0;

  constructor(login: (lastUrl: string | undefined) => Promise<Session>, clock: Clock, log: Log) {
    this.#login = login;
    this.#clock = clock;
    this.#log = log;
  }

  /** Logins that have failed in a row. */
  get failures(): number {
    return this.#failures;
  }

  /** Milliseconds until a login may be tried again; 0 when at once. */
  get pauseMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#clock.nowMs());
  }

  get lastError(): string | undefined {
    return this.#lastError?.message;
  }

  /** @throws FilestoreError unavailable; before the first success also bad-credentials and bad-config */
  session(): Session | Promise<Session> {
    const session = this.#session;
    if (session === undefined) return this.#renew();
    const { expiresAtMs, issuedMs, report } = session;
    // v1 hands out the same token until it has expired, so that renewing it early gains nothing.
    if (expiresAtMs === undefined || report.way === 'v1') return session;
    const leftMs = expiresAtMs - this.#clock.nowMs();
    if (leftMs <= 0) {
      this.#session = undefined;
      return this.#renew();
    }
    const early = Math.min(RENEW_BEFORE_MS, (expiresAtMs - issuedMs) * RENEW_BEFORE_SHARE);
    if (leftMs <= early && this.pauseMs === 0 && this.#flight === undefined) {
      // The old token serves until the new one is here; a failure is logged by the flight and tried again after its pause.
      this.#renew().catch(() => undefined);
    }
    return session;
  }

  /** Whether requests go out with this session still: not once somebody has found its token refused. */
  isCurrent(session: Session): boolean {
    return this.#session === session;
  }

  /** Says that the server refuses this session's token. Whoever comes second finds it replaced already. */
  invalidate(session: Session): void {
    if (this.#session === session) this.#session = undefined;
  }

  /** @throws FilestoreError unavailable when a login has led to another account since */
  confirmAccount(account: string): void {
    this.#assertSameAccount(account);
    this.#isConfirmed = true;
  }

  /** Has the next request log in anew, if that is the account we are in and nobody has confirmed it. */
  doubtAccount(account: string): void {
    const nowMs = this.#clock.nowMs();
    if (this.#isConfirmed || this.#account !== account || nowMs - this.#doubtedAtMs < DOUBT_PAUSE_MS) return;
    this.#doubtedAtMs = nowMs;
    this.#account = undefined;
    this.#lastUrl = undefined;
    this.#session = undefined;
    this.#log.info('account-doubted', { account, meaning: 'no container that is served lies in it; the next request logs in anew' });
  }

  #renew(): Promise<Session> {
    this.#flight ??= this.#fly().finally(() => (this.#flight = undefined));
    return this.#flight;
  }

  async #fly(): Promise<Session> {
    if (this.#lastError !== undefined && this.pauseMs > 0) throw this.#lastError;
    this.#takeFromBucket();
    try {
      const session = await this.#login(this.#lastUrl);
      this.#assertSameAccount(accountOf(session));
      if (this.#failures > 0) this.#log.info('login-works-again', { storageUrl: session.storageUrl });
      this.#session = session;
      this.#lastUrl = session.storageUrl;
      this.#everLoggedIn = true;
      this.#failures = 0;
      this.#lastError = undefined;
      this.#notBeforeMs = 0;
      return session;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #assertSameAccount(account: string): void {
    this.#account ??= account;
    if (this.#account === account) return;
    const remedy = 'no request is sent there; give the login back its account, or restart with credentials of the right one';
    throw new FilestoreError(
      'unavailable',
      `the login is for account ${account} now, and was for account ${this.#account} before: ${remedy}`,
    );
  }

  #failed(error: unknown): FilestoreError {
    const asked = error instanceof LoginUnavailable ? Math.min(LONGEST_ASKED_PAUSE_MS, error.retryAfterMs) : 0;
    const pauseMs = Math.max(asked, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures));
    this.#failures++;
    this.#notBeforeMs = this.#clock.nowMs() + pauseMs;
    this.#lastError = this.#meaningOf(error);
    if (this.#everLoggedIn) this.#log.warn('login-failed', { error: this.#lastError.message, nextTryMs: Math.round(pauseMs) });
    return this.#lastError;
  }

  #meaningOf(error: unknown): FilestoreError {
    if (!this.#everLoggedIn) {
      if (error instanceof LoginUnavailable && error.untrusted) return new FilestoreError('bad-config', error.message, { cause: error });
      return error instanceof FilestoreError ? error : new FilestoreError('internal', messageOf(error), { cause: error });
    }
    if (kindOf(error) === 'unavailable' && error instanceof FilestoreError) return error;
    return new FilestoreError('unavailable', `the login that worked before fails now: ${messageOf(error)}`, { cause: error });
  }

  #takeFromBucket(): void {
    const nowMs = this.#clock.nowMs();
    this.#bucket = Math.min(BUCKET_SIZE, this.#bucket + (nowMs - this.#bucketMs) / BUCKET_REFILL_MS);
    this.#bucketMs = nowMs;
    if (this.#bucket < 1) {
      this.#notBeforeMs = nowMs + (1 - this.#bucket) * BUCKET_REFILL_MS;
      throw new FilestoreError('unavailable', 'tokens are refused as fast as they are issued; logins are held back to one a second');
    }
    this.#bucket -= 1;
  }
}
