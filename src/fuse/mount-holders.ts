/**
 * Who keeps a mount busy: processes whose working directory, root, executable, open file or mapping lies below it. Only links under /proc
 * are read, never the mount itself, so that the search cannot wait for our own daemon.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { FilestoreError } from '../base/errors.js';

interface Holder {
  readonly pid: number;
  readonly command: string;
  /** `cwd`, `root`, `exe`, `fd 3`, `mapping`. */
  readonly how: string;
  readonly path: string;
}

const DELETED = ' (deleted)';

/** @returns the holders that we may see (all for root; our own processes otherwise), one line a process */
export async function findHolders(mountPoint: string, ownPid = process.pid): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === ownPid) continue;
    const held = await holdOf(name, mountPoint);
    if (held === undefined) continue;
    const command = (await readFile(`/proc/${name}/comm`, 'utf8').catch(() => '?')).trim();
    holders.push({ pid: Number(name), command, ...held });
  }
  return holders;
}

async function holdOf(pid: string, mountPoint: string): Promise<{ how: string; path: string } | undefined> {
  const isBelow = (path: string): boolean => path === mountPoint || path.startsWith(`${mountPoint}/`);
  for (const how of ['cwd', 'root', 'exe']) {
    const path = await readlink(`/proc/${pid}/${how}`).catch(() => '');
    if (isBelow(path)) return { how, path };
  }
  for (const fd of await readdir(`/proc/${pid}/fd`).catch((): string[] => [])) {
    const path = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
    if (isBelow(path)) return { how: `fd ${fd}`, path: path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path };
  }
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  if (!maps.includes(mountPoint)) return undefined;
  for (const line of maps.split('\n')) {
    const at = line.indexOf('/');
    if (at >= 0 && isBelow(line.slice(at))) return { how: 'mapping', path: line.slice(at) };
  }
  return undefined;
}

/** @returns e.g. `1234 (bash, cwd), 1240 (python3, fd 3 on /mnt/a)` */
export function describeHolders(holders: readonly Holder[], most = 8): string {
  const shown = holders.slice(0, most).map((h) => `${h.pid} (${h.command}, ${h.how} on ${h.path})`);
  const rest = holders.length - shown.length;
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** @returns what an unmount throws that the kernel refused with EBUSY */
export async function busyError(mountPoint: string): Promise<FilestoreError> {
  const holders = await findHolders(mountPoint);
  const who = holders.length > 0 ? describeHolders(holders) : 'a process this user may not see, or another mount below it';
  return new FilestoreError('busy', `${mountPoint} is busy: held by ${who}; end it, or let open files end by themselves: unmount --detach`);
}
