/** What Swift's answers to something that was to be stored mean, where that is the same for all of it. */
import { FilestoreError } from '../../base/errors.js';
import type { Answer } from '../requests/call.js';
import { transactionOf } from '../requests/own-answer.js';
import { turnOf } from '../requests/verdict.js';

/** @param answer a 404 */
export function noContainer(answer: Answer, container: string): FilestoreError {
  return new FilestoreError('not-found', `${answered(answer)}: container ${container} does not exist`);
}

/** A 413 may speak of a quota rather than of what one object may hold. @throws FilestoreError no-space */
export function assertNoQuota(answer: Answer): void {
  if (answer.status === 413 && /quota/i.test(answer.text))
    throw new FilestoreError('no-space', `${answered(answer)}: the account's or container's quota is used up`);
}

/** Begins the message of what was an answer to its call, and is an error to who made it: as the messages of calls that fail. */
export function answered({ trace, status, headers }: Answer): string {
  return `${trace.method} ${trace.where} answered ${status} (${turnOf(trace, transactionOf(headers))})`;
}
