/**
 * Whether an answer is Swift's own. What stands in between (a load balancer without a server behind it, a maintenance page, a captive portal)
 * answers 404, 200 or 204 to everything as well, and to believe it would be to call documents absent, or deletes done.
 *
 * - Swift puts X-Trans-Id and X-Openstack-Request-Id on every answer (its middleware `catch_errors`, without which its proxy does not start);
 *   so does Ceph (rgw_rest.cc, `dump_trans_id`).
 * - Where a proxy takes those away, the headers that nobody else sends stand in for them.
 * - An object that is there has an ETag (but for the manifest of a DLO whose list of segments is long). A container has its count, but a proxy
 *   may take that away too: with the id it is believed to be there, and its count is not known.
 *
 * - What a cache kept (it is older than the request) says how things were: a name may have been stored or deleted since. Only the bytes of a content name it
 *   may say: they are the same for ever, and who reads them knows their hash.
 *
 * Held against it are a 404 and the 2xx, which say something of an object, and a 400, by which Swift would say that to ask again is useless; other
 * errors are no statements about one, whoever sends them.
 */
import { contentSha1 } from '../../base/names.js';
import type { AttemptTrace } from './verdict.js';
import { header, type Headers, type HttpMethod } from './wire.js';

export interface Asked {
  readonly method: HttpMethod;
  /** Below the storage URL: '', '/CONTAINER' or '/CONTAINER/OBJECT', percent-encoded. */
  readonly path: string;
  readonly query?: string;
}

const has = (headers: Headers, name: string): boolean => header(headers, name) !== undefined;

/** By what an answer is found in Swift's logs: both headers have the same, and a proxy may take the older one away. */
export function transactionOf(headers: Headers): string | undefined {
  return header(headers, 'x-trans-id') ?? header(headers, 'x-openstack-request-id');
}

/** Whether it says so itself: of an error nothing else does. */
export function isTraced(headers: Headers): boolean {
  return transactionOf(headers) !== undefined;
}

/** For how many seconds a cache has had it; 0 where none has. */
function ageOf(headers: Headers): number {
  const seconds = Number(header(headers, 'age') ?? 0);
  return Number.isNaN(seconds) ? 0 : seconds;
}

/** Whether Swift said so, but some time ago. */
export function isKeptOfSwifts(headers: Headers): boolean {
  return isTraced(headers) && ageOf(headers) > 0;
}

/**
 * @param tookMs how long it took: some proxies count that as an age
 * @returns false for an answer that something else must have given
 */
export function isSwiftsOwn({ method, path, query }: Asked, status: number, headers: Headers, tookMs: number): boolean {
  const hasId = isTraced(headers);
  const ageSeconds = ageOf(headers);
  const isKept = ageSeconds > 0 && ageSeconds > tookMs / 1000;
  if (status === 404 || status === 400) return hasId && !isKept;
  if (status < 200 || status >= 300) return true;
  const isRead = method === 'HEAD' || method === 'GET';
  switch (kindOfTarget(path)) {
    case 'account':
      return !isKept && (hasId || has(headers, 'x-account-container-count'));
    case 'container':
      return !isKept && (hasId || has(headers, 'x-container-object-count'));
    case 'object':
      if (!isRead) return hasId;
      if (isKept && (method === 'HEAD' || query !== undefined || !isContentNamed(path))) return false;
      return (hasId || has(headers, 'x-timestamp')) && (has(headers, 'etag') || has(headers, 'x-object-manifest'));
  }
}

function kindOfTarget(path: string): 'account' | 'container' | 'object' {
  if (path === '') return 'account';
  return path.includes('/', 1) ? 'object' : 'container';
}

function isContentNamed(path: string): boolean {
  return contentSha1(path.slice(path.indexOf('/', 1) + 1)) !== undefined;
}

export function strangerMessage({ method, where, attempt }: AttemptTrace, status: number, headers: Headers): string {
  const ageSeconds = ageOf(headers);
  if (ageSeconds > 0)
    return `${method} ${where} answered ${status} (attempt ${attempt}), as it was ${ageSeconds} s ago: a cache between us and Swift keeps its answers; have it keep none`;
  return `${method} ${where} answered ${status} (attempt ${attempt}), but not as Swift does (no X-Trans-Id, or not what describes it): something else answered in Swift's place; check proxies, load balancers and storage_url`;
}
