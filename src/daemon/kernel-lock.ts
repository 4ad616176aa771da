/**
 * flock(2) of a directory, which Node lacks: the program `flock` locks the open file description that it inherits, and so ours, until we close it or die.
 * It holds where a lock file cannot: when somebody has removed that, and between containers, where a pid says nothing of the other's processes.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';

const COMMAND_MS = 5_000;
/** The kernel closes the files of a killed process a moment after its end can be seen. */
const ATTEMPTS = 5;
const PAUSE_MS = 100;

export interface KernelLock {
  release(): void;
}

/**
 * @returns `held`: by somebody else; undefined where it cannot be had at all (no such program, a network file system without it)
 * @throws what the disk says to opening the directory
 */
export function lockInKernel(directory: string): KernelLock | 'held' | undefined {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  for (let attempt = 1; ; attempt++) {
    const { status, stderr } = spawnSync('flock', ['-x', '-n', '3'], {
      stdio: ['ignore', 'ignore', 'pipe', fd],
      timeout: COMMAND_MS,
      encoding: 'utf8',
    });
    if (status === 0) return { release: () => closeSync(fd) };
    // It is silent about a lock that somebody has, and about nothing else.
    const isHeld = status === 1 && stderr === '';
    if (!isHeld || attempt === ATTEMPTS) {
      closeSync(fd);
      return isHeld ? 'held' : undefined;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}
