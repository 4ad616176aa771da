/** What another thread is asking the kernel for at this moment. Source: proc(5), /proc/PID/syscall: the number of the call in which it waits, or "running". */
import { readFile } from 'node:fs/promises';

/** `other` includes waiting without a call. */
export type SystemCall = 'mkdir' | 'running' | 'other';

/** mkdir and mkdirat. Source: the kernel's tables of system calls. */
const MKDIR: Readonly<Partial<Record<NodeJS.Architecture, readonly string[]>>> = { x64: ['83', '258'], arm64: ['34'] };

/**
 * Not read in the loop's own turn: the kernel lets nobody look while the thread ends an execve, which may wait for us to close its files.
 * @param pid of a thread, as this process sees it
 * @returns undefined where that cannot be told: it has ended, rights (CAP_SYS_PTRACE, or the same user), a namespace of its own, another kind of processor
 */
export async function systemCallOf(pid: number): Promise<SystemCall | undefined> {
  const numbers = MKDIR[process.arch];
  if (pid === 0 || numbers === undefined) return undefined;
  try {
    const [call = ''] = (await readFile(`/proc/${pid}/syscall`, 'latin1')).trimEnd().split(' ', 1);
    if (call === 'running') return call;
    return numbers.includes(call) ? 'mkdir' : 'other';
  } catch {
    return undefined;
  }
}
