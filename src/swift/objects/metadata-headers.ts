/** Metadata of ours as headers, and back. */
import { FilestoreError } from '../../base/errors.js';
import type { Metadata, ObjectInfo } from '../../store/object-store.js';
import { header, type Headers } from '../requests/wire.js';

const KEY = /^[a-z0-9_-]+$/;
const VALUE = /^[\x20-\x7e]*$/;
const MD5_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e';

/** @throws FilestoreError invalid-argument for what no header can hold */
export function metadataHeaders(kind: 'object' | 'container', metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    if (!KEY.test(key) || !VALUE.test(value)) {
      throw new FilestoreError('invalid-argument', `metadata "${key}": keys are lower case letters, digits, "-", "_"; values are ASCII`);
    }
    headers[`x-${kind}-meta-${key}`] = value;
  }
  return headers;
}

export function metadataOf(kind: 'object' | 'container', headers: Headers): Metadata {
  const prefix = `x-${kind}-meta-`;
  const metadata: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const value = header(headers, name) ?? '';
    // Who writes '' removes a key; some servers keep it.
    if (name.startsWith(prefix) && value !== '') metadata[name.slice(prefix.length)] = value;
  }
  return metadata;
}

export function isStaticLarge(headers: Headers): boolean {
  return header(headers, 'x-static-large-object')?.toLowerCase() === 'true';
}

/** In lower case, without the quotes that HTTP has round it and some servers leave out, and without the `W/` of a proxy that may pack what passes. */
export function etagOf(headers: Headers): string | undefined {
  return header(headers, 'etag')
    ?.replace(/^(?:W\/)?"|"$/g, '')
    .toLowerCase();
}

/** Hex MD5 of the body; an SLO's and a DLO's ETag is that of their segments' ETags. */
export function md5Of(headers: Headers): string | undefined {
  if (isStaticLarge(headers) || header(headers, 'x-object-manifest') !== undefined) return undefined;
  const etag = etagOf(headers);
  return etag !== undefined && /^[0-9a-f]{32}$/.test(etag) ? etag : undefined;
}

/** Of an answer to HEAD, or to GET with and without a range. */
export function objectInfoOf(headers: Headers): ObjectInfo {
  const total = /\/(\d+)$/.exec(header(headers, 'content-range') ?? '')?.[1] ?? header(headers, 'content-length');
  // Last-Modified is rounded up to a second; X-Timestamp is exact.
  const stamp = Number(header(headers, 'x-timestamp') ?? NaN) * 1000;
  const modified = Number.isFinite(stamp) ? stamp : Date.parse(header(headers, 'last-modified') ?? '');
  const [md5, etag] = [md5Of(headers), etagOf(headers)];
  const hasBytes = (md5 !== undefined || isStaticLarge(headers)) && etag !== MD5_OF_NOTHING;
  const told = total === undefined || !/^\d+$/.test(total) ? undefined : Number(total);
  return {
    // A proxy that hands answers on in pieces (chunked, or HTTP/1.0) takes it away, or makes it the length of a HEAD's own body, which has none;
    // and Swift has none for a DLO of very many segments.
    sizeBytes: told === 0 && hasBytes ? undefined : (told ?? (md5 === MD5_OF_NOTHING ? 0 : undefined)),
    md5,
    lastModifiedMs: Number.isNaN(modified) ? 0 : Math.round(modified),
    metadata: metadataOf('object', headers),
  };
}
