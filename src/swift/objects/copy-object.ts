/** Server-side copy of one object. Swift reads a large object's segments and stores one plain object, so nothing is shared. */
import { kindOf, StoreAnswered } from '../../base/errors.js';
import type { CopyOptions } from '../../store/object-store.js';
import type { Answer } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { settledBy } from './lost-answer.js';
import { etagOf, metadataHeaders, objectInfoOf } from './metadata-headers.js';
import { NEWEST } from './newest.js';
import { objectPath } from './paths.js';
import { answered, assertNoQuota, noContainer } from './refusals.js';
import { assertTaken } from './stored-later.js';

/** Swift answers when all is copied: 5 GB at 100 MB/s take most of a minute. */
const LONG_WORK_MS = 300_000;
/** What a firewall or a proxy says that knows HTTP's own methods only. A PUT does the same, and passes everywhere. */
const NOT_A_METHOD: readonly number[] = [405, 501];
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
  const headers = { 'content-length': '0', ...freshHeaders(options), ...expiryHeaders(options) };
  const call = { options: { priority: 'write', ...options }, longWorkMs: LONG_WORK_MS, settle } as const;
  let answer: Answer;
  try {
    const accept = [404, 413, ...NOT_A_METHOD];
    answer = await requester.call({ ...call, method: 'COPY', path, headers: { ...headers, destination: target }, accept });
    if (NOT_A_METHOD.includes(answer.status))
      answer = await requester.call({
        ...call,
        method: 'PUT',
        path: target,
        headers: { ...headers, 'x-copy-from': path },
        accept: [404, 413],
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
    if (!tellsOfCopy(answer)) await assertCopied(requester, answer, path, target, options);
    return 'copied';
  }
  const source = await requester.call({ method: 'HEAD', path, accept: [404], options });
  if (source.status === 404) return 'missing';
  throw noContainer(answer, toContainer);
}

/** Without an ETag it does not say what was stored; and who does not know X-Copy-From has stored the PUT's own body, which is empty. */
function tellsOfCopy({ trace: { method }, headers }: Answer): boolean {
  return etagOf(headers) !== undefined && (method === 'COPY' || header(headers, 'x-copied-from') !== undefined);
}

/**
 * For an answer that does not say that a copy was stored. Ceph's gateway answers before a copy is done that takes it long, so that the connection is not
 * closed meanwhile, and cannot say then that it went wrong (`send_partial_response` in rgw_rest_swift.cc); a proxy may take the ETag away.
 * @throws StoreAnswered when the target does not have the source's bytes
 */
async function assertCopied(requester: Requester, answer: Answer, source: string, target: string, options: CopyOptions): Promise<void> {
  const head = (path: string): Promise<Answer> => requester.call({ method: 'HEAD', path, headers: NEWEST, accept: [404], options });
  const [from, to] = await Promise.all([head(source), head(target)]);
  const [sent, stored] = [objectInfoOf(from.headers), objectInfoOf(to.headers)];
  // A large object is copied to a plain one, whose MD5 is not that of the manifest.
  const isSame = sent.sizeBytes === stored.sizeBytes && (sent.md5 === undefined || sent.md5 === stored.md5);
  if (from.status === 404 || to.status === 404 || !isSame)
    throw new StoreAnswered(`${answered(answer)}: said to be copied, but the bytes of the source are not at the target`);
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
