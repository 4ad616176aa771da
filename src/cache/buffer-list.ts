/** Bytes that came in several buffers, taken as one run. */

/**
 * @param end the byte after the last; the end of all when left out
 * @returns the bytes from `start` on, not copied
 */
export function cut(buffers: readonly Uint8Array[], start: number, end = Number.POSITIVE_INFINITY): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const buffer of buffers) {
    if (at >= end) break;
    if (at + buffer.length > start) parts.push(buffer.subarray(Math.max(0, start - at), end - at));
    at += buffer.length;
  }
  return parts;
}
