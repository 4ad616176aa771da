/**
 * The requests of a login and what their refusals mean. INVARIANT: no message holds a password, a secret or a token.
 * Keystone answers a wrong password, an unknown user or domain and a foreign project with the same 401, on purpose.
 */
import { FilestoreError } from '../../base/errors.js';
import type { Clock } from '../../base/clock.js';
import { withoutPassword } from '../../base/shown-url.js';
import { retryAfterMs } from '../requests/retry-delay.js';
import { WireFailure, wireFailureOf } from '../requests/wire-failure.js';
import { exchange, header, readText, stopOf, type Headers, type HttpMethod, type RequestDispatcher } from '../requests/wire.js';

const ANSWER_LIMIT_BYTES = 4 << 20;

export interface LoginContext {
  readonly dispatcher: RequestDispatcher;
  readonly clock: Clock;
  readonly userAgent: string;
  /** The whole time one request of a login may take. */
  readonly timeoutMs: number;
  /** The storage URL of the session before; undefined for the first one. */
  readonly lastUrl?: string | undefined;
}

interface LoginAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A login that failed for now; {@link retryAfterMs} is what the service asked us to wait. */
export class LoginUnavailable extends FilestoreError {
  readonly retryAfterMs: number;
  /** The service is there and wants us to come back: it limits our rate, or says when. */
  readonly asksToWait: boolean;
  /** The certificate is not believed: on a first login a mistake in the settings, later an outage. */
  readonly untrusted: boolean;

  constructor(message: string, options: { retryAfterMs?: number; limited?: boolean; untrusted?: boolean; cause?: unknown } = {}) {
    super('unavailable', message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.asksToWait = options.limited === true || this.retryAfterMs > 0;
    this.untrusted = options.untrusted ?? false;
  }
}

/**
 * Sends one request of a login.
 * @throws LoginUnavailable when nobody answers, or the answer is 408, 429, 498 or 5xx; FilestoreError bad-config for a URL that is none
 */
export async function askLogin(
  context: LoginContext,
  method: HttpMethod,
  url: string,
  headers: Readonly<Record<string, string>>,
  json?: unknown,
): Promise<LoginAnswer> {
  const { origin, pathname, search } = parseUrl(url);
  const what = `${method} ${origin}${pathname}`;
  const body = json === undefined ? undefined : JSON.stringify(json);
  const answer = await askWire(context, what, {
    method,
    origin,
    path: pathname + search,
    headers: {
      'user-agent': context.userAgent,
      accept: 'application/json',
      'accept-encoding': 'identity',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body,
  });
  const { status } = answer;
  if (status === 408 || status === 429 || status === 498 || status >= 500) {
    throw new LoginUnavailable(`${what}: the login service answered ${status}`, {
      retryAfterMs: retryAfterMs(answer.headers, context.clock.nowMs()),
      limited: status === 429 || status === 498,
    });
  }
  return answer;
}

async function askWire(context: LoginContext, what: string, request: Parameters<typeof exchange>[1]): Promise<LoginAnswer> {
  const signal = AbortSignal.timeout(context.timeoutMs);
  try {
    const { status, headers, body } = await exchange(context.dispatcher, { ...request, stop: stopOf(signal) });
    return { status, headers, text: await readText(body, ANSWER_LIMIT_BYTES) };
  } catch (error) {
    const remedy = 'check auth_url and that the service is up';
    if (signal.aborted) {
      const silent = error instanceof WireFailure && error.remedy !== undefined ? error.message : remedy;
      throw new LoginUnavailable(`${what}: no answer within ${context.timeoutMs} ms; ${silent}`, { cause: error });
    }
    const failure = wireFailureOf(error);
    if (failure.reason === 'malformed') throw new FilestoreError('bad-config', `${what}: ${failure.message}`, { cause: error });
    const message = `${what}: ${failure.message}${failure.remedy === undefined ? `; ${remedy}` : ''}`;
    throw new LoginUnavailable(message, { untrusted: failure.reason === 'untrusted', cause: error });
  }
}

export function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new FilestoreError(
      'bad-config',
      `"${withoutPassword(url)}" is not an http or https URL; check auth_url (OS_AUTH_URL, ST_AUTH) and storage_url`,
    );
  }
  return parsed;
}

/**
 * The error of an answer that is a refusal.
 * @param what to check when the credentials are refused
 * @param from what should have answered: each refusal of Keystone has a message in JSON, so that one without comes from something else
 */
export function refusalOf(answer: LoginAnswer, url: string, what: string, from: 'Keystone' | 'v1'): FilestoreError {
  const { status } = answer;
  const said = keystoneMessage(answer.text);
  const isTheirs = said !== undefined || (from === 'v1' && (status === 401 || status === 403));
  const hint = isTheirs ? what : `check auth_url first, for this is no answer of ${from === 'v1' ? 'a v1 login' : from}; else ${what}`;
  if (status === 401) return new FilestoreError('bad-credentials', `${url} refuses the login (401): ${hint}`);
  if (status === 403) return new FilestoreError('bad-credentials', `${url} forbids the login (403): ${hint}, or the account is disabled`);
  // Keystone says 404 of an application credential it does not know, in its own words.
  if (status === 404 && /application credential/i.test(said ?? '')) {
    return new FilestoreError('bad-credentials', `${url} does not know these credentials (404): ${hint}`);
  }
  if (status === 404 || status === 405 || status === 410) {
    return new FilestoreError(
      'bad-config',
      `${url} answered ${status}: no login service of this version is there; check auth_url and auth_version`,
    );
  }
  if (status >= 300 && status < 400) {
    const to = header(answer.headers, 'location');
    return new FilestoreError(
      'bad-config',
      `${url} answered ${status}${to === undefined ? '' : `, go to ${withoutPassword(to)}`}: set auth_url to the service itself`,
    );
  }
  return new FilestoreError(
    'bad-config',
    `${url} does not accept the login request (${status})${said === undefined ? '' : `: ${said}`}; ${hint}`,
  );
}

function keystoneMessage(text: string): string | undefined {
  const error = field(parseJson(text), 'error');
  const message = field(error, 'message');
  return typeof message === 'string' ? message.slice(0, 200) : undefined;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A field of something that came from outside and may be anything. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export function textField(value: unknown, name: string): string | undefined {
  const found = field(value, name);
  return typeof found === 'string' ? found : undefined;
}

export function listField(value: unknown, name: string): readonly unknown[] {
  const found = field(value, name);
  return Array.isArray(found) ? found : [];
}
