/**
 * Listings of containers and of the account, a page at a time until an empty page: some servers end a page early, so that a short
 * page is not the last. One page is held in memory, never the listing. What a server shows beside what was asked for (old gateways of Ceph
 * take no prefix for the account) is left out.
 */
import { contentSha1, pathOfObject } from '../../base/names.js';
import { FilestoreError } from '../../base/errors.js';
import type { ListedObject, ListOptions, RequestOptions } from '../../store/object-store.js';
import type { ContainerHeads } from '../container-heads.js';
import { field, parseJson, textField } from '../login/login-request.js';
import type { Answer } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { containerPath, query } from './paths.js';
import { answered } from './refusals.js';

const PAGE_NAMES = 10_000;
const SHA1_OF_NOTHING = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';

export interface ListingParts {
  readonly requester: Requester;
  readonly heads: ContainerHeads;
}

/**
 * @param onLarge called when a page shows a static large object
 * @throws FilestoreError not-found when the container is not there
 */
export async function* listObjects(
  { requester, heads }: ListingParts,
  container: string,
  options: ListOptions,
  onLarge?: () => void,
): AsyncGenerator<readonly ListedObject[]> {
  let limit: number | undefined = Math.min(options.limit ?? PAGE_NAMES, PAGE_NAMES);
  let marker = options.marker;
  for (;;) {
    const delimiter = options.level === true ? '/' : undefined;
    const values = { limit, prefix: options.prefix, marker, delimiter };
    const ask = (): Promise<Page> => page(requester, containerPath(container), values, options);
    const { rows, answer } = await heads.unlessThere(container, options, ask);
    if (answer.status === 412) {
      limit = undefined;
      continue;
    }
    const objects = rows.flatMap((row) => listedObject(row) ?? (delimiter === undefined ? undefined : listedDirectory(row)) ?? []);
    const last = objects.at(-1);
    if (last === undefined) return;
    assertForward(answer, marker, last.name);
    if (rows.some((row) => textField(row, 'slo_etag') !== undefined)) onLarge?.();
    const asked = objects.filter(({ name }) => name.startsWith(options.prefix ?? ''));
    if (asked.length > 0) yield asked;
    marker = last.name;
  }
}

export async function* listContainerNames(
  requester: Requester,
  prefix: string,
  options: RequestOptions,
): AsyncGenerator<readonly string[]> {
  let limit: number | undefined = PAGE_NAMES;
  // Ceph takes what has the prefix out of the page that has none, which may leave nothing of it: so the pages begin close before the prefix.
  let marker: string | undefined = Array.from(prefix).slice(0, -1).join('') || undefined;
  for (;;) {
    const { rows, answer } = await page(requester, '', { limit, prefix: prefix === '' ? undefined : prefix, marker }, options);
    if (answer.status === 412) {
      limit = undefined;
      continue;
    }
    const names = rows.flatMap((row) => textField(row, 'name') ?? []);
    const last = names.at(-1);
    if (last === undefined) return;
    assertForward(answer, marker, last);
    const asked = names.filter((name) => name.startsWith(prefix));
    if (asked.length > 0) yield asked;
    marker = last;
  }
}

interface Page {
  readonly rows: readonly unknown[];
  readonly answer: Answer;
}

/** @returns false also where the account may not be asked (403: access to the one container only, by its ACL), or is not there */
export async function isContainerListed(requester: Requester, container: string, options: RequestOptions): Promise<boolean> {
  const asked = query({ format: 'json', prefix: container, limit: 1 });
  const answer = await requester.call({ method: 'GET', path: '', query: asked, accept: [403, 404], options });
  return answer.status < 300 && textField(rowsOf(answer)[0], 'name') === container;
}

/** @returns without rows for a 412: this Swift gives fewer names a page than were asked for, and as many as it does to who names no number */
async function page(
  requester: Requester,
  path: string,
  values: Readonly<Record<string, string | number | undefined>>,
  options: RequestOptions,
): Promise<Page> {
  const accept = values['limit'] === PAGE_NAMES ? [404, 412] : [404];
  const answer = await requester.call({ method: 'GET', path, query: query({ format: 'json', ...values }), accept, options });
  if (answer.status === 412) return { rows: [], answer };
  if (answer.status === 404 && path !== '') throw new FilestoreError('not-found', `${answered(answer)}: there is no such container`);
  if (answer.status === 404) {
    const remedy = 'check interface (OS_INTERFACE) and storage_url, which ends in /v1/AUTH_… (the account), or have the account made';
    throw new FilestoreError('unavailable', `${answered(answer)}: there is no such account; ${remedy}`);
  }
  return { rows: rowsOf(answer), answer };
}

function rowsOf(answer: Answer): readonly unknown[] {
  if (answer.status === 204) return [];
  const rows = parseJson(answer.text);
  if (!Array.isArray(rows)) {
    const packed = header(answer.headers, 'content-encoding');
    const why =
      packed === undefined
        ? "something else answered in Swift's place"
        : `it came packed (Content-Encoding: ${packed}), which was not asked for; have what stands before Swift leave that`;
    throw new FilestoreError('unavailable', `${answered(answer)}: the listing is not JSON; ${why}`);
  }
  return rows as readonly unknown[];
}

/** A server that ignores the marker, or two that disagree, would have us go round for ever. Swift's order is that of the names' bytes. */
function assertForward(answer: Answer, marker: string | undefined, last: string): void {
  if (marker !== undefined && Buffer.compare(Buffer.from(last), Buffer.from(marker)) <= 0) {
    throw new FilestoreError(
      'unavailable',
      `${answered(answer)}: the listing does not go on after "${marker}"; the server ignores the marker`,
    );
  }
}

/** What a listing of one level shows of what lies deeper. */
function listedDirectory(row: unknown): ListedObject | undefined {
  const name = textField(row, 'subdir');
  return name === undefined ? undefined : { name, sizeBytes: undefined, lastModifiedMs: 0 };
}

/** Pseudo-folders (`subdir`) have no name, and are left out where they were not asked for. */
function listedObject(row: unknown): ListedObject | undefined {
  const name = textField(row, 'name');
  if (name === undefined) return undefined;
  const bytes = field(row, 'bytes');
  // Swift has six digits of a second and no zone, Ceph three and a Z, and older ones none.
  const time = /^[\d-]+T[\d:]+(?:\.\d{1,3})?/.exec(textField(row, 'last_modified') ?? '')?.[0];
  const modified = Date.parse(`${time ?? ''}Z`);
  return {
    name,
    sizeBytes: typeof bytes === 'number' && !looksLikeManifest(name, bytes) ? bytes : undefined,
    lastModifiedMs: Number.isNaN(modified) ? 0 : modified,
  };
}

/** The manifest of a DLO is listed with 0 bytes. A blob of 0 bytes has one name only, so under any other it must be a manifest. */
function looksLikeManifest(name: string, bytes: number): boolean {
  if (bytes !== 0) return false;
  const sha1 = contentSha1(pathOfObject(name));
  return sha1 !== undefined && sha1 !== SHA1_OF_NOTHING;
}
