/** A child process with a limit on its time. Never blocks the loop, since the child may be waiting for our own mount. */
import type { StdioOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import { FilestoreError } from '../base/errors.js';

interface CommandOutcome {
  readonly exitCode: number | null;
  readonly standardError: string;
}

/**
 * @param extraFds become descriptors 3, 4, … of the child
 * @throws FilestoreError unavailable when it is not installed, or does not end within `timeoutMs`
 */
export function runCommand(
  command: string,
  args: readonly string[],
  timeoutMs: number,
  extraFds: readonly number[] = [],
): Promise<CommandOutcome> {
  return new Promise((resolve, reject) => {
    const stdio: StdioOptions = ['ignore', 'ignore', 'pipe', ...extraFds];
    const child = spawn(command, args, { stdio });
    let standardError = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // A child that the kernel keeps waiting does not die at once; we do not wait with it.
      child.unref();
      reject(new FilestoreError('unavailable', `${command} ${args.join(' ')} did not end within ${timeoutMs} ms`));
    }, timeoutMs);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (standardError += text));
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new FilestoreError('unavailable', `${command} cannot be run: ${error.message}`, { cause: error }));
    });
    child.on('close', (exitCode) => {
      clearTimeout(timer);
      resolve({ exitCode, standardError: standardError.trim() });
    });
  });
}
