/** The body of one answer, into the file that a download fills. */
import type { Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { asError, FilestoreError } from '../base/errors.js';
import type { CacheKey } from './cache.js';
import type { PartialFile } from './partial-file.js';
import { TrickleWatch } from './trickle-watch.js';

interface Reception {
  readonly key: CacheKey;
  /** Of the object, when all of it is here. */
  readonly totalBytes: number;
  /** Of all that came so far. */
  readonly hash: Hash;
  /** Called when more can be read of the file. */
  readonly onReceived: () => void;
  readonly signal: AbortSignal;
}

/**
 * Takes the body up to its end, and closes it.
 * @returns what broke it off, if something did
 * @throws FilestoreError no-space, corrupt (more bytes than promised), interrupted
 */
export async function receiveBody(
  body: Readable,
  partial: Pick<PartialFile, 'receivedBytes' | 'append'>,
  reception: Reception,
): Promise<unknown> {
  const { key, totalBytes, hash, onReceived, signal } = reception;
  let isOver = false;
  let writing: Promise<void> | undefined;
  let onAbort = (): void => undefined;
  let watch: TrickleWatch | undefined;
  try {
    signal.throwIfAborted();
    return await new Promise<unknown>((resolve, reject) => {
      const trickle = (watch = new TrickleWatch(() => partial.receivedBytes, resolve));
      onAbort = () => reject(asError(signal.reason));
      signal.addEventListener('abort', onAbort);
      body.on('data', (chunk: Uint8Array) => {
        if (isOver) return;
        try {
          if (partial.receivedBytes + chunk.length > totalBytes)
            throw new FilestoreError('corrupt', `${key}: more bytes came than the ${totalBytes} that were promised`);
          hash.update(chunk);
          const appended = partial.append(chunk);
          if (appended === undefined) {
            onReceived();
            return;
          }
          body.pause();
          trickle.stop();
          writing = appended.then(onReceived);
          writing.then(() => {
            if (isOver) return;
            trickle.start();
            body.resume();
          }, reject);
        } catch (error) {
          reject(asError(error));
        }
      });
      trickle.start();
      body.on('end', () => resolve(undefined));
      body.on('error', resolve);
      body.on('close', () => {
        if (!body.readableEnded) resolve(body.errored ?? new FilestoreError('unavailable', 'the body was closed before its end'));
      });
      if (body.destroyed) resolve(body.errored ?? new FilestoreError('unavailable', 'the body was closed before it was read'));
    });
  } finally {
    isOver = true;
    watch?.stop();
    signal.removeEventListener('abort', onAbort);
    discardBody(body);
    // Its descriptor must not be closed under it.
    await writing?.catch(() => undefined);
  }
}

/** Also one that nobody has read. */
export function discardBody(body: Readable): void {
  body.on('error', () => undefined).destroy();
}
