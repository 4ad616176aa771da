/**
 * What a failed attempt means: for the call (again, and after how long?), for the circuit breaker (is Swift down?) and for the login (is
 * the token spent?).
 */
import type { Clock } from '../../base/clock.js';
import { FilestoreError } from '../../base/errors.js';
import type { SessionKeeper } from '../login/session-keeper.js';
import type { Session } from '../login/session.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { Deadline } from './deadline.js';
import { isKeptOfSwifts, strangerMessage, transactionOf } from './own-answer.js';
import { retryAfterMs } from './retry-delay.js';
import { statusError, verdictOf, type AttemptTrace } from './verdict.js';
import { WireFailure, wireFailureOf } from './wire-failure.js';
import { header, type Headers } from './wire.js';

export const FEW_ATTEMPTS = 3;
/** Ceph answers 403 to an expired token: a login is tried for it, but not for every forbidden request. */
const FORBIDDEN_LOGIN_EVERY_MS = 300_000;
/** A caller's own short time-out says little about Swift; a silence this long does. */
const SILENCE_MS = 2000;

/** How an attempt went wrong, and whether to go on. */
export interface Failure {
  readonly error: FilestoreError;
  readonly again: boolean;
  readonly afterMs: number;
  /** Whether it may have been carried out; 'unanswered' when nothing at all came back. */
  readonly lost: 'no' | 'maybe' | 'unanswered';
}

/** The call goes on with a new token. */
export class TokenRefused extends FilestoreError {}

/** What Swift answered, but not to what was asked. */
interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** An exchange that did not come to an answer. */
interface BrokenExchange {
  readonly error: unknown;
  /** Of our own bytes. */
  readonly sourceError: Error | undefined;
  readonly deadline: Deadline;
  readonly last: string | undefined;
  readonly tookMs: number;
}

export class Failures {
  readonly #sessions: SessionKeeper;
  readonly #breaker: CircuitBreaker;
  readonly #clock: Clock;
  #forbiddenLoginMs = -Infinity;
  #everServed = false;

  constructor(sessions: SessionKeeper, breaker: CircuitBreaker, clock: Clock) {
    this.#sessions = sessions;
    this.#breaker = breaker;
    this.#clock = clock;
  }

  /** An attempt that did not fail. */
  served(): void {
    this.#everServed = true;
    this.#breaker.succeeded();
  }

  /** An attempt that ended before anything was sent: it says nothing about Swift. */
  notMade(): void {
    this.#breaker.abandoned();
  }

  /** @throws what broke our own bytes, or the deadline's error */
  broken(trace: AttemptTrace, { error, sourceError, deadline, last, tookMs }: BrokenExchange): Failure {
    if (sourceError !== undefined) {
      // Our own bytes could not be read: that is no fault of Swift's, and its error says more than the wire's.
      this.#breaker.abandoned();
      throw sourceError;
    }
    const what = `${trace.method} ${trace.where}`;
    if (deadline.aborted) {
      const given = deadline.error(what, last, proxysSilence(error));
      if (given.kind === 'interrupted' || tookMs < SILENCE_MS) this.#breaker.abandoned();
      else this.#breaker.failed(given.message, false);
      throw given;
    }
    const { message, reason } = wireFailureOf(error);
    const told = `${what}: ${message} (attempt ${trace.attempt})`;
    if (reason === 'malformed') {
      this.#breaker.abandoned();
      return { error: new FilestoreError('invalid-argument', told, { cause: error }), again: false, afterMs: 0, lost: 'no' };
    }
    this.#breaker.failed(told, reason === 'refused');
    return {
      error: new FilestoreError('unavailable', told, { cause: error }),
      again: reason !== 'untrusted',
      afterMs: 0,
      lost: reason === 'lost' ? 'unanswered' : 'no',
    };
  }

  /** Something else answered: once or twice it may be a proxy that is being reloaded. */
  stranger(trace: AttemptTrace, status: number, headers: Headers): Failure {
    const message = strangerMessage(trace, status, headers);
    // What a cache has kept of one object, or container, says nothing of the others.
    this.#breaker.failed(message, false, isKeptOfSwifts(headers) ? trace.where : undefined);
    const error = new FilestoreError('unavailable', message);
    return { error, again: trace.attempt < FEW_ATTEMPTS, afterMs: 0, lost: 'maybe' };
  }

  /** @param mayLogIn the call has not done so yet */
  refused(trace: AttemptTrace, session: Session, { status, headers, text }: Refusal, mayLogIn: boolean): Failure {
    const verdict = verdictOf(status, text);
    const transactionId = transactionOf(headers);
    // Of what Swift itself cannot do now with one object, nothing follows for the others.
    if (verdict.counts === 'failure') {
      const isSwifts = transactionId !== undefined;
      this.#breaker.failed(`${trace.method} ${trace.where} answered ${status}`, false, isSwifts ? trace.where : undefined);
    } else this.#breaker.succeeded();
    const location = header(headers, 'location');
    const error = statusError(trace, { status, text, transactionId, location }, verdict, this.#breaker.state === 'open');
    const nowMs = this.#clock.nowMs();
    if (verdict.action === 'login') {
      this.#sessions.invalidate(session);
      return this.#tokenRefused(error, session, mayLogIn);
    }
    // Of those that are on their way with an expired token one logs in, and all the others go on with what that brings.
    if (status === 403 && verdict.kind === 'forbidden' && mayLogIn && !this.#sessions.isCurrent(session)) {
      return { error: new TokenRefused('forbidden', error.message), again: true, afterMs: 0, lost: 'no' };
    }
    if (status === 403 && verdict.kind === 'forbidden' && mayLogIn && this.#mayLogInForForbidden(session, nowMs)) {
      this.#forbiddenLoginMs = nowMs;
      this.#sessions.invalidate(session);
      return { error: new TokenRefused('forbidden', error.message), again: true, afterMs: 0, lost: 'no' };
    }
    const again = verdict.action === 'retry' || (verdict.action === 'retry-few' && trace.attempt < FEW_ATTEMPTS);
    return { error, again, afterMs: retryAfterMs(headers, nowMs), lost: status >= 500 && status !== 507 ? 'maybe' : 'no' };
  }

  /** 401: one new login a call. A token refused right after it was issued: Swift cannot ask Keystone, which is an outage. */
  #tokenRefused(error: FilestoreError, session: Session, mayLogIn: boolean): Failure {
    if (session.report.way === 'ready token') {
      const message = `${error.message}: the token given (token, OS_TOKEN) has expired, was revoked, or is not for this account`;
      // As with a login that worked before: later it is an outage, during which writes belong in the spool.
      const kind = this.#everServed ? 'unavailable' : 'bad-credentials';
      return { error: new FilestoreError(kind, message), again: false, afterMs: 0, lost: 'no' };
    }
    if (mayLogIn) return { error: new TokenRefused('unavailable', error.message), again: true, afterMs: 0, lost: 'no' };
    const message = `${error.message}: Swift refuses a token that was issued just now; check that Swift reaches Keystone`;
    return { error: new FilestoreError('unavailable', message), again: false, afterMs: 0, lost: 'no' };
  }

  #mayLogInForForbidden(session: Session, nowMs: number): boolean {
    const { way } = session.report;
    if (way === 'ready token') return false;
    return nowMs - session.issuedMs > FORBIDDEN_LOGIN_EVERY_MS && nowMs - this.#forbiddenLoginMs > FORBIDDEN_LOGIN_EVERY_MS;
  }
}

/** What is told of the proxy that a call went through when its time was over. */
function proxysSilence(error: unknown): string | undefined {
  return error instanceof WireFailure && error.remedy !== undefined ? error.message : undefined;
}
