/**
 * Why the spool of a database wants a human, in words with the remedy: part of what `status` calls degraded. Torn files are none of that: `status`
 * counts them, and one writer that was killed must not leave a mount degraded.
 */
import { accessSync, constants } from 'node:fs';
import { messageOf } from '../base/errors.js';
import { sizeOfSpoolDisk } from '../spool/disk-calls.js';
import type { Database } from './database.js';

/** @returns undefined when nothing is wrong with the disk of the spool */
export function spoolProblem({ spool, settings }: Database): string | undefined {
  const { spoolDirectory, spoolFloorBytes } = settings;
  try {
    accessSync(spoolDirectory, constants.W_OK);
    if (spool.isFailing) return `the disk of spool_dir (${spoolDirectory}) fails: writes and deletes are refused; check it`;
    if (spool.isFull) return `the disk of spool_dir (${spoolDirectory}) is full: writes are refused; make room`;
    const { freeBytes, freeNames } = sizeOfSpoolDisk(spoolDirectory);
    if (freeNames === 0)
      return `the disk of spool_dir (${spoolDirectory}) has no inode left (df -i): what Swift does not take at once is refused, and so are larger writes; remove files there`;
    if (freeBytes < spoolFloorBytes)
      return `the disk of spool_dir (${spoolDirectory}) has less than spool_floor left: what Swift does not take is refused; make room`;
    const { unnamed } = spool.torn;
    if (unnamed === 0) return undefined;
    return `${unnamed} sealed files lost their record and may be documents Swift never had: look at those in ${spool.tornDirectory} whose names do not end in .torn, and remove them`;
  } catch (error) {
    return `spool_dir (${spoolDirectory}) cannot be written: ${messageOf(error)}; writes and deletes are refused; check its disk`;
  }
}
