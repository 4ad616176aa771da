/** Server-side copy of one object. Swift reads a large object's segments and stores one plain object, so nothing is shared. */
import { kindOf } from '../../base/errors.js';
import type { CopyOptions } from '../../store/object-store.js';
import type { Answer } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { settledBy } from './lost-answer.js';
import { metadataHeaders } from './metadata-headers.js';
import { objectPath } from './paths.js';
import { assertNoQuota, noContainer } from './refusals.js';
import { assertTaken } from './stored-later.js';

/** Swift answers when all is copied: 5 GB at 100 MB/s take most of a minute. */
const LONG_WORK_MS = 300_000;
/** How long the target is looked at for an answer that did not come. */
const SETTLE_MS = 2_000;

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
  const target = objectPath(toContainer, toName);
  const settle = (): Promise<Answer | undefined> => copiedAlready(requester, target, options);
  let answer: Answer;
  try {
    answer = await requester.call({
      method: 'COPY',
      path,
      headers: { destination: target, 'content-length': '0', ...freshHeaders(options), ...expiryHeaders(options) },
      accept: [404, 413],
      options: { priority: 'write', ...options },
      longWorkMs: LONG_WORK_MS,
      settle,
    });
  } catch (error) {
    // Its time is over: an answer that was dropped on its way is waited for that long.
    if (kindOf(error) !== 'unavailable' || (await settle()) === undefined) throw error;
    return 'copied';
  }
  assertNoQuota(answer);
  if (answer.status === 413) return 'too-large';
  if (answer.status !== 404) {
    await assertTaken(answer, requester, target, options);
    return 'copied';
  }
  const source = await requester.call({ method: 'HEAD', path, accept: [404], options });
  if (source.status === 404) return 'missing';
  throw noContainer(answer, toContainer);
}

/**
 * Only the metadata that was asked for tells a copy from what stood there before, which may have had the same bytes. A copy without any has nothing
 * that does, and one with an end may differ in that alone.
 */
function copiedAlready(requester: Requester, target: string, options: CopyOptions): Promise<Answer | undefined> {
  const { metadata, addedMetadata, deleteAfterSeconds, signal } = options;
  const asked = metadata ?? addedMetadata ?? {};
  if (Object.keys(asked).length === 0 || deleteAfterSeconds !== undefined) return Promise.resolve(undefined);
  return settledBy(requester, target, { priority: 'write', timeoutMs: SETTLE_MS, ...(signal && { signal }) }, asked);
}

/** Without X-Fresh-Metadata a copy takes all of the source's metadata along, its X-Delete-At too (Swift's `copy` middleware). */
function freshHeaders({ metadata, addedMetadata = {} }: CopyOptions): Record<string, string> {
  if (metadata === undefined) return metadataHeaders('object', addedMetadata);
  return { 'x-fresh-metadata': 'true', ...metadataHeaders('object', metadata) };
}

export function expiryHeaders({ deleteAfterSeconds }: CopyOptions): Record<string, string> {
  return deleteAfterSeconds === undefined ? {} : { 'x-delete-after': String(deleteAfterSeconds) };
}
