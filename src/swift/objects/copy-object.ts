/** Server-side copy of one object. Swift reads a large object's segments and stores one plain object, so nothing is shared. */
import type { CopyOptions } from '../../store/object-store.js';
import type { Requester } from '../requests/requester.js';
import { metadataHeaders } from './metadata-headers.js';
import { objectPath } from './paths.js';
import { assertNoQuota, noContainer } from './refusals.js';
import { assertTaken } from './stored-later.js';

/** Swift answers when all is copied: 5 GB at 100 MB/s take most of a minute. */
const LONG_WORK_MS = 300_000;

/**
 * @returns 'missing' when the source is not there, 'too-large' when it does not fit into one object
 * @throws FilestoreError not-found when the target container is missing
 */
export async function copyObject(
  requester: Requester,
  container: string,
  name: string,
  toContainer: string,
  toName: string,
  options: CopyOptions,
): Promise<'copied' | 'missing' | 'too-large'> {
  const path = objectPath(container, name);
  const answer = await requester.call({
    method: 'COPY',
    path,
    headers: { destination: objectPath(toContainer, toName), 'content-length': '0', ...freshHeaders(options), ...expiryHeaders(options) },
    accept: [404, 413],
    options: { priority: 'write', ...options },
    longWorkMs: LONG_WORK_MS,
  });
  assertNoQuota(answer);
  if (answer.status === 413) return 'too-large';
  if (answer.status !== 404) {
    await assertTaken(answer, requester, objectPath(toContainer, toName), options);
    return 'copied';
  }
  const source = await requester.call({ method: 'HEAD', path, accept: [404], options });
  if (source.status === 404) return 'missing';
  throw noContainer(answer, toContainer);
}

/** Without X-Fresh-Metadata a copy takes all of the source's metadata along, its X-Delete-At too (Swift's `copy` middleware). */
function freshHeaders({ metadata, addedMetadata = {} }: CopyOptions): Record<string, string> {
  if (metadata === undefined) return metadataHeaders('object', addedMetadata);
  return { 'x-fresh-metadata': 'true', ...metadataHeaders('object', metadata) };
}

export function expiryHeaders({ deleteAfterSeconds }: CopyOptions): Record<string, string> {
  return deleteAfterSeconds === undefined ? {} : { 'x-delete-after': String(deleteAfterSeconds) };
}
