/** The kernel's list of mounts, for what no daemon answers for any more. Source: proc(5), /proc/PID/mountinfo. */
import { readFileSync } from 'node:fs';

export const SUBTYPE = 'odoo-swiftfs';
/** The type of our mounts in the table. */
const FILE_SYSTEM_TYPE = `fuse.${SUBTYPE}`;

export interface TableEntry {
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
}

export function readMountTable(file = '/proc/self/mountinfo'): readonly TableEntry[] {
  return parseMountTable(readFileSync(file, 'utf8'));
}

export function parseMountTable(text: string): readonly TableEntry[] {
  const entries: TableEntry[] = [];
  for (const line of text.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2);
    const mountPoint = before.split(' ')[4];
    const [type, source] = after.split(' ');
    if (mountPoint === undefined || type === undefined || source === undefined) continue;
    entries.push({ mountPoint: unescapeOctal(mountPoint), type, source: unescapeOctal(source) });
  }
  return entries;
}

/** Our mounts, as the kernel has them; of several at one place the last is the visible one. */
export function ourMounts(table: readonly TableEntry[]): readonly TableEntry[] {
  return table.filter((entry) => entry.type === FILE_SYSTEM_TYPE);
}

/** The table writes space, tab, newline and backslash as `\040` and so on; the rest is bytes of UTF-8. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
