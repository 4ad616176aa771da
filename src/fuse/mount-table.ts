/** /proc/self/mountinfo (proc(5)): which mount lies on a directory. */
import { readFile } from 'node:fs/promises';

interface MountEntry {
  /** `major:minor`. */
  readonly device: string;
  readonly mountPoint: string;
  /** E.g. `fuse.odoo-swiftfs`. */
  readonly type: string;
  readonly source: string;
}

/** Octal escapes of blank, tab, newline and backslash; bytes above ASCII stand as they are. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
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

/** @returns the mounts at exactly this path, the uppermost last */
export async function mountsAt(path: string): Promise<MountEntry[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8')).filter((entry) => entry.mountPoint === path);
}

/** @returns the uppermost mount at exactly this path, or undefined */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  return (await mountsAt(path)).at(-1);
}
