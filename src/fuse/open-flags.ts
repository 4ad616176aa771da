/** open(2) flags as the kernel sends them, in words. */
import type { OpenFlags } from './file-system.js';
import { O } from './protocol.js';

export function openFlagsOf(flags: number): OpenFlags {
  const access = flags & O.ACCMODE;
  const truncate = (flags & O.TRUNC) !== 0;
  return {
    read: access !== O.WRONLY,
    // Who empties a file changes it, also where he only reads it then.
    write: access === O.WRONLY || access === O.RDWR || truncate,
    append: (flags & O.APPEND) !== 0,
    truncate,
    exclusive: (flags & O.EXCL) !== 0,
  };
}
