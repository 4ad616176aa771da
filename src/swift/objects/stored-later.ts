/**
 * 202 to a PUT or COPY: what is there has a later time than the request, and stays. That is a newer request of somebody else's, or something that a
 * server stored whose clock was ahead.
 */
import { StoreAnswered } from '../../base/errors.js';
import type { RequestOptions } from '../../store/object-store.js';
import { isToCome } from '../../store/store-now.js';
import type { Answer } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { header } from '../requests/wire.js';
import { objectInfoOf } from './metadata-headers.js';
import { answered } from './refusals.js';

/**
 * @param there the answer to a HEAD
 * @param answer what the request was answered
 * @throws StoreAnswered for what is dated in the future: it is not newer than ours, and Swift stores nothing over it until that time
 */
export function assertOfNow({ headers }: Answer, answer: Answer): void {
  const [storedMs, nowMs] = [objectInfoOf(headers).lastModifiedMs, Date.parse(header(headers, 'date') ?? '')];
  if (!isToCome(storedMs, nowMs)) return;
  const dated = `what Swift has there is dated ${new Date(storedMs).toISOString()}, which is to come`;
  throw new StoreAnswered(
    `${answered(answer)}: ${dated}: it stores nothing over that until then; see that the clocks of its servers agree`,
  );
}

/** For an answer whose status may be 202. @throws StoreAnswered as {@link assertOfNow} */
export async function assertTaken(answer: Answer, requester: Requester, path: string, options: RequestOptions): Promise<void> {
  if (answer.status !== 202) return;
  const there = await requester.call({ method: 'HEAD', path, accept: [404], options });
  if (there.status !== 404) assertOfNow(there, answer);
}
