/** open(2) flags as the kernel sends them, in words. */
import type { OpenFlags } from './file-system.js';
import { O } from './protocol.js';

export function openFlagsOf(flags: number): OpenFlags {
  const access = flags & O.ACCMODE;
  return {
    read: access !== O.WRONLY,
    write: access === O.WRONLY || access === O.RDWR,
    append: (flags & O.APPEND) !== 0,
    truncate: (flags & O.TRUNC) !== 0,
    exclusive: (flags & O.EXCL) !== 0,
  };
}
