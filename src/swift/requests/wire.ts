/** One HTTP exchange: out with a request, in with the answer's head. What goes wrong below HTTP becomes a {@link WireFailure}. */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { messageOf } from '../../base/errors.js';
import { IncomingBody } from './incoming-body.js';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'COPY';

export interface WireRequest {
  readonly method: HttpMethod;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Readable | Uint8Array | string | undefined;
  /** Ends the exchange, its body included. */
  readonly stop?: Stop | undefined;
  /** Longest wait for the head of the answer; the agent's default without it. */
  readonly headersTimeoutMs?: number | undefined;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Has to be read, or given up. */
  readonly body: IncomingBody;
}

/** What may end an exchange. An AbortSignal would do, but one a request costs more than the rest of our part in it. */
export interface Stop {
  readonly aborted: boolean;
  /** Called once, when it strikes; one listener, which the next exchange replaces. */
  onAbort: (() => void) | undefined;
}

export function stopOf(signal: AbortSignal): Stop {
  const stop: { aborted: boolean; onAbort: (() => void) | undefined } = { aborted: signal.aborted, onAbort: undefined };
  const strike = (): void => {
    stop.aborted = true;
    stop.onAbort?.();
  };
  signal.addEventListener('abort', strike, { once: true });
  return stop;
}

/**
 * - `refused`: nobody listens; known at once, and nothing was sent
 * - `unreachable`: no connection for another reason; nothing was sent
 * - `untrusted`: the certificate is not believed; nothing was sent
 * - `lost`: broken or silent after the request left: it may have been carried out
 */
export type WireFailureCause = 'refused' | 'unreachable' | 'untrusted' | 'lost';

export class WireFailure extends Error {
  readonly reason: WireFailureCause;

  constructor(reason: WireFailureCause, message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'WireFailure';
    this.reason = reason;
  }
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name could not be looked up',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is unreachable',
  EADDRNOTAVAIL: 'no local address is free',
  ETIMEDOUT: 'the connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
};

/** What Node's TLS reports for a certificate it does not trust (node:tls, X509 certificate error codes). */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|_TLS_|^HOSTNAME_MISMATCH$/;

const LOST: Readonly<Record<string, string>> = {
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while sending',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer was cut short',
};

export function wireFailureOf(error: unknown): WireFailure {
  if (error instanceof WireFailure) return error;
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return new WireFailure('refused', 'connection refused (ECONNREFUSED)', error);
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined) return new WireFailure('unreachable', `${unreachable} (${code})`, error);
  if (UNTRUSTED.test(code)) {
    const remedy = 'name the CA that signed it (ca_file, OS_CACERT)';
    return new WireFailure('untrusted', `the server's certificate is not trusted: ${messageOf(error)} (${code}); ${remedy}`, error);
  }
  const lost = LOST[code];
  return new WireFailure('lost', lost === undefined ? `${messageOf(error)}${code === '' ? '' : ` (${code})`}` : `${lost} (${code})`, error);
}

/** The code of an error, or of the first of several (Node tries IPv6 and IPv4 and reports both). */
function codeOf(error: unknown): string {
  const { code, errors, cause } = (error ?? {}) as { code?: unknown; errors?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return cause === undefined ? '' : codeOf(cause);
}

/**
 * undici's lowest call: no stream is made of an answer unless somebody wants one.
 * @throws WireFailure, or the error of an exchange that was stopped
 */
export function exchange(dispatcher: Dispatcher, request: WireRequest): Promise<WireAnswer> {
  const { stop } = request;
  return new Promise<WireAnswer>((resolve, reject) => {
    const body = new IncomingBody();
    let started: Dispatcher.DispatchController | undefined;
    let answered = false;
    // undici holds a request back until it has a connection, and can then not be told to drop it: who stops it does not wait for that.
    const giveUp = (): void => {
      const error = new Error('given up');
      if (started === undefined) reject(error);
      else started.abort(error);
    };
    if (stop?.aborted === true) return giveUp();
    if (stop !== undefined) stop.onAbort = giveUp;
    const fail = (error: unknown): void => {
      if (answered) body.fail(error);
      else reject(stop?.aborted === true && error instanceof Error ? error : wireFailureOf(error));
    };
    const options: Dispatcher.DispatchOptions = {
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      // undici closes the connection after each HEAD otherwise, for the sake of servers that send a body with it. Swift behind Keystone does
      // so with a 401 (the end of a chunked body): that connection breaks, and who is on it then repeats his call.
      reset: false,
      ...(request.headersTimeoutMs === undefined ? {} : { headersTimeout: request.headersTimeoutMs }),
    };
    try {
      dispatcher.dispatch(options, {
        onRequestStart: (controller) => {
          started = controller;
          body.from(controller);
          if (stop?.aborted === true) giveUp();
        },
        onResponseStart: (_controller, status, headers) => {
          if (status < 200) return;
          answered = true;
          resolve({ status, headers, body });
        },
        onResponseData: (_controller, chunk) => body.take(chunk),
        onResponseEnd: () => body.end(),
        onResponseError: (_controller, error) => fail(error),
      });
    } catch (error) {
      fail(error);
    }
  });
}

/** @returns a header's value; of several the first. @param name in lower case */
export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Reads a short body whole. Past `limitBytes` the rest is thrown away. @throws WireFailure */
export function readText(body: IncomingBody, limitBytes: number): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    body.into({
      data: (chunk) => {
        if (bytes < limitBytes) parts.push(chunk);
        bytes += chunk.length;
      },
      end: () => resolve(parts.length === 0 ? '' : Buffer.concat(parts).toString('utf8')),
      error: (error) => reject(wireFailureOf(error)),
    });
  });
}
