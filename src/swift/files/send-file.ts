/**
 * A local file to an object: small ones are hashed and then sent, large ones in one reading. A large file that is written to meanwhile is told as
 * such: what is stored is no file that ever was, or Swift finds its bytes cut off or wrong and would be blamed.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
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
  /** As a large object, several segments at once, where the file is larger than one. */
  readonly inSegments?: boolean;
  /** What a large object left behind is removed when it fires, and not its caller's affair. */
  readonly signal?: AbortSignal;
}

/** By one descriptor: what is sent is of one file, also where another is put in its place meanwhile, or it is removed. */
interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly before: Stats;
}

/**
 * @throws FilestoreError not-found, is-directory; busy when the file is written to while it is sent; what Node's file system throws; the kinds of the object port
 */
export async function sendFile(
  store: SwiftStore,
  container: string,
  name: string,
  path: string,
  options: SendOptions = {},
): Promise<SentFile> {
  const fd = opened(path);
  try {
    return await sendOpen(store, container, name, { path, fd, before: fstatSync(fd) }, options);
  } finally {
    closeSync(fd);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw kindOf(error) === 'not-found' ? new FilestoreError('not-found', `there is no file ${path}`) : error;
  }
}

async function sendOpen(
  store: SwiftStore,
  container: string,
  name: string,
  file: OpenFile,
  { wants, inSegments = false, signal = new AbortController().signal }: SendOptions,
): Promise<SentFile> {
  const { path, fd, before } = file;
  if (before.isDirectory()) throw new FilestoreError('is-directory', `${path} is a directory; give the name of a file`);
  const { size: sizeBytes } = before;
  let sha1 = createHash('sha1');
  if (sizeBytes <= SMALL_BYTES) {
    const bytes = readFileSync(fd);
    const md5 = createHash('md5').update(bytes).digest('hex');
    await store.put(container, name, { sizeBytes: bytes.length, md5, read: (start, end) => bytes.subarray(start, end) }, { signal });
    return { sizeBytes: bytes.length, md5, sha1: wants === undefined ? undefined : sha1.update(bytes).digest('hex') };
  }
  if (inSegments && sizeBytes > store.segmentBytes) {
    const read = (start: number, end: number): Readable => bytesToSend(file, start, end);
    await store.putInSegments(container, name, { sizeBytes, read, assertWhole: () => assertNotWrittenTo(file) }, { signal });
    return { sizeBytes, md5: undefined, sha1: undefined };
  }
  const body = {
    sizeBytes,
    read: (): Readable => bytesToSend(file, 0, sizeBytes),
    ...(wants === undefined ? {} : { beside: () => (sha1 = createHash('sha1')) }),
  };
  const md5 = await store.putUnhashed(container, name, body, { signal });
  if (md5 !== undefined) {
    assertNotWrittenTo(file);
    return { sizeBytes, md5, sha1: wants === undefined ? undefined : sha1.digest('hex') };
  }
  const digest = await untilAborted(digestFile(path, fd), signal, () => new FilestoreError('interrupted', `${path} is not sent`));
  try {
    await store.put(container, name, { ...digest, read: (start, end) => bytesToSend(file, start, end) }, { signal });
  } catch (error) {
    if (kindOf(error) === 'corrupt') assertNotWrittenTo(file, error);
    throw error;
  }
  return digest;
}

/** @param end the byte after the last */
function bytesToSend({ path, fd }: OpenFile, start: number, end: number): Readable {
  return bytesOfFile(fd, start, end, () => changed(path, 'shrank'));
}

/** @param cause what it would explain. @throws FilestoreError busy */
function assertNotWrittenTo({ path, fd, before }: OpenFile, cause?: unknown): void {
  const now = fstatSync(fd);
  if (now.size !== before.size || now.mtimeMs !== before.mtimeMs) throw changed(path, 'was written to', cause);
}

function changed(path: string, what: string, cause?: unknown): FilestoreError {
  return new FilestoreError('busy', `${path} ${what} while it was sent; send it again when nobody writes to it`, { cause });
}
