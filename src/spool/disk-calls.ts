/** The few calls on files and directories that the spool stands on, with errors that say which file and what helps. */
import { closeSync, constants, fdatasync, fsync, fsyncSync, openSync, readSync, unlinkSync, write, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { sizeOfDisk, type DiskSize } from '../base/disk-size.js';
import { DiskFailed, FilestoreError, kindOf, messageOf } from '../base/errors.js';

export const fsyncFile: (fd: number) => Promise<void> = promisify(fsync);
export const fdatasyncFile: (fd: number) => Promise<void> = promisify(fdatasync);
export const writeFile: (fd: number, data: Uint8Array) => Promise<{ bytesWritten: number }> = promisify(write);

/** Readable by the daemon's user only: the bytes are customers' documents. */
export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** Wraps what the disk said. A full disk is `no-space`; all else is `unavailable`, because it says nothing about the file system above. */
export function diskError(error: unknown, doing: string): FilestoreError {
  if (error instanceof FilestoreError) return error;
  const said = `${doing}: ${messageOf(error)}`;
  if (kindOf(error) === 'no-space') return new FilestoreError('no-space', `${said}; make room on the disk of spool_dir`, { cause: error });
  return new DiskFailed(`${said}; check the disk and the permissions of spool_dir`, { cause: error });
}

/** Writes all of it; without a position, at the end of a file opened for appending. */
export function writeAllSync(fd: number, data: Uint8Array, position: number | null): void {
  let done = 0;
  while (done < data.length) {
    done += writeSync(fd, data, done, data.length - done, position === null ? null : position + done);
  }
}

/** Writes all of them, one behind the other, from the position on. */
export function writePiecesSync(fd: number, pieces: readonly Uint8Array[], position: number): void {
  let done = writevSync(fd, pieces, position);
  let at = position;
  // A disk that is nearly full takes part of it.
  for (const piece of pieces) {
    const written = Math.min(done, piece.length);
    if (written < piece.length) writeAllSync(fd, piece.subarray(written), at + written);
    done -= written;
    at += piece.length;
  }
}

/** Fills `data` from there on. @throws FilestoreError corrupt when the file is shorter; what the disk says */
export function readAllSync(fd: number, data: Uint8Array, position: number): void {
  for (let done = 0; done < data.length;) {
    const got = readSync(fd, data, done, data.length - done, position + done);
    if (got === 0) throw new FilestoreError('corrupt', `a file that should go on to ${position + data.length} ends at ${position + done}`);
    done += got;
  }
}

/** For what is not missed when it stays. */
export function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The caller says who removes it then.
  }
}

/** What the disk of the spool has left for us. @throws FilestoreError unavailable */
export function sizeOfSpoolDisk(directory: string): DiskSize {
  try {
    return sizeOfDisk(directory);
  } catch (error) {
    throw diskError(error, `cannot tell what is free at ${directory}`);
  }
}

/** Makes the names of a directory survive a power cut. */
export async function fsyncDirectory(path: string): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await fsyncFile(fd);
  } finally {
    closeSync(fd);
  }
}

export function fsyncDirectorySync(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
