/** One HTTP exchange: out with a request, in with the answer's head. What goes wrong below HTTP becomes a {@link WireFailure}. */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { messageOf } from '../../base/errors.js';

export type HttpMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'COPY';

export interface WireRequest {
  readonly method: HttpMethod;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Readable | Uint8Array | string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest wait for the head of the answer; the agent's default without it. */
  readonly headersTimeoutMs?: number | undefined;
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Dispatcher.ResponseData['body'];
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

/** @throws WireFailure, or the signal's reason */
export async function exchange(dispatcher: Dispatcher, request: WireRequest): Promise<WireAnswer> {
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin: request.origin,
      path: request.path,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      signal: request.signal ?? null,
      // undici closes the connection after each HEAD otherwise, for the sake of servers that send a body with it. Swift behind Keystone does
      // so with a 401 (the end of a chunked body): that connection breaks, and who is on it then repeats his call.
      reset: false,
      ...(request.headersTimeoutMs === undefined ? {} : { headersTimeout: request.headersTimeoutMs }),
    });
    return { status: statusCode, headers, body };
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw wireFailureOf(error);
  }
}

/** @returns a header's value; of several the first. @param name in lower case */
export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Reads a short body whole. Past `limitBytes` the rest is thrown away. @throws WireFailure */
export async function readText(body: WireAnswer['body'], limitBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      if (bytes < limitBytes) parts.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
  } catch (error) {
    throw wireFailureOf(error);
  }
  return Buffer.concat(parts).toString('utf8');
}
