/** One call to Swift, as those who speak for objects and containers describe it, and what comes back. */
import type { Readable } from 'node:stream';
import type { RequestOptions } from '../../store/object-store.js';
import type { AnswerBody } from './answer-body.js';
import type { AttemptTrace } from './verdict.js';
import type { Headers, HttpMethod } from './wire.js';

export interface Call {
  readonly method: HttpMethod;
  /** Below the storage URL: '' or '/container…', percent-encoded. */
  readonly path: string;
  /** Without '?'. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: CallBody;
  /** Statuses beside 2xx that are answers and not failures. */
  readonly accept?: readonly number[];
  readonly options: RequestOptions;
  /**
   * Swift works long before the first byte of its answer: the longest wait for it, which is then also the time of the call where the
   * caller names none. Its silence until then says nothing about Swift (`stalledMs`).
   */
  readonly longWorkMs?: number;
  /**
   * Whether the text of a 2xx answer says that the token was refused: a bulk delete is answered before anybody looks at the token, and has
   * the 401 of each name in its JSON.
   */
  readonly refusesToken?: (text: string) => boolean;
  /** After an attempt that may have been carried out: the answer when it was, else undefined and the call is repeated. */
  readonly settle?: () => Promise<Answer | undefined>;
  /** What may be behind it when a streamed body breaks off, for the message. */
  readonly whyCut?: (headers: Headers) => string | undefined;
  /** One attempt only (and one more with a new token). */
  readonly once?: boolean;
  /** Goes to the server although the circuit breaker is open, and past the limiter. */
  readonly probe?: boolean;
}

export interface CallBody {
  readonly sizeBytes: number;
  readonly open: () => Readable | Uint8Array | string;
  readonly onBytes?: (bytes: Uint8Array) => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body of what was not streamed. */
  readonly text: string;
  /** For messages of who makes an error of it; see `answered`. */
  readonly trace: AttemptTrace;
  /** Whether an earlier attempt may have been carried out: its answer was lost. */
  readonly repeated: boolean;
}

export interface StreamedAnswer extends Answer {
  /** Undefined where the status has no body to stream. */
  readonly body: AnswerBody | undefined;
}
