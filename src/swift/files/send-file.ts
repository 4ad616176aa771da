/**
 * A local file to an object: small ones are hashed and then sent, large ones in one reading. A large file that is written to meanwhile is told as
 * such: what is stored is no file that ever was, or Swift finds its bytes cut off or wrong and would be blamed.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync, type Stats } from 'node:fs';
import type { Readable } from 'node:stream';
import { FilestoreError, kindOf } from '../../base/errors.js';
import { bytesOfFile } from '../../base/file-bytes.js';
import { digestFile } from '../../base/file-digest.js';
import { untilAborted } from '../../base/until-aborted.js';
import type { SwiftStore } from '../swift-store.js';

const SMALL_BYTES = 1 << 20;

interface SentFile {
  readonly sizeBytes: number;
  /** Hex; what Swift has stored has it too. Undefined for segments: each was held against its own. */
  readonly md5: string | undefined;
  /** Hex; undefined unless asked for. */
  readonly sha1: string | undefined;
}

interface SendOptions {
  /** `sha1` takes that sum beside, but not of segments. */
  readonly wants?: 'sha1';
  /** As a large object, several segments at once, where the file is larger than one of so many bytes. */
  readonly segmentBytes?: number | undefined;
  /** What a large object left behind is removed when it fires, and not its caller's affair. */
  readonly signal?: AbortSignal;
}

/**
 * @throws FilestoreError not-found, is-directory; busy when the file is changed while it is sent; what Node's file system throws; the kinds of the object port
 */
export async function sendFile(
  store: SwiftStore,
  container: string,
  name: string,
  file: string,
  { wants, segmentBytes = Number.POSITIVE_INFINITY, signal = new AbortController().signal }: SendOptions = {},
): Promise<SentFile> {
  const before = statSync(file, { throwIfNoEntry: false });
  if (before === undefined) throw new FilestoreError('not-found', `there is no file ${file}`);
  if (before.isDirectory()) throw new FilestoreError('is-directory', `${file} is a directory; give the name of a file`);
  const { size: sizeBytes } = before;
  let sha1 = createHash('sha1');
  if (sizeBytes <= SMALL_BYTES) {
    const bytes = readFileSync(file);
    const md5 = createHash('md5').update(bytes).digest('hex');
    await store.put(container, name, { sizeBytes: bytes.length, md5, read: (start, end) => bytes.subarray(start, end) }, { signal });
    return { sizeBytes: bytes.length, md5, sha1: wants === undefined ? undefined : sha1.update(bytes).digest('hex') };
  }
  if (sizeBytes > segmentBytes) {
    const read = (start: number, end: number): Readable => bytesToSend(file, start, end);
    await store.putInSegments(container, name, { sizeBytes, read }, { signal });
    if (isChanged(file, before)) throw changed(file, 'was written to');
    return { sizeBytes, md5: undefined, sha1: undefined };
  }
  const body = {
    sizeBytes,
    read: (): Readable => bytesToSend(file, 0, sizeBytes),
    ...(wants === undefined ? {} : { beside: () => (sha1 = createHash('sha1')) }),
  };
  const md5 = await store.putUnhashed(container, name, body, { signal });
  if (md5 !== undefined) {
    if (isWrittenTo(file, before)) throw changed(file, 'was written to');
    return { sizeBytes, md5, sha1: wants === undefined ? undefined : sha1.digest('hex') };
  }
  const digest = await untilAborted(digestFile(file), signal, () => new FilestoreError('interrupted', `${file} is not sent`));
  try {
    await store.put(container, name, { ...digest, read: (start, end) => bytesToSend(file, start, end) }, { signal });
  } catch (error) {
    if (kindOf(error) === 'corrupt' && isChanged(file, before)) throw changed(file, 'was written to', error);
    throw error;
  }
  return digest;
}

/** @param end the byte after the last */
function bytesToSend(file: string, start: number, end: number): Readable {
  return bytesOfFile(file, start, end, () => changed(file, 'shrank'));
}

function changed(file: string, what: string, cause?: unknown): FilestoreError {
  return new FilestoreError('busy', `${file} ${what} while it was sent; send it again when nobody writes to it`, { cause });
}

/** Written to, replaced or removed: who opened it more than once may have bytes of both. */
function isChanged(file: string, before: Stats): boolean {
  return statSync(file, { throwIfNoEntry: false })?.ino !== before.ino || isWrittenTo(file, before);
}

function isWrittenTo(file: string, before: Stats): boolean {
  const now = statSync(file, { throwIfNoEntry: false });
  return now?.ino === before.ino && (now.size !== before.size || now.mtimeMs !== before.mtimeMs);
}
