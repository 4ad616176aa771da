/** One attempt on the wire: what is sent for a call, and what its answer is: an answer, or a failure with what to do about it. */
import type { Clock } from '../../base/clock.js';
import type { Session } from '../login/session.js';
import { AnswerBody } from './answer-body.js';
import type { Call, StreamedAnswer } from './call.js';
import type { Deadline } from './deadline.js';
import type { Failure, Failures } from './failures.js';
import { isSwiftsOwn, isTraced, transactionOf } from './own-answer.js';
import { outgoing, type OutgoingBody } from './request-body.js';
import type { RunningRequest } from './running-requests.js';
import type { ServerClock } from './server-clock.js';
import { turnOf, type AttemptTrace } from './verdict.js';
import { exchange, header, readText, type RequestDispatcher, type WireAnswer } from './wire.js';

/** Longest error page that is kept for the message. */
const ERROR_TEXT_BYTES = 16 * 1024;
/** A page of a listing has up to 10,000 names of 1,024 bytes, each with its fields. */
const TEXT_BYTES = 64 << 20;

export interface SenderParts {
  readonly dispatcher: RequestDispatcher;
  readonly serverClock: ServerClock;
  readonly clock: Clock;
  readonly userAgent: string;
}

/** Where a call stands when it is tried. */
export interface AttemptAt {
  /** From 1 on. */
  readonly attempt: number;
  readonly streamed: boolean;
  readonly deadline: Deadline;
  /** Of the attempt before, for the message. */
  readonly lastFailure: string | undefined;
  /** A token that is refused may be an old one: it has not been renewed for this call. */
  readonly mayLogIn: boolean;
}

export type Outcome = { readonly answer: StreamedAnswer } | { readonly failure: Failure };

interface StorageUrl {
  readonly session: Session;
  readonly origin: string;
  readonly host: string;
  readonly pathname: string;
}

export class Sender {
  readonly #parts: SenderParts;
  readonly #failures: Failures;
  #url: StorageUrl | undefined;

  constructor(parts: SenderParts, failures: Failures) {
    this.#parts = parts;
    this.#failures = failures;
  }

  /** @param leave gives the place in the limiter back; called here only by the end of a streamed body */
  async send(call: Call, session: Session, running: RunningRequest, leave: () => void, at: AttemptAt): Promise<Outcome> {
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
      isOwn = isSwiftsOwn(call, answer.status, answer.headers, this.#parts.clock.nowMs() - startedMs);
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
      return { failure: this.#failures.broken(trace, { error, sourceError: out?.sourceError(), deadline, last: at.lastFailure, tookMs }) };
    }
    const { status, headers } = answer;
    if (!isOwn) return { failure: this.#failures.stranger(trace, status, headers) };
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
      this.#failures.notMade();
      throw error;
    }
  }

  #headers(call: Call, session: Session): Record<string, string> {
    return {
      'x-auth-token': session.token,
      'user-agent': this.#parts.userAgent,
      // Who says nothing takes any (RFC 9110, 12.5.3): a proxy that packs what passes would spoil length and hash.
      'accept-encoding': 'identity',
      // A cache is to ask Swift. What is stored would keep it: Swift and Ceph take it for the object's own.
      ...(call.method === 'HEAD' || call.method === 'GET' ? { 'cache-control': 'no-cache' } : {}),
      ...(call.body === undefined ? {} : { 'content-length': String(call.body.sizeBytes) }),
      ...call.headers,
    };
  }

  #bodyOf(answer: WireAnswer, trace: AttemptTrace, running: RunningRequest, call: Call, release: () => void): AnswerBody {
    const length = header(answer.headers, 'content-length');
    const transaction = transactionOf(answer.headers);
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
}
