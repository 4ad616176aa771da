/**
 * Why a client was interrupted. The kernel says INTERRUPT for any pending signal, once a request; but a timer's SIGALRM must not turn a
 * successful close() into EINTR, while a killed process must be let go at once. So the pending signals are looked up in /proc.
 */
import { readFileSync } from 'node:fs';

/**
 * - `fatal`: the client is being killed, or is gone
 * - `wants-out`: a handler waits to run for a signal by which people stop programs (INT, TERM, HUP, QUIT, USR1, USR2)
 * - `none`: nothing that matters (timers, children, a window's size, job control)
 * - `unknown`: /proc does not say (another PID namespace, hidepid)
 */
export type Urgency = 'fatal' | 'wants-out' | 'none' | 'unknown';

const SIGKILL = 9;
/** Signals whose default action does not end the process: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. */
const HARMLESS_BY_DEFAULT = new Set([17, 18, 19, 20, 21, 22, 23, 28]);
const WANTS_OUT = new Set([1, 2, 3, 10, 12, 15]);

/** @param pid a thread's id, as requests carry it. Reading /proc never touches our mount. */
export function urgencyOf(pid: number): Urgency {
  if (pid === 0) return 'unknown';
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' || code === 'ESRCH' ? 'fatal' : 'unknown';
  }
  return urgencyFromStatus(status);
}

/** @param status the text of /proc/PID/status */
export function urgencyFromStatus(status: string): Urgency {
  const mask = (field: string): bigint => {
    const found = new RegExp(`^${field}:\\s*([0-9a-f]+)`, 'm').exec(status);
    return found === null ? 0n : BigInt(`0x${found[1] as string}`);
  };
  if (/^State:\s*[XZ]/m.test(status)) return 'fatal';
  const blocked = mask('SigBlk');
  const handled = mask('SigCgt') | mask('SigIgn');
  const pending = mask('SigPnd') | mask('ShdPnd');
  let urgency: Urgency = 'none';
  for (let signal = 1; signal <= 64; signal++) {
    const bit = 1n << BigInt(signal - 1);
    if ((pending & bit) === 0n) continue;
    if (signal === SIGKILL) return 'fatal';
    if ((blocked & bit) !== 0n) continue;
    if ((handled & bit) === 0n && !HARMLESS_BY_DEFAULT.has(signal)) return 'fatal';
    if ((handled & bit) !== 0n && WANTS_OUT.has(signal)) urgency = 'wants-out';
  }
  return urgency;
}
