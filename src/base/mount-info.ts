/** The kernel's list of mounts. Source: proc(5), /proc/PID/mountinfo. */

export interface MountEntry {
  /** `major:minor`. */
  readonly device: string;
  readonly mountPoint: string;
  /** E.g. `fuse.odoo-swiftfs`. */
  readonly type: string;
  readonly source: string;
}

/** Of this process's mount namespace. */
export const MOUNT_INFO_FILE = '/proc/self/mountinfo';
/** Fields before the optional ones, which end with a dash. */
const FIXED_FIELDS = 6;

/**
 * A killed daemon of which a thread still waits in the kernel keeps the connection, and all its clients wait: only an abort (`-f`, also where it says
 * "busy") ends that.
 * @returns the commands for root
 */
export function abortAndDetach(mountPoint: string): string {
  return `umount -f ${mountPoint}; umount -l ${mountPoint}`;
}

/** @param text of a mountinfo file. @returns its mounts in the order in which they were made */
export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', FIXED_FIELDS);
    const [, , device, , mountPoint] = fields;
    if (dash < 0 || device === undefined || mountPoint === undefined) continue;
    entries.push({
      device,
      mountPoint: unescapeOctal(mountPoint),
      type: fields[dash + 1] ?? '',
      source: unescapeOctal(fields[dash + 2] ?? ''),
    });
  }
  return entries;
}

/** Blank, tab, newline and backslash stand as `\040` and so on; bytes above ASCII stand as they are. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
