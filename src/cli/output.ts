/** What people read: errors in one line, tables, ages. Results go to standard output, everything else to standard error. */
import { FilestoreError, messageOf } from '../base/errors.js';

/** An error of ours is its message; of anything else the stack is wanted too, because it is a bug. */
export function describeError(error: unknown): string {
  if (error instanceof FilestoreError && error.kind !== 'internal') return error.message;
  if (error instanceof Error && (error as NodeJS.ErrnoException).code !== undefined) return messageOf(error);
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function warn(line: string): void {
  process.stderr.write(`odoo-swiftfs: ${line}\n`);
}

/** Rows with their columns aligned; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[], gap = '  '): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  return rows
    .map((row) => row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join(gap))
    .join('\n');
}

/** E.g. `1 file`, `2 files`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** E.g. `3 min`; rounded down to its largest unit. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

/** Breaks lines between words; a word that is longer than a line stands alone. */
export function wrapWords(text: string, width: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
