/** What a read answers, and how its bytes are taken from a local file, or from another copy where that does not give them. */
import { readSync } from 'node:fs';
import { FilestoreError } from './errors.js';

/** Bytes of a local file, read straight into a reply. The descriptor stays open at least for the turn of the loop that returns it. */
export interface FileSlice {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
  /** Whose copy it is, where other copies may be had. Without one, fewer bytes than `length` are the end of the file. */
  readonly holder?: SliceHolder;
}

/** Who held out a piece of a copy that its disk then did not give, or not all of it. */
export interface SliceHolder {
  /** The same bytes from another copy; that one is handed out no more. @throws FilestoreError unavailable, corrupt */
  readElsewhere(position: number, length: number, signal: AbortSignal): Promise<ReadResult>;
}

/** What a read answers: bytes in memory, or where they are on the disk. Fewer than asked for only at the end of the file. */
export type ReadResult = Uint8Array | FileSlice;

/**
 * Reads a slice from its file.
 * @param at where in `into` its first byte goes
 * @returns how many bytes there are: all of them, or fewer at the end of a file that nobody holds; undefined when the disk did not give them
 */
export function readSlice({ fd, position, length, holder }: FileSlice, into: Buffer, at: number): number | undefined {
  let filled = 0;
  try {
    while (filled < length) {
      const got = readSync(fd, into, at + filled, length - filled, position + filled);
      if (got === 0) break;
      filled += got;
    }
  } catch {
    return undefined;
  }
  return filled < length && holder !== undefined ? undefined : filled;
}

/** Copies what was read to the start of a buffer, as much as it takes. @returns how many bytes that are; undefined as {@link readSlice} */
export function copyResult(result: ReadResult, into: Buffer): number | undefined {
  const length = Math.min(result.length, into.length);
  if (!(result instanceof Uint8Array)) return readSlice({ ...result, length }, into, 0);
  into.set(result.subarray(0, length));
  return length;
}

/** What stands in for a slice that its disk did not give. @throws FilestoreError unavailable, corrupt */
export async function readElsewhere(result: ReadResult, signal: AbortSignal): Promise<ReadResult> {
  if (result instanceof Uint8Array) return result;
  const { position, length, holder } = result;
  if (holder === undefined) throw unreadable();
  return holder.readElsewhere(position, length, signal);
}

/** For who has asked for another copy already. */
export function unreadable(): FilestoreError {
  return new FilestoreError('unavailable', 'a disk of this machine does not give the bytes of a file; see the log of its kernel');
}
