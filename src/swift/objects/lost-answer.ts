/** What was perhaps carried out although its answer was lost: the object itself is looked at, once. */
import type { Metadata, RequestOptions } from '../../store/object-store.js';
import type { Answer } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import type { Headers } from '../requests/wire.js';
import { metadataOf } from './metadata-headers.js';

/**
 * @param path of the object that the request was to store
 * @param asked the metadata that it was to have: bytes that stood there before may be the same
 * @returns the answer to a HEAD when what is there is the request's work; else undefined, which says nothing
 */
export async function settledBy(
  requester: Requester,
  path: string,
  options: RequestOptions,
  asked: Metadata,
  isOurs: (headers: Headers) => boolean = () => true,
): Promise<Answer | undefined> {
  try {
    const head = await requester.call({ method: 'HEAD', path, accept: [404], options, once: true });
    if (head.status === 404 || !isOurs(head.headers)) return undefined;
    const found = metadataOf('object', head.headers);
    return Object.entries(asked).every(([key, value]) => found[key] === value) ? head : undefined;
  } catch {
    return undefined;
  }
}
