/** Which mount lies on a directory. */
import { readFile } from 'node:fs/promises';
import { MOUNT_INFO_FILE, parseMountInfo, type MountEntry } from '../base/mount-info.js';

/** @returns the mounts at exactly this path, the uppermost last */
export async function mountsAt(path: string): Promise<MountEntry[]> {
  return parseMountInfo(await readFile(MOUNT_INFO_FILE, 'utf8')).filter((entry) => entry.mountPoint === path);
}

/** @returns the uppermost mount at exactly this path, or undefined */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await mountsAt(path)).at(-1);
}
