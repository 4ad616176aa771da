/** Deletes: of one object with its own segments, and of many, in bulk where Swift offers it. */
import { forEachAtOnce } from '../../base/at-once.js';
import { FilestoreError, kindOf, messageOf, StoreAnswered } from '../../base/errors.js';
import type { DeleteManyResult, RequestOptions } from '../../store/object-store.js';
import type { Capabilities } from '../capabilities.js';
import type { ContainerHeads } from '../container-heads.js';
import { field, listField, parseJson, textField } from '../login/login-request.js';
import type { Answer, Call } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { ownSegments, readManifest, segmentsContainer, segmentStem, stemOfSegment } from './large-object.js';
import { listObjects } from './listing.js';
import { isStaticLarge, objectInfoOf } from './metadata-headers.js';
import { NEWEST } from './newest.js';
import { objectPath, unresolvedPath } from './paths.js';
import { answered } from './refusals.js';
import type { SegmentsKnown } from './segments-known.js';

/** A bulk delete of 1,000 names takes Swift some 3 s, one after the other; no byte comes before the end. */
const BULK_NAMES = 1000;
const LONG_WORK_MS = 300_000;
/**
 * Swift's bulk delete refuses the whole run for one line beyond 2,560 bytes (twice its longest path), and Ceph's ends at one of 2,048 as if it were
 * the last; such names go one by one.
 */
const BULK_LINE_BYTES = 2000;
const DELETED_AT_ONCE = 8;

export interface DeleteParts {
  readonly requester: Requester;
  readonly capabilities: Capabilities;
  readonly heads: ContainerHeads;
  readonly known: SegmentsKnown;
}

/** @returns false when it was not there */
export async function deleteObject(parts: DeleteParts, container: string, name: string, options: RequestOptions): Promise<boolean> {
  const { requester, heads, known } = parts;
  const path = objectPath(container, name);
  let isRepeated = false;
  for (let isAgain = false; ; isAgain = true) {
    if (await mayBeLarge(known, container, options)) {
      const head = await requester.call({ method: 'HEAD', path, accept: [404], options: { priority: 'write', ...options } });
      if (head.status !== 404 && isStaticLarge(head.headers) && (await hasOnlyOwnSegments(requester, container, name, options))) {
        await deleteWithSegments(parts, container, path, options);
        await deleteLeftovers(parts, container, name, objectInfoOf(head.headers).lastModifiedMs, options);
        return true;
      }
    }
    const answer = await requester.call({ method: 'DELETE', path, accept: [404], options });
    if (answer.status !== 404) return true;
    // Or it was deleted by an attempt whose answer was lost.
    isRepeated ||= answer.repeated;
    if (isAgain) return isRepeated;
    // Of a container that is missing, or that it only believes to be (container-heads.ts), Swift says 404 as well.
    if ((await heads.head(container, options)) === undefined) return false;
    known.noteGone(container);
  }
}

/** The containers' servers may be away while those of the objects are not: then the object itself is asked. */
async function mayBeLarge(known: SegmentsKnown, container: string, options: RequestOptions): Promise<boolean> {
  try {
    return await known.has(container, options, 'once');
  } catch (error) {
    if (kindOf(error) !== 'unavailable') throw error;
    return true;
  }
}

async function hasOnlyOwnSegments(requester: Requester, container: string, name: string, options: RequestOptions): Promise<boolean> {
  try {
    const segments = (await readManifest(requester, container, name, options)) ?? [];
    return ownSegments(segments, container, name).length === segments.length;
  } catch (error) {
    // A manifest of manifests, which we do not make.
    if (kindOf(error) === 'unsupported') return false;
    throw error;
  }
}

/** Answered with 200 whatever happened; the truth is in the JSON. */
async function deleteWithSegments(parts: DeleteParts, container: string, path: string, options: RequestOptions): Promise<void> {
  const call: Call = {
    method: 'DELETE',
    path,
    query: 'multipart-manifest=delete',
    headers: { accept: 'application/json' },
    options,
    longWorkMs: LONG_WORK_MS,
    refusesToken,
  };
  const answer = await callForAll(parts, container, call);
  const [first] = bulkResultOf(answer).failed;
  if (first !== undefined) throw new FilestoreError('unavailable', `${answered(answer)}: its segment ${first[0]} stays: ${first[1]}`);
}

/**
 * Segments that uploads of this name have left behind, which were cut short or overtaken by another node.
 * @param beforeMs when the object that was deleted was stored: what is younger may be of an upload that goes on
 */
async function deleteLeftovers(
  parts: DeleteParts,
  container: string,
  name: string,
  beforeMs: number,
  options: RequestOptions,
): Promise<void> {
  const { requester } = parts;
  const [segments, stem] = [segmentsContainer(container), segmentStem(name)];
  const left: string[] = [];
  try {
    for await (const page of listObjects(parts, segments, { ...options, prefix: `${stem}/slo/` })) {
      for (const segment of page) if (segment.lastModifiedMs < beforeMs && stemOfSegment(segment.name) === stem) left.push(segment.name);
    }
  } catch (error) {
    if (kindOf(error) !== 'not-found') throw error;
  }
  if (left.length === 0) return;
  // Another node's upload of it may have been slow, and have become an object meanwhile.
  const there = await requester.call({
    method: 'HEAD',
    path: objectPath(container, name),
    headers: NEWEST,
    accept: [404],
    options,
  });
  if (there.status !== 404) return;
  await forEachAtOnce(left, DELETED_AT_ONCE, async (segment) => {
    await requester.call({ method: 'DELETE', path: objectPath(segments, segment), accept: [404], options });
  });
}

/** Names that were not there count as deleted. */
export async function deleteMany(
  parts: DeleteParts,
  container: string,
  names: readonly string[],
  options: RequestOptions,
): Promise<DeleteManyResult> {
  const { capabilities, known } = parts;
  if (names.length === 0) return { failed: new Map() };
  const { bulkDeleteNames } = await capabilities.info();
  if (bulkDeleteNames === undefined) return deleteOneByOne(parts, container, names, options);
  // Gathered before anything goes: segments of what is stored anew under one of these names are not among them.
  const segments = (await known.has(container, options)) ? await segmentsOf(parts, container, names, options) : [];
  const short = names.filter((name) => unresolvedPath(container, name).length <= BULK_LINE_BYTES);
  const long = short.length === names.length ? [] : names.filter((name) => unresolvedPath(container, name).length > BULK_LINE_BYTES);
  const failed = new Map((await deleteOneByOne(parts, container, long, options)).failed);
  await bulkDelete(parts, container, short, Math.min(BULK_NAMES, bulkDeleteNames), failed, options);
  if (segments.length > 0) {
    const gone = segments.filter(({ owner }) => !failed.has(owner));
    const stayed = new Map<string, string>();
    const there = segmentsContainer(container);
    await bulkDelete(parts, there, gone.map((s) => s.name), Math.min(BULK_NAMES, bulkDeleteNames), stayed, options); // prettier-ignore
    for (const { name, owner } of gone) {
      const why = stayed.get(name);
      if (why !== undefined) failed.set(owner, `its segment ${there}/${name} stays: ${why}`);
    }
  }
  return { failed };
}

async function bulkDelete(
  parts: DeleteParts,
  container: string,
  names: readonly string[],
  atOnce: number,
  failed: Map<string, string>,
  options: RequestOptions,
): Promise<void> {
  for (let at = 0; at < names.length; at += atOnce) {
    const batch = names.slice(at, at + atOnce);
    const byPath = new Map(batch.map((name) => [unresolvedPath(container, name), name]));
    const bytes = Buffer.from([...byPath.keys()].join('\n'));
    const call: Call = {
      method: 'POST',
      path: '',
      query: 'bulk-delete',
      headers: { 'content-type': 'text/plain', accept: 'application/json' },
      body: { sizeBytes: bytes.length, open: () => bytes },
      options,
      longWorkMs: LONG_WORK_MS,
      refusesToken,
    };
    const answer = await callForAll(parts, container, call);
    const result = bulkResultOf(answer);
    for (const [path, why] of result.failed) {
      const name = ownPaths(path).flatMap((own) => byPath.get(own) ?? [])[0];
      if (name === undefined) throw new FilestoreError('unavailable', `${answered(answer)}: "${path}" failed: ${why}`);
      failed.set(name, `${why}, as ${answered(answer)}`);
    }
    if (result.handled >= byPath.size) continue;
    // The run ended early (too many failures, a line it could not read): which names it did not come to, nobody says.
    const rest = await deleteOneByOne(parts, container, batch.filter((name) => !failed.has(name)), options); // prettier-ignore
    for (const [name, why] of rest.failed) failed.set(name, why);
  }
}

/** Which path of ours a path in an answer may be: Swift quotes more or fewer characters than we do, Ceph none, and leaves the first '/' out. */
function ownPaths(path: string): readonly string[] {
  const whole = path.startsWith('/') ? path : `/${path}`;
  const encoded = (text: string): string => encodeURIComponent(text).replaceAll('%2F', '/');
  try {
    return [path, encoded(decodeURIComponent(path)), encoded(whole)];
  } catch {
    return [path, encoded(whole)];
  }
}

/** A bulk delete: once more where it did not find all of it in a container that Swift may only believe to be missing (container-heads.ts). */
async function callForAll({ requester, heads }: DeleteParts, container: string, call: Call): Promise<Answer> {
  const answer = await requester.call(call);
  if (field(parseJson(answer.text), 'Number Not Found') === 0) return answer;
  return (await heads.head(container, call.options)) === undefined ? answer : requester.call(call);
}

interface BulkResult extends DeleteManyResult {
  /** Names of which the answer says what became of them. */
  readonly handled: number;
}

/** @throws FilestoreError unavailable when the run as a whole did not succeed and no name says why */
function bulkResultOf(answer: Answer): BulkResult {
  const parsed = parseJson(answer.text);
  const status = textField(parsed, 'Response Status');
  if (status === undefined) throw new FilestoreError('unavailable', `${answered(answer)}: it is not the JSON of a bulk delete`);
  const failed = new Map<string, string>();
  for (const row of listField(parsed, 'Errors')) {
    if (Array.isArray(row) && typeof row[0] === 'string') failed.set(row[0], String(row[1]));
  }
  if (!status.startsWith('200') && !status.startsWith('404') && failed.size === 0) {
    throw new FilestoreError('unavailable', `${answered(answer)}: ${status} ${textField(parsed, 'Response Body') ?? ''}`.trim());
  }
  const counted = (name: string): number => Number(field(parsed, name) ?? 0);
  return { failed, handled: counted('Number Deleted') + counted('Number Not Found') + failed.size };
}

function refusesToken(text: string): boolean {
  const parsed = parseJson(text);
  const refused = (status: unknown): boolean => typeof status === 'string' && status.startsWith('401');
  return refused(field(parsed, 'Response Status')) || listField(parsed, 'Errors').some((row) => Array.isArray(row) && refused(row[1]));
}

async function deleteOneByOne(
  parts: DeleteParts,
  container: string,
  names: readonly string[],
  options: RequestOptions,
): Promise<DeleteManyResult> {
  const failed = new Map<string, string>();
  await forEachAtOnce(names, DELETED_AT_ONCE, async (name) => {
    try {
      await deleteObject(parts, container, name, options);
    } catch (error) {
      // That Swift could not be asked is no answer about a name: who took it for one would say that Swift is there.
      const isOutage = kindOf(error) === 'unavailable' && !(error instanceof StoreAnswered);
      if (options.signal?.aborted || isOutage) throw error;
      failed.set(name, messageOf(error));
    }
  });
  return { failed };
}

/** The segments of large objects under these names, told by our naming of segments. */
async function segmentsOf(
  parts: DeleteParts,
  container: string,
  names: readonly string[],
  options: RequestOptions,
): Promise<{ name: string; owner: string }[]> {
  const wanted = new Map(names.map((name) => [segmentStem(name), name]));
  const found: { name: string; owner: string }[] = [];
  try {
    for await (const page of listObjects(parts, segmentsContainer(container), { ...options })) {
      for (const { name } of page) {
        const owner = wanted.get(stemOfSegment(name) ?? '');
        if (owner !== undefined) found.push({ name, owner });
      }
    }
  } catch (error) {
    // Another node has removed it with the last of its segments.
    if (kindOf(error) !== 'not-found') throw error;
  }
  return found;
}
