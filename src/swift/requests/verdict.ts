/** What an HTTP status of Swift means for the call. The one place where status codes become kinds and retries. */
import { withoutPassword } from '../../base/shown-url.js';
import { FilestoreError, StoreAnswered, StoreFaltered, type ErrorKind } from '../../base/errors.js';

/**
 * - `retry`: repeat within the call's time
 * - `retry-few`: repeat twice, then it is what it says
 * - `login`: the token is refused
 * - `fail`: repeating will not help
 */
interface Verdict {
  readonly action: 'retry' | 'retry-few' | 'login' | 'fail';
  readonly kind: ErrorKind;
  /** What the circuit breaker is to hear: a server that slows us down is alive. */
  readonly counts: 'failure' | 'alive';
  readonly remedy: string;
}

const alive = (action: Verdict['action'], kind: ErrorKind, remedy: string): Verdict => ({ action, kind, counts: 'alive', remedy });

const VERDICTS: Readonly<Record<number, Verdict>> = {
  400: alive('fail', 'invalid-argument', ''),
  401: alive('login', 'unavailable', ''),
  403: alive('fail', 'forbidden', 'the user needs a role that may read and write here, or the container belongs to another account'),
  404: alive('fail', 'not-found', ''),
  408: alive('retry', 'unavailable', 'Swift waited too long for our bytes'),
  409: alive('fail', 'busy', 'a later change was there first, or a large object lacks one of its segments'),
  411: alive('fail', 'unavailable', 'something between us and Swift takes the length of the request away'),
  // A condition, of which we ask none here, or a path that Swift cannot read: it says nothing of an object.
  412: alive('fail', 'unavailable', 'not an answer Swift gives to this; check storage_url and what stands in between'),
  413: alive('fail', 'too-large', 'larger than Swift takes in one object'),
  // The bytes changed on their way (nothing is stored): once more may help, a third time will not.
  422: alive('retry-few', 'corrupt', 'what Swift received is not what was sent: suspect memory, disk or network'),
  429: alive('retry', 'unavailable', 'Swift limits our rate'),
  498: alive('retry', 'unavailable', 'Swift limits our rate'),
  507: alive('retry-few', 'no-space', 'the disks of the Swift cluster are full'),
};

/** Who limits our rate, or finds a condition in what we ask, is there, whoever it is. */
const SIGNS_OF_LIFE: ReadonlySet<number> = new Set([412, 429, 498]);

/** @param text the answer's body, which tells a quota from a limit and a long name from other mistakes */
export function verdictOf(status: number, text: string): Verdict {
  if ((status === 413 || status === 403) && /quota/i.test(text)) {
    return alive('fail', 'no-space', "the account's or container's quota is used up");
  }
  if (status === 400 && /name length|too long/i.test(text)) return alive('fail', 'invalid-name', 'Swift does not take a name this long');
  if (status === 412 && /utf-?8|null/i.test(text)) {
    return alive('fail', 'invalid-name', 'Swift does not take this name: names are UTF-8 without NUL');
  }
  // Ceph's word for a 408.
  const known = VERDICTS[status === 400 && /RequestTimeout/.test(text) ? 408 : status];
  if (known !== undefined) return known;
  if (status >= 500) return { action: 'retry', kind: 'unavailable', counts: 'failure', remedy: '' };
  if (status >= 300 && status < 400)
    return alive('fail', 'unavailable', 'Swift does not redirect; set storage_url to where it is, and check proxies');
  return alive('fail', 'unavailable', 'not an answer Swift gives here; check storage_url and what stands in between');
}

export interface AttemptTrace {
  readonly method: string;
  /** Host and path as sent, without the query. */
  readonly where: string;
  readonly attempt: number;
}

/** What was answered, in Swift's place or by Swift. */
interface Refused {
  readonly status: number;
  readonly text: string;
  /** Swift's own; undefined where it is not Swift that answered. */
  readonly transactionId: string | undefined;
  /** Where a redirect leads. */
  readonly location?: string | undefined;
}

/**
 * @param isOutage Swift answers nobody else either. Else what it cannot do with one object is no reason to hold up all others: `StoreAnswered`, `StoreFaltered`
 */
export function statusError(
  trace: AttemptTrace,
  { status, text, transactionId, location }: Refused,
  verdict: Verdict,
  isOutage: boolean,
): FilestoreError {
  const said = plainText(text);
  const remedy = remedyOf(status, transactionId, verdict);
  const to = location === undefined ? '' : `, go to ${withoutPassword(location)}`;
  const quoted = said === '' ? '' : ` "${said}"`;
  const message = `${trace.method} ${trace.where} answered ${status}${to}${quoted} (${turnOf(trace, transactionId)})${remedy}`;
  const isAnswer = SIGNS_OF_LIFE.has(status) || (transactionId !== undefined && !isOutage);
  if (!isAnswer || verdict.kind !== 'unavailable') return new FilestoreError(verdict.kind, message);
  return verdict.counts === 'failure' ? new StoreFaltered(message) : new StoreAnswered(message);
}

function remedyOf(status: number, transactionId: string | undefined, { remedy }: Verdict): string {
  if (status === 413 && transactionId === undefined)
    return ': something between us and Swift takes no body of that size (nginx: client_max_body_size); raise its limit';
  return remedy === '' ? '' : `: ${remedy}`;
}

/** By what an attempt is found in Swift's logs. */
export function turnOf({ attempt }: AttemptTrace, transactionId: string | undefined): string {
  return `${transactionId === undefined ? '' : `transaction ${transactionId}, `}attempt ${attempt}`;
}

/** Swift's error pages are small HTML; their text is worth a line. */
function plainText(text: string): string {
  return text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 160);
}
