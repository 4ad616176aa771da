/** Our mounts in the kernel's list, for what no daemon answers for any more. */
import { readFileSync } from 'node:fs';
import { MOUNT_INFO_FILE, parseMountInfo, type MountEntry } from '../base/mount-info.js';

export const SUBTYPE = 'odoo-swiftfs';
/** The type of our mounts in the table. mount.fuse3 with drop_privileges names the program as fstab does, maybe with its path. */
const FILE_SYSTEM_TYPE = new RegExp(`^fuse\\.(?:.*/)?${SUBTYPE}(?:\\.cjs)?$`);

export function readMountTable(): readonly MountEntry[] {
  return parseMountInfo(readFileSync(MOUNT_INFO_FILE, 'utf8'));
}

/** Our mounts, as the kernel has them; of several at one place the last is the visible one. */
export function ourMounts(table: readonly MountEntry[]): readonly MountEntry[] {
  return table.filter((entry) => FILE_SYSTEM_TYPE.test(entry.type));
}
