/** GET, whole or a range. */
import { Readable } from 'node:stream';
import { FilestoreError } from '../../base/errors.js';
import type { GetOptions, ObjectInfo, ObjectRead, RequestOptions } from '../../store/object-store.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { objectInfoOf } from './metadata-headers.js';
import { objectPath } from './paths.js';

/** @returns undefined when it is not there */
export async function headObject(
  requester: Requester,
  container: string,
  name: string,
  options: RequestOptions,
): Promise<ObjectInfo | undefined> {
  const answer = await requester.call({ method: 'HEAD', path: objectPath(container, name), accept: [404], options });
  return answer.status === 404 ? undefined : objectInfoOf(answer.headers);
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
    headers: range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` },
    accept: [404, 416],
    options,
  });
  if (answer.status === 416) return emptyRead(requester, container, name, options);
  if (answer.status === 404 || answer.body === undefined) return undefined;
  if (range !== undefined && !answersRange(answer.status, header(answer.headers, 'content-range'), range.start)) {
    answer.body.destroy();
    const what = `GET ${container}/${name}: asked for bytes from ${range.start}, got ${answer.status}`;
    throw new FilestoreError('unavailable', `${what}; something between us and Swift does not honour ranges`);
  }
  return { info: objectInfoOf(answer.headers), body: answer.body };
}

function answersRange(status: number, contentRange: string | undefined, start: number): boolean {
  return status === 206 && (contentRange?.startsWith(`bytes ${start}-`) ?? false);
}

async function emptyRead(requester: Requester, container: string, name: string, options: GetOptions): Promise<ObjectRead | undefined> {
  const info = await headObject(requester, container, name, options);
  return info === undefined ? undefined : { info, body: Readable.from([], { objectMode: false }) };
}
