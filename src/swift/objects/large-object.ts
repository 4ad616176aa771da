/**
 * Objects larger than Swift takes in one: static large objects. The segments lie in CONTAINER_segments (same storage policy) under
 * `STEM/slo/UPLOAD/INDEX`, the manifest under the name itself. The manifest is written only when all segments have the MD5 they must
 * have: a reader never meets half an upload.
 */
import { createHash, randomBytes } from 'node:crypto';
import { FilestoreError } from '../../base/errors.js';
import type { PutOptions, RequestOptions } from '../../store/object-store.js';
import { field, parseJson, textField } from '../login/login-request.js';
import type { Answer, CallBody } from '../requests/call.js';
import type { Requester } from '../requests/requester.js';
import { etagOf, isStaticLarge, metadataHeaders } from './metadata-headers.js';
import { objectPath } from './paths.js';
import { answered, noContainer } from './refusals.js';
import { assertTaken } from './stored-later.js';

export interface Segment {
  readonly container: string;
  readonly name: string;
  readonly etag: string;
  readonly sizeBytes: number;
}

export function segmentsContainer(container: string): string {
  return `${container}_segments`;
}

/** Metadata key of a segments container we made: only what bears it is emptied and removed with its container. */
export const SEGMENTS_MARK = 'odoo-swiftfs-segments';

/** With the 36 bytes that follow, a segment's name stays below Swift's limit of 1,024. */
const STEM_BYTES = 980;

/** What the names of an object's segments begin with, so that leftovers can be told whose they are: its own name, where that fits. */
export function segmentStem(name: string): string {
  return Buffer.byteLength(name) <= STEM_BYTES ? name : `long-names/${createHash('sha256').update(name).digest('hex')}`;
}

/** A new folder for the segments of one upload. */
export function segmentPrefix(name: string, nowMs: number): string {
  return `${segmentStem(name)}/slo/${nowMs}-${randomBytes(4).toString('hex')}`;
}

export function segmentName(prefix: string, index: number): string {
  return `${prefix}/${String(index).padStart(8, '0')}`;
}

/** The {@link segmentStem} of the object a segment is of, by its name; undefined for what we did not name. */
export function stemOfSegment(name: string): string | undefined {
  return /^(.+)\/slo\/\d+-[0-9a-f]{8}\/\d{8}$/s.exec(name)?.[1];
}

/** Those segments of an object that we made for it: another tool's manifest, or a copy of one, may share its segments with others. */
export function ownSegments(segments: readonly Segment[], container: string, name: string): readonly Segment[] {
  const [where, stem] = [segmentsContainer(container), segmentStem(name)];
  return segments.filter((s) => s.container === where && stemOfSegment(s.name) === stem);
}

/** Bytes a segment holds: as the settings want it, but no more segments than a manifest may list, none larger than one object. */
export function segmentSize(totalBytes: number, wantedBytes: number, maxFileBytes: number, maxSegments: number): number {
  const size = Math.min(maxFileBytes, Math.max(wantedBytes, Math.ceil(totalBytes / maxSegments)));
  if (size * maxSegments < totalBytes) {
    const most = size * maxSegments;
    throw new FilestoreError('too-large', `${totalBytes} bytes are more than this Swift takes in one large object (${most})`);
  }
  return size;
}

/** @returns the ETag of what Swift has stored (the MD5 of the segment's bytes, if they are right), and the answer in words */
export async function putSegment(
  requester: Requester,
  at: { readonly container: string; readonly name: string },
  body: CallBody,
  options: PutOptions,
): Promise<{ readonly etag: string; readonly told: string }> {
  const path = objectPath(at.container, at.name);
  const headers = { 'content-type': 'application/octet-stream' };
  const answer = await requester.call({ method: 'PUT', path, headers, body, options });
  const [etag, told] = [etagOf(answer.headers), answered(answer)];
  if (etag === undefined) throw new FilestoreError('unavailable', `${told}: no ETag; check what stands before Swift`);
  return { etag, told };
}

/** @param sent MD5 of the bytes that were sent. @throws FilestoreError corrupt */
export function assertStored({ etag, told }: { readonly etag: string; readonly told: string }, sent: string | undefined): void {
  if (sent === etag) return;
  throw new FilestoreError('corrupt', `${told}: sent bytes with MD5 ${sent ?? 'unknown'}, stored are bytes with ${etag}`);
}

/** Swift asks for each of up to 1,000 segments before it answers. */
const MANIFEST_WORK_MS = 300_000;

export interface ManifestOptions extends PutOptions {
  readonly headers?: Readonly<Record<string, string>>;
}

/** Writes the manifest; Swift checks each segment's ETag and size. */
export async function putManifest(
  requester: Requester,
  container: string,
  name: string,
  segments: readonly Segment[],
  options: ManifestOptions,
): Promise<void> {
  const text = JSON.stringify(segments.map((s) => ({ path: `/${s.container}/${s.name}`, etag: s.etag, size_bytes: s.sizeBytes })));
  const bytes = Buffer.from(text);
  const path = objectPath(container, name);
  const answer = await requester.call({
    method: 'PUT',
    path,
    query: 'multipart-manifest=put',
    headers: {
      'content-type': options.contentType ?? 'application/octet-stream',
      ...metadataHeaders('object', options.metadata ?? {}),
      ...options.headers,
    },
    body: { sizeBytes: bytes.length, open: () => bytes },
    accept: [404],
    options,
    longWorkMs: MANIFEST_WORK_MS,
  });
  if (answer.status === 404) throw noContainer(answer, container);
  await assertTaken(answer, requester, path, options);
}

/** The segments of a static large object; undefined when it is not there or is none. */
export async function readManifest(
  requester: Requester,
  container: string,
  name: string,
  options: RequestOptions,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly Segment[] | undefined> {
  const path = objectPath(container, name);
  const query = 'multipart-manifest=get&format=json';
  const answer = await requester.call({ method: 'GET', path, query, headers, accept: [404], options });
  if (answer.status === 404 || !isStaticLarge(answer.headers)) return undefined;
  const rows = parseJson(answer.text);
  if (!Array.isArray(rows)) throw new FilestoreError('unavailable', `${answered(answer)}: the manifest is not JSON`);
  return (rows as readonly unknown[]).map((row) => segmentOf(row, answer));
}

function segmentOf(row: unknown, answer: Answer): Segment {
  const at = /^\/([^/]+)\/(.+)$/s.exec(textField(row, 'name') ?? '');
  const etag = textField(row, 'hash');
  const sizeBytes = field(row, 'bytes');
  const nested = field(row, 'sub_slo') === true || field(row, 'range') !== undefined;
  if (at?.[1] === undefined || at[2] === undefined || etag === undefined || typeof sizeBytes !== 'number' || nested) {
    throw new FilestoreError(
      'unsupported',
      `${answered(answer)}: its manifest has segments that are not plain objects; copy it with another tool`,
    );
  }
  return { container: at[1], name: at[2], etag, sizeBytes };
}
