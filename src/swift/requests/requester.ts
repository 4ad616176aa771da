/**
 * Carries one call to Swift through login, limiter, circuit breaker, attempts and pauses.
 *
 * Every call of this client may be repeated: GET, HEAD, DELETE, COPY to the same place, PUT of the same bytes, POST of the same
 * metadata. What was perhaps carried out although its answer was lost is looked up first where the call says how (`settle`).
 *
 * INVARIANT: a place in the limiter is held from before an attempt until the last byte of its answer, and the place is given back on
 * every way out.
 */
import type { Clock } from '../../base/clock.js';
import { FilestoreError, messageOf, StoreNotAsked } from '../../base/errors.js';
import type { Priority, PriorityLimiter } from '../../base/priority-limiter.js';
import { untilAborted } from '../../base/until-aborted.js';
import type { SessionKeeper } from '../login/session-keeper.js';
import type { Session } from '../login/session.js';
import type { SwiftSettings } from '../swift-settings.js';
import { AnswerBody } from './answer-body.js';
import type { Answer, Call, StreamedAnswer } from './call.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { Deadline } from './deadline.js';
import { Failures, FEW_ATTEMPTS, TokenRefused, type Failure } from './failures.js';
import { isSwiftsOwn, isTraced } from './own-answer.js';
import { outgoing, type OutgoingBody } from './request-body.js';
import { RetryDelay } from './retry-delay.js';
import type { RunningRequest, RunningRequests } from './running-requests.js';
import type { ServerClock } from './server-clock.js';
import { turnOf, type AttemptTrace } from './verdict.js';
import { exchange, header, readText, type RequestDispatcher, type WireAnswer } from './wire.js';

/** Longest error page that is kept for the message. */
const ERROR_TEXT_BYTES = 16 * 1024;
/** A page of a listing: 10,000 names of 1,024 bytes, percent-encoded nowhere, with their fields. */
const TEXT_BYTES = 64 << 20;

interface RequesterParts {
  readonly dispatcher: RequestDispatcher;
  readonly sessions: SessionKeeper;
  readonly limiter: PriorityLimiter;
  readonly running: RunningRequests;
  readonly serverClock: ServerClock;
  readonly clock: Clock;
  readonly settings: SwiftSettings;
  readonly userAgent: string;
}

interface AttemptAt {
  readonly attempt: number;
  readonly streamed: boolean;
  readonly deadline: Deadline;
  readonly last: string | undefined;
  readonly mayLogIn: boolean;
}

type Outcome = { readonly answer: StreamedAnswer } | { readonly failure: Failure };

interface StorageUrl {
  readonly session: Session;
  readonly origin: string;
  readonly host: string;
  readonly pathname: string;
}

export class Requester {
  readonly #parts: RequesterParts;
  readonly breaker: CircuitBreaker;
  readonly #failures: Failures;
  #url: StorageUrl | undefined;

  constructor(parts: RequesterParts) {
    this.#parts = parts;
    this.breaker = new CircuitBreaker(parts.clock, 'Swift');
    this.#failures = new Failures(parts.sessions, this.breaker, parts.clock);
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
    let last: string | undefined;
    let handedOn = false;
    try {
      for (let attempt = 1; ; attempt++) {
        const outcome = await this.#attempt(call, { attempt, streamed, deadline, last, mayLogIn: !loggedIn });
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
        last = error.message;
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
    const opened = await this.#session(deadline, call, at.last);
    if ('failure' in opened) return opened;
    const { session } = opened;
    const leave = call.probe === true ? () => undefined : await this.#enterLimiter(priority, deadline, call, at.last);
    let running: RunningRequest | undefined;
    let kept = false;
    try {
      if (call.probe !== true) this.breaker.enter();
      running = this.#parts.running.start(call.method, call.longWorkMs === undefined ? 'tells' : 'expected');
      const outcome = await this.#send(call, session, running, leave, at);
      kept = 'answer' in outcome && outcome.answer.body !== undefined;
      return outcome;
    } finally {
      if (!kept) {
        running?.ended();
        leave();
      }
    }
  }

  async #enterLimiter(priority: Priority, deadline: Deadline, call: Call, last: string | undefined): Promise<() => void> {
    const { limiter } = this.#parts;
    const now = deadline.aborted ? undefined : limiter.enterNow(priority);
    if (now !== undefined) return now;
    try {
      return await limiter.enter(priority, deadline.signal, call.options.raise);
    } catch {
      const error = deadline.error(this.#what(call), last ?? 'every connection was in use');
      throw error.kind === 'unavailable' && last === undefined ? new StoreNotAsked(error.message) : error;
    }
  }

  async #session(deadline: Deadline, call: Call, last: string | undefined): Promise<{ session: Session } | { failure: Failure }> {
    const { sessions } = this.#parts;
    try {
      const found = sessions.session();
      if (!(found instanceof Promise)) return { session: found };
      // Others share it: giving up leaves it running for them.
      const givenUp = (): FilestoreError => new FilestoreError('interrupted', 'given up while logging in');
      return { session: await untilAborted(found, deadline.signal, givenUp) };
    } catch (error) {
      if (deadline.aborted) throw deadline.error(this.#what(call), last ?? 'the login is not done');
      const known = error instanceof FilestoreError ? error : new FilestoreError('internal', messageOf(error), { cause: error });
      // One hiccup of the login service is waited out; a login that goes on failing is an outage, told at once.
      const again = known.kind === 'unavailable' && sessions.failures < 2;
      return { failure: { error: known, again, afterMs: sessions.pauseMs, lost: 'no' } };
    }
  }

  async #send(call: Call, session: Session, running: RunningRequest, leave: () => void, at: AttemptAt): Promise<Outcome> {
    const { deadline } = at;
    const { origin, host, pathname } = this.#urlOf(session);
    const trace: AttemptTrace = { method: call.method, where: `${host}${pathname}${call.path}`, attempt: at.attempt };
    const moved = (): void => {
      running.moved();
      deadline.progress();
    };
    const startedMs = this.#parts.clock.nowMs();
    const out = this.#open(call, moved);
    let answer: WireAnswer;
    let text: string;
    let isOwn: boolean;
    try {
      answer = await exchange(this.#parts.dispatcher, {
        method: call.method,
        origin,
        path: `${pathname}${call.path}${call.query === undefined ? '' : `?${call.query}`}`,
        headers: this.#headers(call, session),
        body: out?.body,
        stop: deadline,
        headersTimeoutMs: call.longWorkMs,
      });
      moved();
      isOwn = isSwiftsOwn(call, answer.status, answer.headers);
      if (isTraced(answer.headers)) this.#parts.serverClock.heard(answer.headers, startedMs, this.#parts.clock.nowMs());
      if (isOwn && at.streamed && answer.status >= 200 && answer.status < 300) {
        this.#failures.served();
        deadline.stopClock();
        const body = this.#bodyOf(answer, trace, running, call, leave);
        return { answer: { status: answer.status, headers: answer.headers, text: '', trace, repeated: false, body } };
      }
      text = await readText(answer.body, isOwn && answer.status < 300 ? TEXT_BYTES : ERROR_TEXT_BYTES, moved);
    } catch (error) {
      out?.dispose();
      const tookMs = this.#parts.clock.nowMs() - startedMs;
      return { failure: this.#failures.broken(trace, { error, sourceError: out?.sourceError(), deadline, last: at.last, tookMs }) };
    }
    const { status, headers } = answer;
    if (!isOwn) return { failure: this.#failures.stranger(trace, status) };
    if (status < 300 && call.refusesToken?.(text) === true) {
      return { failure: this.#failures.refused(trace, session, { status: 401, headers, text: '' }, at.mayLogIn) };
    }
    if ((status >= 200 && status < 300) || (call.accept?.includes(status) ?? false)) {
      // A probe accepts 5xx of Swift itself as a sign of life, but it is none that ends an outage.
      if (status < 500) this.#failures.served();
      return { answer: { status, headers, text, trace, repeated: false, body: undefined } };
    }
    return { failure: this.#failures.refused(trace, session, { status, headers, text }, at.mayLogIn) };
  }

  /** Parsed once a login. */
  #urlOf(session: Session): StorageUrl {
    if (this.#url?.session !== session) {
      const { origin, host, pathname } = new URL(session.storageUrl);
      this.#url = { session, origin, host, pathname };
    }
    return this.#url;
  }

  #open(call: Call, moved: () => void): OutgoingBody | undefined {
    if (call.body === undefined) return undefined;
    const { open, onBytes } = call.body;
    try {
      return outgoing(open(), (bytes) => {
        moved();
        onBytes?.(bytes);
      });
    } catch (error) {
      this.breaker.abandoned();
      throw error;
    }
  }

  #headers(call: Call, session: Session): Record<string, string> {
    return {
      'x-auth-token': session.token,
      'user-agent': this.#parts.userAgent,
      // Who says nothing takes any (RFC 9110, 12.5.3): a proxy that packs what passes would spoil length and hash.
      'accept-encoding': 'identity',
      ...(call.body === undefined ? {} : { 'content-length': String(call.body.sizeBytes) }),
      ...call.headers,
    };
  }

  #bodyOf(answer: WireAnswer, trace: AttemptTrace, running: RunningRequest, call: Call, release: () => void): AnswerBody {
    const length = header(answer.headers, 'content-length');
    const transaction = header(answer.headers, 'x-trans-id');
    return new AnswerBody({
      incoming: answer.body,
      what: `${trace.method} ${trace.where} (${turnOf(trace, transaction)})`,
      whyCut: call.whyCut?.(answer.headers),
      expectedBytes: length === undefined ? undefined : Number(length),
      running,
      callerSignal: call.options.signal,
      release,
    });
  }

  #what(call: Call): string {
    return `${call.method} ${call.path === '' ? 'the account' : call.path}`;
  }
}
