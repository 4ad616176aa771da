/**
 * Carries one call to Swift through login, limiter, circuit breaker, attempts and pauses.
 *
 * Every call of this client may be repeated: GET, HEAD, DELETE, COPY to the same place, PUT of the same bytes, POST of the same
 * metadata. What was perhaps carried out although its answer was lost is looked up first where the call says how (`settle`).
 *
 * INVARIANT: a place in the limiter is held from before an attempt until the last byte of its answer, and the place is given back on
 * every way out.
 */
import { FilestoreError, messageOf, StoreNotAsked } from '../../base/errors.js';
import type { Priority, PriorityLimiter } from '../../base/priority-limiter.js';
import { untilAborted } from '../../base/until-aborted.js';
import type { SessionKeeper } from '../login/session-keeper.js';
import type { Session } from '../login/session.js';
import type { SwiftSettings } from '../swift-settings.js';
import type { Answer, Call, StreamedAnswer } from './call.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { Deadline } from './deadline.js';
import { Failures, FEW_ATTEMPTS, TokenRefused, type Failure } from './failures.js';
import { RetryDelay } from './retry-delay.js';
import type { RunningRequest, RunningRequests } from './running-requests.js';
import { Sender, type AttemptAt, type Outcome, type SenderParts } from './sender.js';

interface RequesterParts extends SenderParts {
  readonly sessions: SessionKeeper;
  readonly limiter: PriorityLimiter;
  readonly running: RunningRequests;
  readonly settings: SwiftSettings;
}

export class Requester {
  readonly #parts: RequesterParts;
  readonly breaker: CircuitBreaker;
  readonly #sender: Sender;

  constructor(parts: RequesterParts) {
    this.#parts = parts;
    this.breaker = new CircuitBreaker(parts.clock, 'Swift');
    this.#sender = new Sender(parts, new Failures(parts.sessions, this.breaker, parts.clock));
  }

  /** @throws FilestoreError: the kinds of the object port */
  async call(call: Call): Promise<Answer> {
    return this.#carry(call, false);
  }

  /** As {@link call}, but a 2xx answer's body is handed on as a stream; read it to its end or destroy it. */
  async stream(call: Call): Promise<StreamedAnswer> {
    return this.#carry(call, true);
  }

  async #carry(call: Call, streamed: boolean): Promise<StreamedAnswer> {
    const { clock, settings } = this.#parts;
    const { options } = call;
    const deadline = new Deadline(
      clock,
      options.timeoutMs ?? call.longWorkMs ?? settings.requestTimeoutMs,
      settings.stallTimeoutMs,
      options.signal,
    );
    const delay = new RetryDelay();
    let loggedIn = false;
    let lost = false;
    let lastFailure: string | undefined;
    let handedOn = false;
    try {
      for (let attempt = 1; ; attempt++) {
        const outcome = await this.#attempt(call, { attempt, streamed, deadline, lastFailure, mayLogIn: !loggedIn });
        if ('answer' in outcome) {
          handedOn = outcome.answer.body !== undefined;
          if (handedOn) outcome.answer.body?.once('close', () => deadline.close());
          return { ...outcome.answer, repeated: lost };
        }
        const { error, again, afterMs } = outcome.failure;
        if (error instanceof TokenRefused) loggedIn = true;
        // Who was refused a connection, or is limited, has had no try yet.
        const isTried = options.tries === 'few' && attempt >= FEW_ATTEMPTS && outcome.failure.lost !== 'no';
        const isLast = call.once === true || isTried;
        if (!again || (isLast && !(error instanceof TokenRefused))) throw error;
        lost ||= outcome.failure.lost !== 'no';
        lastFailure = error.message;
        if (outcome.failure.lost === 'unanswered') {
          const settled = await call.settle?.();
          if (settled !== undefined) return { ...settled, body: undefined, repeated: true };
        }
        await this.#pause(call, deadline, error, error instanceof TokenRefused ? 0 : delay.next(afterMs));
      }
    } finally {
      if (!handedOn) deadline.close();
    }
  }

  async #pause(call: Call, deadline: Deadline, error: FilestoreError, pauseMs: number): Promise<void> {
    if (pauseMs >= deadline.remainingMs) throw error;
    // While the breaker is open nobody waits: the next attempt would only be told so.
    if (this.breaker.state === 'open' && error.kind === 'unavailable') throw error;
    try {
      if (pauseMs > 0) await this.#parts.clock.sleep(pauseMs, deadline.signal);
    } catch {
      throw deadline.error(this.#what(call), error.message);
    }
  }

  async #attempt(call: Call, at: AttemptAt): Promise<Outcome> {
    const { deadline } = at;
    const priority: Priority = call.options.priority ?? (call.method === 'GET' || call.method === 'HEAD' ? 'read' : 'write');
    const opened = await this.#session(deadline, call, at.lastFailure);
    if ('failure' in opened) return opened;
    const { session } = opened;
    const leave = call.probe === true ? () => undefined : await this.#enterLimiter(priority, deadline, call, at.lastFailure);
    let running: RunningRequest | undefined;
    let kept = false;
    try {
      if (call.probe !== true) this.breaker.enter();
      running = this.#parts.running.start(call.method, call.longWorkMs === undefined ? 'tells' : 'expected');
      const outcome = await this.#sender.send(call, session, running, leave, at);
      kept = 'answer' in outcome && outcome.answer.body !== undefined;
      return outcome;
    } finally {
      if (!kept) {
        running?.ended();
        leave();
      }
    }
  }

  async #enterLimiter(priority: Priority, deadline: Deadline, call: Call, lastFailure: string | undefined): Promise<() => void> {
    const { limiter } = this.#parts;
    const now = deadline.aborted ? undefined : limiter.enterNow(priority);
    if (now !== undefined) return now;
    try {
      return await limiter.enter(priority, deadline.signal, call.options.raise);
    } catch {
      const error = deadline.error(this.#what(call), lastFailure ?? 'every connection was in use');
      throw error.kind === 'unavailable' && lastFailure === undefined ? new StoreNotAsked(error.message) : error;
    }
  }

  async #session(deadline: Deadline, call: Call, lastFailure: string | undefined): Promise<{ session: Session } | { failure: Failure }> {
    const { sessions } = this.#parts;
    try {
      const found = sessions.session();
      if (!(found instanceof Promise)) return { session: found };
      // Others share it: giving up leaves it running for them.
      const givenUp = (): FilestoreError => new FilestoreError('interrupted', 'given up while logging in');
      return { session: await untilAborted(found, deadline.signal, givenUp) };
    } catch (error) {
      if (deadline.aborted) throw deadline.error(this.#what(call), lastFailure ?? 'the login is not done');
      const known = error instanceof FilestoreError ? error : new FilestoreError('internal', messageOf(error), { cause: error });
      // One hiccup of the login service is waited out; a login that goes on failing is an outage, told at once.
      const again = known.kind === 'unavailable' && sessions.failures < 2;
      return { failure: { error: known, again, afterMs: sessions.pauseMs, lost: 'no' } };
    }
  }

  #what(call: Call): string {
    return `${call.method} ${call.path === '' ? 'the account' : call.path}`;
  }
}
