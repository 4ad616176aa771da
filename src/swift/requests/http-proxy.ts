/** One HTTP proxy: where it is, how it knows us, and how its failures are told. INVARIANT: no message holds its password. */
import { FilestoreError } from '../../base/errors.js';
import { withoutBrackets } from './hostname.js';
import { GivenUp, WireFailure, wireFailureOf, type WireFailureCause } from './wire-failure.js';

const REMEDY = 'check http_proxy, https_proxy and no_proxy';
const REMEDY_BEHIND = `${REMEDY}, and that the service is up`;

export class HttpProxy {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly host: string;
  /** An IPv6 address without its brackets. */
  readonly hostname: string;
  readonly protocol: string;
  readonly port: string;
  /** Of the header Proxy-Authorization; undefined without a user. */
  readonly authorization: string | undefined;

  /** @throws FilestoreError bad-config for a URL that is none */
  constructor(url: string, option: string) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
      throw new FilestoreError('bad-config', `${option} is not a URL that starts with http:// or https://`);
    }
    this.origin = parsed.origin;
    this.host = parsed.host;
    this.hostname = withoutBrackets(parsed.hostname);
    this.protocol = parsed.protocol;
    this.port = parsed.port;
    this.authorization = parsed.username === '' && parsed.password === '' ? undefined : basic(parsed);
  }

  failure(reason: WireFailureCause, told: string, cause?: unknown, remedy = REMEDY): WireFailure {
    return new WireFailure(reason, `the HTTP proxy ${this.origin} ${told}`, cause, remedy);
  }

  /** It could not be reached. */
  unreached(error: unknown): WireFailure {
    const { reason, told, remedy } = wireFailureOf(error);
    return this.failure(reason === 'lost' ? 'unreachable' : reason, `cannot be reached: ${told}`, error, remedy);
  }

  /** What broke on the way through it; what names it already, or has a remedy of its own, stays as it is. */
  named(error: unknown): WireFailure {
    // Whether the proxy or the server behind it is silent cannot be seen from here.
    if (error instanceof GivenUp) return this.failure('lost', 'had no answer for us until then', error, REMEDY_BEHIND);
    const failure = wireFailureOf(error);
    if (failure === error || failure.remedy !== undefined || failure.reason === 'malformed') return failure;
    return this.failure(failure.reason, `or the server behind it failed: ${failure.told}`, error, REMEDY_BEHIND);
  }

  /** It answered by itself. @param target host and port behind it */
  refusal(reason: WireFailureCause, status: number, target: string): WireFailure {
    if (status !== 407) return this.failure(reason, `did not let us through to ${target}: it answered ${status}`);
    const told = this.authorization === undefined ? 'asks for a user and a password (407)' : 'refuses its user and password (407)';
    return this.failure(reason, told, undefined, 'set them in http_proxy and https_proxy (http://USER:PASSWORD@HOST:PORT)');
  }
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`;
}

/** A stray % is meant as itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
