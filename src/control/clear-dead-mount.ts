/** Takes away a mount whose daemon died (every access fails with ENOTCONN). */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { FilestoreError, messageOf } from '../base/errors.js';

const run = promisify(execFile);
const TIMEOUT_MS = 10_000;

/** @param asRoot umount(8) needs root; an ordinary user's own mount is taken away by fusermount3. @throws FilestoreError busy */
export async function clearDeadMount(mountPoint: string, asRoot: boolean): Promise<void> {
  const [command, ...args] = asRoot ? ['umount', '-l', '--', mountPoint] : ['fusermount3', '-u', '-z', '--', mountPoint];
  try {
    await run(command ?? '', args, { timeout: TIMEOUT_MS });
  } catch (error) {
    throw new FilestoreError('busy', `${mountPoint}: its daemon is gone and it could not be unmounted: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
