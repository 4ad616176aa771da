/**
 * A place for bytes when the cache's disk has none (full, read-only, broken): a file without a name, gone with its last close. Small ones
 * lie in memory, large ones in the directory for temporary files, so that a read never fails for want of cache while Swift has the bytes.
 */
import { closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sizeOfDisk } from '../base/disk-size.js';
import { FilestoreError, messageOf } from '../base/errors.js';
import { FILE_MODE } from './cache-layout.js';

/** Up to this size a file may lie in memory first. */
const MEMORY_MAX_BYTES = 8 * 1024 * 1024;
/** A tmpfs on every Linux with glibc (shm_overview(7)). */
const MEMORY_DIRECTORY = '/dev/shm';
/** A file is put only where this many times its size is free. */
const ROOM_FACTOR = 2;

/**
 * @returns a descriptor for reading and writing
 * @throws FilestoreError no-space
 */
export function openAnonymousFile(sizeBytes: number): number {
  const places = sizeBytes <= MEMORY_MAX_BYTES ? [MEMORY_DIRECTORY, tmpdir()] : [tmpdir(), MEMORY_DIRECTORY];
  let reason = 'too little room there';
  for (const place of places) {
    try {
      if (sizeOfDisk(place).freeBytes < sizeBytes * ROOM_FACTOR) continue;
      return openWithoutName(place);
    } catch (error) {
      reason = messageOf(error);
    }
  }
  throw new FilestoreError(
    'no-space',
    `no room for ${sizeBytes} bytes in cache_dir, nor in ${places.join(' or ')} (${reason}); make room on one`,
  );
}

function openWithoutName(directory: string): number {
  const path = join(directory, `.odoo-swiftfs-${randomUUID()}`);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, FILE_MODE);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
