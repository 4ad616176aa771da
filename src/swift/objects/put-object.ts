/** PUT of one object that fits into one: length and MD5 go ahead, the answer's ETag is believed only when it is the MD5 sent. */
import type { Readable } from 'node:stream';
import { FilestoreError, StoreAnswered } from '../../base/errors.js';
import type { ObjectBody, PutOptions } from '../../store/object-store.js';
import type { Answer, Call } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { hashedBody } from './hashed-body.js';
import { settledBy } from './lost-answer.js';
import { etagOf, md5Of, metadataHeaders } from './metadata-headers.js';
import { NEWEST } from './newest.js';
import { objectPath } from './paths.js';
import { answered, assertNoQuota, noContainer } from './refusals.js';
import { assertLater, assertOfNow } from './stored-later.js';

/** Bytes whose MD5 nobody knows yet: it is taken while they leave, and held against the ETag of what was stored. */
export interface UnhashedBody {
  readonly sizeBytes: number;
  read(): Readable;
  /** Called once an attempt; gets its bytes too. */
  readonly beside?: () => { update(bytes: Uint8Array): void };
}

/** Odoo's files have no type worth guessing; without one Swift guesses from the name. */
const CONTENT_TYPE = 'application/octet-stream';
/** 202: another request for the same name was newer. If that was a DELETE, ours is not there: it is sent once more. */
const SUPERSEDED_TRIES = 3;

interface PutOutcome {
  /** False for 413: larger than this Swift takes in one object, or than what stands before it takes in one body. */
  readonly stored: boolean;
  /** That answer, in words. */
  readonly refusal?: string;
}

/**
 * @param start first byte of the body, `end` the byte after the last: a segment, or the whole
 * @param md5 of these bytes when it is known before
 * @throws FilestoreError not-found when there is no such container; the kinds of the object port
 */
export async function putObject(
  requester: Requester,
  container: string,
  name: string,
  body: ObjectBody,
  options: PutOptions,
): Promise<PutOutcome> {
  const path = objectPath(container, name);
  const call: Call = {
    method: 'PUT',
    path,
    headers: {
      etag: body.md5,
      'content-type': options.contentType ?? CONTENT_TYPE,
      ...metadataHeaders('object', options.metadata ?? {}),
    },
    body: { sizeBytes: body.sizeBytes, open: () => body.read(0, body.sizeBytes), onBytes: () => options.onProgress?.() },
    accept: [404, 409, 413],
    options,
    // If the bytes are there, they need not go out again.
    settle: () => settledBy(requester, path, options, options.metadata ?? {}, (headers) => md5Of(headers) === body.md5),
  };
  for (let attempt = 1; ; attempt++) {
    const startedMs = performance.now();
    const answer = await requester.call(call);
    const tookMs = performance.now() - startedMs;
    if (answer.status === 404) throw noContainer(answer, container);
    assertNoQuota(answer);
    if (answer.status === 413) return { stored: false, refusal: answered(answer) };
    if (answer.status === 202 || answer.status === 409) {
      const there = await requester.call({ method: 'HEAD', path, headers: NEWEST, accept: [404], options });
      // Ours, or what a newer PUT made of the name; gone means that a DELETE won.
      if (there.status !== 404) {
        if (md5Of(there.headers) !== body.md5) {
          assertOfNow(there, answer);
          assertLater(there, answer, tookMs);
        }
        return { stored: true };
      }
      if (attempt < SUPERSEDED_TRIES) continue;
      throw new FilestoreError('unavailable', `${answered(answer)}: others delete it as fast as it is stored`);
    }
    await checkStored(requester, path, answer, body.md5, options);
    return { stored: true };
  }
}

/**
 * As {@link putObject}, in one reading of the bytes. Swift cannot refuse bytes that were spoilt on their way, as it does when it is told the
 * MD5 before; the wrong object is removed again.
 * @returns the MD5; undefined for 413
 */
export async function putUnhashed(
  requester: Requester,
  container: string,
  name: string,
  body: UnhashedBody,
  options: PutOptions,
): Promise<string | undefined> {
  const path = objectPath(container, name);
  const hashed = hashedBody(body, options.onProgress);
  const answer = await requester.call({
    method: 'PUT',
    path,
    headers: { 'content-type': options.contentType ?? CONTENT_TYPE, ...metadataHeaders('object', options.metadata ?? {}) },
    body: hashed.body,
    accept: [404, 413],
    options,
  });
  if (answer.status === 404) throw noContainer(answer, container);
  assertNoQuota(answer);
  if (answer.status === 413) return undefined;
  const md5 = hashed.md5();
  await checkStored(requester, path, answer, md5, options);
  return md5;
}

/**
 * What the answer does not say, or says otherwise than it should, is asked of the object itself: proxies take ETags away, and hand on answers that
 * are another request's. Removed is only what both say to be other bytes: under a content name the right ones may be another node's as well, who
 * was told that they are stored.
 */
async function checkStored(requester: Requester, path: string, answer: Answer, md5: string, options: PutOptions): Promise<void> {
  const told = etagOf(answer.headers);
  if (told === md5.toLowerCase()) return;
  const there = await requester.call({ method: 'HEAD', path, headers: NEWEST, accept: [404], options });
  const found = there.status === 404 ? undefined : md5Of(there.headers);
  if (found === md5.toLowerCase()) return;
  const expected = `${answered(answer)}: sent bytes with MD5 ${md5}, told are bytes with ${told ?? 'no ETag'}`;
  if (found === undefined || found !== told) throw new StoreAnswered(`${expected}, and there are ${found ?? 'none'}`);
  await requester.call({ method: 'DELETE', path, accept: [404], options });
  throw new FilestoreError('corrupt', `${expected}; the object was removed again; suspect what stands between us and Swift`);
}
