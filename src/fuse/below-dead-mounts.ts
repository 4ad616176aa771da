/**
 * What lies below dead mounts, seen from a child in a mount namespace of its own, where they are taken away; here they stay. So a start
 * can learn whose the directory is and whether it hides files, long before it mounts.
 */
import { runCommand } from './run-command.js';

const COMMAND_MS = 10_000;

interface BelowDeadMounts {
  readonly uid: number;
  readonly gid: number;
  readonly isEmpty: boolean;
}

/** $1: the directory, $2: how many dead mounts. What it finds goes to standard error, the one stream that is read. */
const LOOK = `
i=0
while [ "$i" -lt "$2" ]; do umount -l -- "$1" || exit 1; i=$((i+1)); done
owner=$(stat -c '%u %g' -- "$1") || exit 1
if [ -z "$(ls -A -- "$1" | head -c 1)" ]; then echo "$owner empty" >&2; else echo "$owner full" >&2; fi
`;

/** @returns undefined where it cannot be told: an ordinary user may not look, and some containers allow no namespaces */
export async function lookBelow(path: string, deadMounts: number): Promise<BelowDeadMounts | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', LOOK, 'sh', path, String(deadMounts)];
  const outcome = await runCommand('unshare', args, COMMAND_MS).catch(() => undefined);
  const found = /^(\d+) (\d+) (empty|full)$/.exec(outcome?.exitCode === 0 ? outcome.standardError : '');
  return found === null ? undefined : { uid: Number(found[1]), gid: Number(found[2]), isEmpty: found[3] === 'empty' };
}
