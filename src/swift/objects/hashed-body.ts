/** A body whose MD5 is taken while it leaves: anew with each attempt, so that what was sent last is what was hashed. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { CallBody } from '../requests/call.js';

interface Bytes {
  readonly sizeBytes: number;
  read(): Readable;
  /** Called once an attempt; gets its bytes too. */
  readonly beside?: () => { update(bytes: Uint8Array): void };
}

interface HashedBody {
  readonly body: CallBody;
  /** Hex, of the last attempt. Call once, when it was answered. */
  readonly md5: () => string;
}

/** @param onProgress called as bytes leave */
export function hashedBody({ sizeBytes, read, beside }: Bytes, onProgress: (() => void) | undefined): HashedBody {
  let hash = createHash('md5');
  let other = beside?.();
  let sentBytes = 0;
  const open = (): Readable => {
    if (sentBytes > 0) [hash, other] = [createHash('md5'), beside?.()];
    sentBytes = 0;
    return read();
  };
  const onBytes = (bytes: Uint8Array): void => {
    hash.update(bytes);
    other?.update(bytes);
    sentBytes += bytes.length;
    onProgress?.();
  };
  return { body: { sizeBytes, open, onBytes }, md5: () => hash.digest('hex') };
}
