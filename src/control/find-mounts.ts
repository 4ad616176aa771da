/** Which mounts there are: those whose daemons answer, and dead ones that the kernel still lists. */
import { readdirSync, unlinkSync } from 'node:fs';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import type { MountStatus } from '../filestore/mount-status.js';
import { NobodyListens, requestStatus } from './control-client.js';
import { ourMounts, readMountTable, type TableEntry } from './mount-table.js';
import { isSocketName, socketPath } from './socket-path.js';

export type FoundMount =
  | { readonly state: 'alive'; readonly mountPoint: string; readonly socket: string; readonly status: MountStatus }
  /** A daemon is there, but does not tell. */
  | { readonly state: 'silent'; readonly socket: string; readonly reason: string }
  /** The kernel lists the mount, and no daemon serves it: every access to it fails. */
  | { readonly state: 'dead'; readonly mountPoint: string };

/** @param directories where control sockets may be, own one first */
export async function findMounts(
  directories: readonly string[],
  table: readonly TableEntry[] = readMountTable(),
): Promise<readonly FoundMount[]> {
  const sockets = directories.flatMap((directory) => socketsIn(directory));
  const asked = await Promise.all(sockets.map((socket) => ask(socket)));
  const found = asked.filter((mount) => mount !== undefined);
  const served = new Set(found.map((mount) => (mount.state === 'silent' ? undefined : mount.mountPoint)));
  const silentSomewhere = found.some((mount) => mount.state === 'silent');
  for (const { mountPoint } of ourMounts(table)) {
    if (served.has(mountPoint)) continue;
    served.add(mountPoint);
    const silent = directories.some(
      (directory) => silentSomewhere && found.some((m) => m.state === 'silent' && m.socket === socketPath(directory, mountPoint)),
    );
    if (!silent) found.push({ state: 'dead', mountPoint });
  }
  return found;
}

/** The one mount at a place. @returns undefined when there is none */
export async function findMountAt(directories: readonly string[], mountPoint: string): Promise<FoundMount | undefined> {
  for (const directory of directories) {
    const found = await ask(socketPath(directory, mountPoint));
    if (found !== undefined) return found;
  }
  const listed = ourMounts(readMountTable()).some((entry) => entry.mountPoint === mountPoint);
  return listed ? { state: 'dead', mountPoint } : undefined;
}

async function ask(socket: string): Promise<FoundMount | undefined> {
  try {
    const status = await requestStatus(socket);
    return { state: 'alive', mountPoint: status.mountPoint, socket, status };
  } catch (error) {
    if (error instanceof NobodyListens) {
      if (error.stale) removeStale(socket);
      return undefined;
    }
    if (error instanceof FilestoreError) return { state: 'silent', socket, reason: error.message };
    throw error;
  }
}

/** A daemon that was killed left it. Somebody else may remove it first, or it may not be ours to remove: both are fine. */
function removeStale(socket: string): void {
  try {
    unlinkSync(socket);
  } catch (error) {
    if (!['not-found', 'forbidden', 'not-permitted', 'read-only'].includes(kindOf(error))) throw error;
  }
}

function socketsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter(isSocketName)
      .map((name) => `${directory}/${name}`);
  } catch (error) {
    if (['not-found', 'forbidden', 'not-permitted'].includes(kindOf(error))) return [];
    throw new FilestoreError('unavailable', `control directory ${directory}: ${messageOf(error)}`, { cause: error });
  }
}
