/** What Swift's answers to something that was to be stored mean, where that is the same for all of it. */
import { FilestoreError } from '../../base/errors.js';
import type { Answer } from '../requests/requester.js';
import { header } from '../requests/wire.js';

/** For a 404. */
export function noContainer(container: string): FilestoreError {
  return new FilestoreError('not-found', `container ${container} does not exist`);
}

/**
 * A 413 may speak of a quota rather than of what one object may hold.
 * @param what method and path
 * @throws FilestoreError no-space
 */
export function assertNoQuota(answer: Answer, what: string): void {
  const { status, text } = answer;
  if (status === 413 && /quota/i.test(text))
    throw new FilestoreError('no-space', `${what} answered 413${transactionOf(answer)}: the account's or container's quota is used up`);
}

/** For messages of what was an answer to its call, and is an error to who made it. */
export function transactionOf({ headers }: Answer): string {
  const id = header(headers, 'x-trans-id');
  return id === undefined ? '' : ` (transaction ${id})`;
}
