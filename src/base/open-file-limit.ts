/** How many descriptors this process may have (RLIMIT_NOFILE; Node raises the soft limit to the hard one at its start). */
import { readFileSync } from 'node:fs';

/** Where the limit cannot be read: Linux's own default. */
const UNKNOWN_LIMIT = 1024;

/** @param limits the text of /proc/self/limits (proc(5)), for tests */
export function openFileLimit(limits: string = readLimits()): number {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER;
  return soft === undefined ? UNKNOWN_LIMIT : Number(soft);
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
