/** What another thread is asking the kernel for at this moment. Source: proc(5), /proc/PID/syscall: the number of the call in which it waits, or "running". */
import { readFileSync } from 'node:fs';

/** mkdir and mkdirat. Source: the kernel's tables of system calls. */
const MAKING: Readonly<Partial<Record<NodeJS.Architecture, readonly string[]>>> = { x64: ['83', '258'], arm64: ['34'] };

/**
 * @param pid of a thread, as this process sees it
 * @returns whether it waits for a directory that it makes; undefined where that cannot be told (it has ended, rights, another container, another kind
 *   of processor)
 */
export function isMakingDirectory(pid: number): boolean | undefined {
  try {
    const [call = ''] = readFileSync(`/proc/${pid}/syscall`, 'latin1').split(' ', 1);
    return MAKING[process.arch]?.includes(call);
  } catch {
    return undefined;
  }
}
