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

/** A Date has no parts of a second, and the clocks of Swift's proxies differ by a few. */
const SLACK_MS = 10_000;

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

/**
 * Who says that a later change was there first may be a proxy, or another server than Swift: then what is there is older than what we have sent.
 * @param there the answer to a HEAD
 * @param answer what the request was answered, `tookMs` after it set out
 * @throws StoreAnswered for what was there before the request
 */
export function assertLater({ headers }: Answer, answer: Answer, tookMs: number): void {
  const [storedMs, answeredMs] = [objectInfoOf(headers).lastModifiedMs, Date.parse(header(answer.headers, 'date') ?? '')];
  if (Number.isNaN(answeredMs) || storedMs >= answeredMs - tookMs - SLACK_MS) return;
  const older = `what is there is of ${new Date(storedMs).toISOString()}, older than what was sent`;
  throw new StoreAnswered(`${answered(answer)}: it is not stored, although nothing newer is there (${older})`);
}

/** For an answer whose status may be 202. @throws StoreAnswered as {@link assertOfNow} */
export async function assertTaken(answer: Answer, requester: Requester, path: string, options: RequestOptions): Promise<void> {
  if (answer.status !== 202) return;
  const there = await requester.call({ method: 'HEAD', path, accept: [404], options });
  if (there.status !== 404) assertOfNow(there, answer);
}
