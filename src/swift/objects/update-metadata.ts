/** POST to an object replaces all its metadata, so what is there is read first and sent along. */
import { FilestoreError, kindOf } from '../../base/errors.js';
import type { Metadata, RequestOptions } from '../../store/object-store.js';
import type { ContainerHeads } from '../container-heads.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { metadataHeaders, metadataOf } from './metadata-headers.js';
import { objectPath } from './paths.js';
import { answered } from './refusals.js';

/** What a POST drops, or resets, when it is not sent again (Swift's object server, `POST`). */
const KEPT_HEADERS = ['content-type', 'content-encoding', 'content-disposition', 'x-delete-at'] as const;

/** A key with the value '' is removed. @returns false when the object is not there */
export async function updateMetadata(
  requester: Requester,
  heads: ContainerHeads,
  container: string,
  name: string,
  metadata: Metadata,
  options: RequestOptions,
): Promise<boolean> {
  try {
    return await heads.unlessThere(container, options, () => readAndPost(requester, container, name, metadata, options));
  } catch (error) {
    // It went with its container.
    if (kindOf(error) !== 'not-found') throw error;
    return false;
  }
}

/** @throws FilestoreError not-found when it was deleted in between, with its container or alone; or Swift only believes that the container is missing */
async function readAndPost(
  requester: Requester,
  container: string,
  name: string,
  metadata: Metadata,
  options: RequestOptions,
): Promise<boolean> {
  const path = objectPath(container, name);
  const head = await requester.call({ method: 'HEAD', path, accept: [404], options: { priority: 'write', ...options } });
  if (head.status === 404) return false;
  const kept: Record<string, string> = {};
  for (const key of KEPT_HEADERS) {
    const value = header(head.headers, key);
    if (value !== undefined) kept[key] = value;
  }
  const merged = Object.entries({ ...metadataOf('object', head.headers), ...metadata }).filter(([, value]) => value !== '');
  const headers = { ...kept, ...metadataHeaders('object', Object.fromEntries(merged)) };
  const answer = await requester.call({ method: 'POST', path, headers: { ...headers, 'content-length': '0' }, accept: [404], options });
  if (answer.status === 404) throw new FilestoreError('not-found', `${answered(answer)}: it was there right before`);
  return true;
}
