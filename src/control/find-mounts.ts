/** Which mounts there are: those whose daemons answer, and dead ones that the kernel still lists. */
import { readdirSync, unlinkSync } from 'node:fs';
import { FilestoreError, kindOf, messageOf } from '../base/errors.js';
import { abortAndDetach, type MountEntry } from '../base/mount-info.js';
import type { MountStatus } from '../filestore/mount-status.js';
import { NobodyListens, requestStatus } from './control-client.js';
import { ourMounts, readMountTable } from './mount-table.js';
import { probeMount, type MountState } from './probe-mount.js';
import { listenerAt } from './socket-listener.js';
import { isSocketName, socketPath } from './socket-path.js';

export type FoundMount =
  | { readonly state: 'alive'; readonly mountPoint: string; readonly socket: string; readonly status: MountStatus }
  /** Somebody serves it, or a daemon is there; it does not tell, or not to this user. */
  | { readonly state: 'silent'; readonly mountPoint: string | undefined; readonly reason: string }
  /** The kernel lists the mount, and no daemon serves it: every access to it fails with ENOTCONN. */
  | { readonly state: 'dead'; readonly mountPoint: string };

const ELSE = 'run this as the user who mounted, or as root';

/**
 * @param directories where control sockets may be, own one first
 * @param probe asks a mount whose daemon cannot be asked
 */
export async function findMounts(
  directories: readonly string[],
  table: readonly MountEntry[] = readMountTable(),
  probe: (mountPoint: string) => Promise<MountState> = probeMount,
): Promise<readonly FoundMount[]> {
  const listed = [...new Set(ourMounts(table).map((entry) => entry.mountPoint))];
  const placeOf = new Map(listed.flatMap((mountPoint) => directories.map((directory) => [socketPath(directory, mountPoint), mountPoint])));
  const sockets = directories.flatMap((directory) => socketsIn(directory));
  const asked = await Promise.all(sockets.map((socket) => ask(socket, placeOf.get(socket))));
  const found = asked.filter((mount) => mount !== undefined);
  const known = new Set(found.map((mount) => mount.mountPoint));
  const others = await Promise.all(listed.filter((mountPoint) => !known.has(mountPoint)).map((mountPoint) => unasked(mountPoint, probe)));
  return [...found, ...others];
}

/** The one mount at a place. @returns undefined when there is none */
export async function findMountAt(directories: readonly string[], mountPoint: string): Promise<FoundMount | undefined> {
  for (const directory of directories) {
    const found = await ask(socketPath(directory, mountPoint), mountPoint);
    if (found !== undefined) return found;
  }
  const isListed = ourMounts(readMountTable()).some((entry) => entry.mountPoint === mountPoint);
  return isListed ? unasked(mountPoint, probeMount) : undefined;
}

/** A mount that the kernel lists and no daemon tells of: it may be dead, or another user's. */
async function unasked(mountPoint: string, probe: (mountPoint: string) => Promise<MountState>): Promise<FoundMount> {
  const state = await probe(mountPoint);
  switch (state) {
    case 'dead':
      return { state, mountPoint };
    case 'serves':
      return {
        state: 'silent',
        mountPoint,
        reason: `it is served, and is a bind mount of another, or this user may not ask its daemon; ${ELSE}`,
      };
    case 'closed':
      return { state: 'silent', mountPoint, reason: `this user may neither enter it nor ask its daemon; ${ELSE}` };
    case 'silent':
      return {
        state,
        mountPoint,
        reason: `it does not answer, and its daemon cannot be asked; if it hangs, end it and run as root: ${abortAndDetach(mountPoint)}`,
      };
  }
}

/** @returns undefined when nobody listens there, or nobody that this user may ask (a directory that is closed says nothing of its sockets) */
async function ask(socket: string, mountPoint: string | undefined): Promise<FoundMount | undefined> {
  try {
    const status = await requestStatus(socket);
    return { state: 'alive', mountPoint: status.mountPoint, socket, status };
  } catch (error) {
    if (error instanceof NobodyListens) {
      if (error.stale) removeStale(socket);
      return undefined;
    }
    if (!(error instanceof FilestoreError)) throw error;
    if (error.kind === 'not-permitted') return undefined;
    return { state: 'silent', mountPoint, reason: `${error.message}${remedyFor(socket, mountPoint ?? 'MOUNTPOINT')}` };
  }
}

/** For a daemon that hangs. */
function remedyFor(socket: string, mountPoint: string): string {
  const pid = listenerAt(socket);
  const who = pid === undefined ? '' : ` (pid ${pid})`;
  const kill = pid === undefined ? 'end it' : `kill -9 ${pid}`;
  return `${who}; if it hangs: ${kill}, then run ${abortAndDetach(mountPoint)}; what is pending stays in its spool for the next start`;
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
