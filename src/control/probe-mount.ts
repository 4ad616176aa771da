/** Whether anybody serves a mount, asked of the mount itself: for mounts whose daemon cannot be asked. */
import { execFile } from 'node:child_process';

/** `closed`: it may be entered by its user only, so somebody serves it. */
export type MountState = 'dead' | 'serves' | 'closed' | 'silent';

const PATIENCE_MS = 3000;

/** A child asks, so that a mount that hangs holds up nobody but the child. */
export function probeMount(mountPoint: string): Promise<MountState> {
  return new Promise((resolve) => {
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
    const child = execFile('stat', ['--file-system', '--', mountPoint], { env }, (error, _output, said) => {
      clearTimeout(timer);
      if (error === null) resolve('serves');
      else if (/not connected|connection abort|canceled/i.test(said)) resolve('dead');
      else resolve(/permission denied/i.test(said) ? 'closed' : 'silent');
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.unref();
      resolve('silent');
    }, PATIENCE_MS);
  });
}
