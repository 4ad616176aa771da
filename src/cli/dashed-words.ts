/**
 * Words of a command line that begin with a dash and are no flags: what stands behind `--`, and `-` alone. yargs takes a command's words apart
 * again when it knows the command, and would then take `-x` for a flag: `rm CONTAINER -- -x` would remove the container. So they go through it with a
 * mark in front, a byte that no command line can hold.
 */
const MARK = '\0';

/** @returns the command line as yargs is to see it */
export function markDashedWords(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const mark = (arg: string): string => (arg.startsWith('-') ? MARK + arg : arg);
  const flagged = (end < 0 ? args : args.slice(0, end)).map((arg) => (arg === '-' ? mark(arg) : arg));
  return end < 0 ? flagged : [...flagged, ...args.slice(end + 1).map(mark)];
}

/** Takes the marks off what was parsed, in place. */
export function unmarkDashedWords(parsed: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === 'string' && value.startsWith(MARK)) parsed[name] = value.slice(MARK.length);
  }
}
