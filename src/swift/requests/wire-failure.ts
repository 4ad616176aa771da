/** What goes wrong below HTTP: whether the request has left, what happened in words, and what to do about it. */
import { messageOf } from '../../base/errors.js';
import { tlsFailureOf } from './tls-failure.js';

/**
 * - `refused`: nobody listens; known at once, and nothing was sent
 * - `unreachable`: no connection for another reason; nothing was sent
 * - `untrusted`: the certificate is not believed; nothing was sent
 * - `malformed`: our request is none that HTTP can carry; nothing was sent, and trying again does not help
 * - `lost`: broken or silent after the request left: it may have been carried out
 */
export type WireFailureCause = 'refused' | 'unreachable' | 'untrusted' | 'malformed' | 'lost';

export class WireFailure extends Error {
  readonly reason: WireFailureCause;
  /** What happened, without the remedy. */
  readonly told: string;
  /** What to do about it, where that is known here; part of the message. */
  readonly remedy: string | undefined;

  constructor(reason: WireFailureCause, told: string, cause: unknown, remedy?: string) {
    super(remedy === undefined ? told : `${told}; ${remedy}`, { cause });
    this.name = 'WireFailure';
    this.reason = reason;
    this.told = told;
    this.remedy = remedy;
  }
}

/** An exchange that was stopped: by its deadline, or by the caller. */
export class GivenUp extends Error {
  constructor() {
    super('given up');
    this.name = 'GivenUp';
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

/** undici's words for a request that it does not take: a header's value with a line break, for one. */
const MALFORMED: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

const LOST: Readonly<Record<string, string>> = {
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed while sending',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer was cut short',
};

/** undici's words for "100 Continue" where nobody said "Expect", after which it has closed the connection. */
const UNASKED_CONTINUE = 'bad response';

export function wireFailureOf(error: unknown): WireFailure {
  if (error instanceof WireFailure) return error;
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return new WireFailure('refused', 'connection refused (ECONNREFUSED)', error);
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined) return new WireFailure('unreachable', `${unreachable} (${code})`, error);
  const tls = tlsFailureOf(code, messageOf(error));
  if (tls !== undefined) return new WireFailure(tls.reason, tls.told, error, tls.remedy);
  if (MALFORMED.has(code)) return new WireFailure('malformed', `the request cannot be sent: ${messageOf(error)} (${code})`, error);
  if (code === 'UND_ERR_SOCKET' && messageOf(error) === UNASKED_CONTINUE)
    return new WireFailure('lost', '100 Continue came, which was not asked for', error, 'have what stands before Swift send none');
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
