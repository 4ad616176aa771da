/**
 * The kernel's own switch for FUSE over io_uring, which is off as the kernel comes. With it on, a server that asks for io_uring gets it; nothing
 * changes for others. So it is switched on, and left on: another mount may be in the middle of its start.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';

const SWITCH = '/sys/module/fuse/parameters/enable_uring';
/** Linux 6.14 has it. We switch it on from the version on that our tests run on; before, that is the administrator's decision. */
const TRIED_FROM = [6, 18] as const;

/** Does nothing where it is on, is not there, or is not ours to set (no root, a read-only /sys). Call before mount(2). @returns whether it did */
export function switchRingOn(): boolean {
  if (!isTried(release())) return false;
  try {
    if (readFileSync(SWITCH, 'utf8').trim() !== 'N') return false;
    writeFileSync(SWITCH, 'Y');
    return true;
  } catch {
    return false;
  }
}

/** @param version as of uname(2), e.g. `6.18.3-cloud` */
export function isTried(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > TRIED_FROM[0] || (major === TRIED_FROM[0] && minor >= TRIED_FROM[1]);
}
