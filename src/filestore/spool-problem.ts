/** Why the spool of a database wants a human, in words with the remedy: part of what `status` calls degraded. */
import { messageOf } from '../base/errors.js';
import { freeBytesOf } from '../spool/disk-calls.js';
import type { Database } from './database.js';

/** @returns undefined when nothing is wrong with the disk of the spool */
export function spoolProblem({ spool, settings }: Database): string | undefined {
  const { spoolDirectory, spoolFloorBytes } = settings;
  try {
    if (spool.isFull) return `the disk of spool_dir (${spoolDirectory}) is full: writes are refused; make room`;
    if (freeBytesOf(spoolDirectory) < spoolFloorBytes)
      return `the disk of spool_dir (${spoolDirectory}) has less than spool_floor left: what Swift does not take is refused; make room`;
    const { count, bytes } = spool.torn;
    if (count === 0) return undefined;
    return `${count} files (${bytes} bytes) were set aside in ${spool.tornDirectory}: look at them and remove them`;
  } catch (error) {
    return `spool_dir cannot be looked at: ${messageOf(error)}`;
  }
}
