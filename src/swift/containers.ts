/** Containers: made, labelled, removed. Whether one is there: container-heads.ts. */
import { FilestoreError } from '../base/errors.js';
import type { Metadata, RequestOptions } from '../store/object-store.js';
import type { Capabilities } from './capabilities.js';
import { metadataHeaders } from './objects/metadata-headers.js';
import { containerPath } from './objects/paths.js';
import { answered, noContainer } from './objects/refusals.js';
import type { Requester } from './requests/requester.js';

interface NewContainer {
  readonly storagePolicy: string | undefined;
  readonly metadata: Metadata;
}

/**
 * @returns 'existed' also where our own PUT was repeated after its answer was lost: only a sure 'created' is known to be empty
 * @throws FilestoreError bad-config for a storage policy this Swift does not have
 */
export async function createContainer(
  requester: Requester,
  capabilities: Capabilities,
  container: string,
  { storagePolicy, metadata }: NewContainer,
  options: RequestOptions,
): Promise<'created' | 'existed'> {
  const path = containerPath(container);
  const policy = storagePolicy === undefined ? {} : { 'x-storage-policy': storagePolicy };
  const headers = { ...metadataHeaders('container', metadata), ...policy, 'content-length': '0' };
  const answer = await requester.call({ method: 'PUT', path, headers, accept: [400, 404, 409], options });
  if (answer.status === 201) return answer.repeated ? 'existed' : 'created';
  if (answer.status === 400) {
    const { storagePolicies } = await capabilities.info();
    const known = storagePolicies.length === 0 ? '' : `; this Swift has: ${storagePolicies.join(', ')}`;
    const wanted = storagePolicy === undefined ? '' : ` with storage policy "${storagePolicy}" (storage_policy)`;
    throw new FilestoreError('bad-config', `${answered(answer)}: Swift does not make this container${wanted}${known}`);
  }
  if (answer.status === 404) {
    const why = 'the account is not there, and is not made by itself, or Swift cannot ask its account servers';
    throw new FilestoreError('unavailable', `${answered(answer)}: ${why}`);
  }
  // 409: it is there with another policy, which no request can change. It serves as it is.
  if (answer.status === 409) await updateContainer(requester, container, metadata, options);
  return 'existed';
}

/** Keys with the value '' are removed, others stay. @throws FilestoreError not-found */
export async function updateContainer(requester: Requester, container: string, metadata: Metadata, options: RequestOptions): Promise<void> {
  const path = containerPath(container);
  const headers = { ...metadataHeaders('container', metadata), 'content-length': '0' };
  const answer = await requester.call({ method: 'POST', path, headers, accept: [404], options });
  if (answer.status === 404) throw noContainer(answer, container);
}

/** @returns false when it was not there. @throws FilestoreError not-empty */
export async function deleteContainer(requester: Requester, container: string, options: RequestOptions): Promise<boolean> {
  const path = containerPath(container);
  const answer = await requester.call({ method: 'DELETE', path, accept: [404, 409], options });
  if (answer.status === 409)
    throw new FilestoreError('not-empty', `${answered(answer)}: container ${container} still holds objects; remove them first`);
  return answer.status !== 404 || answer.repeated;
}
