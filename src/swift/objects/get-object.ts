/** GET, whole or a range. */
import { Readable } from 'node:stream';
import { FilestoreError } from '../../base/errors.js';
import type { FindOptions, GetOptions, ObjectInfo, ObjectRead } from '../../store/object-store.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { isStaticLarge, md5Of, objectInfoOf } from './metadata-headers.js';
import { newestHeaders } from './newest.js';
import { objectPath } from './paths.js';
import { answered } from './refusals.js';
import { RANGES_FROM_BYTES, RangesBody } from './ranges-body.js';

/** Swift has begun to answer by then, and can only hang up (its middleware `slo`). */
const SEGMENT_MAY_BE_MISSING =
  'it is a large object, and one of its segments may be missing: its manifest (GET with ?multipart-manifest=get) names them, and odoo-swiftfs swift stat CONTAINER OBJECT tells whether one is there';

/**
 * @param onLarge called when it is a static large object
 * @returns undefined when it is not there
 */
export async function headObject(
  requester: Requester,
  container: string,
  name: string,
  options: FindOptions,
  onLarge?: () => void,
): Promise<ObjectInfo | undefined> {
  const path = objectPath(container, name);
  const answer = await requester.call({ method: 'HEAD', path, headers: newestHeaders(options), accept: [404], options });
  if (answer.status === 404) return undefined;
  if (isStaticLarge(answer.headers)) onLarge?.();
  const info = objectInfoOf(answer.headers);
  // A DLO without a length has too many segments for Swift to sum them up.
  if (info.sizeBytes !== undefined || header(answer.headers, 'x-object-manifest') !== undefined) return info;
  return infoByFirstByte(requester, path, info, options);
}

/**
 * Proxies take the length of a HEAD away, or have one of their own (Cloudflare before Ceph's gateway does); that of a part they leave, and beside it
 * stands that of the whole.
 * @param info what the HEAD told
 */
async function infoByFirstByte(
  requester: Requester,
  path: string,
  info: ObjectInfo,
  options: FindOptions,
): Promise<ObjectInfo | undefined> {
  const headers = { ...newestHeaders(options), range: 'bytes=0-0' };
  const answer = await requester.stream({ method: 'GET', path, headers, accept: [404, 416], options });
  const body = answer.body?.on('error', () => undefined);
  if (answer.status === 404) return undefined;
  if (answer.status === 206) {
    body?.resume();
    return objectInfoOf(answer.headers);
  }
  body?.destroy();
  return info;
}

/** @returns undefined when it is not there. A range that begins at or after the end is empty. */
export async function getObject(
  requester: Requester,
  container: string,
  name: string,
  options: GetOptions,
): Promise<ObjectRead | undefined> {
  const { range } = options;
  if (range !== undefined && range.end <= range.start) return emptyRead(requester, container, name, options);
  const answer = await requester.stream({
    method: 'GET',
    path: objectPath(container, name),
    headers: {
      ...newestHeaders(options),
      ...(range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` }),
    },
    accept: [404, 416],
    options,
    whyCut: (headers) => (isStaticLarge(headers) ? SEGMENT_MAY_BE_MISSING : undefined),
  });
  if (answer.status === 416) return emptyRead(requester, container, name, options);
  if (answer.status === 404 || answer.body === undefined) return undefined;
  if (range !== undefined && !answersRange(answer.status, header(answer.headers, 'content-range'), range.start)) {
    answer.body.destroy();
    const what = `${answered(answer)}: asked for bytes from ${range.start}`;
    throw new FilestoreError('unavailable', `${what}; something between us and Swift does not honour ranges`);
  }
  const info = objectInfoOf(answer.headers);
  const { sizeBytes = 0 } = info;
  if (range !== undefined || info.md5 === undefined || sizeBytes < RANGES_FROM_BYTES) return { info, body: answer.body };
  return { info, body: inRanges(requester, container, name, { info, sizeBytes, first: answer.body, told: answered(answer), options }) };
}

interface BegunRead {
  readonly info: ObjectInfo;
  readonly sizeBytes: number;
  readonly first: Readable;
  /** Its answer, in words. */
  readonly told: string;
  readonly options: GetOptions;
}

function inRanges(requester: Requester, container: string, name: string, { info, sizeBytes, first, told, options }: BegunRead): Readable {
  const path = objectPath(container, name);
  const open = async (start: number, end: number, signal: AbortSignal): Promise<Readable> => {
    const either = options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]);
    const headers = { ...newestHeaders(options), range: `bytes=${start}-${end - 1}`, 'if-match': `"${info.md5 ?? ''}"` };
    const answer = await requester.stream({
      method: 'GET',
      path,
      headers,
      accept: [404, 412, 416],
      options: { ...options, signal: either },
    });
    const isSame = md5Of(answer.headers) === info.md5 && answersRange(answer.status, header(answer.headers, 'content-range'), start);
    if (answer.body !== undefined && isSame) return answer.body;
    answer.body?.on('error', () => undefined).destroy();
    throw new FilestoreError('unavailable', `${answered(answer)}: the object was replaced or removed while it was read`);
  };
  return new RangesBody({ first, told, totalBytes: sizeBytes, open });
}

function answersRange(status: number, contentRange: string | undefined, start: number): boolean {
  return status === 206 && (contentRange?.startsWith(`bytes ${start}-`) ?? false);
}

async function emptyRead(requester: Requester, container: string, name: string, options: GetOptions): Promise<ObjectRead | undefined> {
  const info = await headObject(requester, container, name, options);
  return info === undefined ? undefined : { info, body: Readable.from([], { objectMode: false }) };
}
