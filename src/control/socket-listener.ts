/** Who listens at a socket, for a daemon that does not answer. Source: proc(5), /proc/net/unix and /proc/PID/fd. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** @returns the pid; undefined when it cannot be told, e.g. of another user's process */
export function listenerAt(path: string): number | undefined {
  const inode = inodeOf(path);
  if (inode === undefined) return undefined;
  const link = `socket:[${inode}]`;
  const found = tryTo(() => readdirSync('/proc'))?.find(
    (name) =>
      /^\d+$/.test(name) &&
      tryTo(() => readdirSync(`/proc/${name}/fd`))?.some((fd) => tryTo(() => readlinkSync(`/proc/${name}/fd/${fd}`)) === link),
  );
  return found === undefined ? undefined : Number(found);
}

/** Fields: number, reference count, protocol, flags (__SO_ACCEPTCON when it listens), type, state, inode, path. */
function inodeOf(path: string): string | undefined {
  const lines = tryTo(() => readFileSync('/proc/net/unix', 'utf8'))?.split('\n') ?? [];
  const fields = lines
    .map((line) => line.split(/ +/))
    .find(([, , , flags, , , , ...name]) => flags === '00010000' && name.join(' ') === path);
  return fields?.[6];
}

/** Processes come and go, and some may not be looked at. */
function tryTo<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
