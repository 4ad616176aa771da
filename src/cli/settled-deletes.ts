/**
 * Deletes that a mount of this machine still owes to Swift: their files are not in the trash yet, and are in the container, but not for long. Mounts
 * of other machines, or of users that this one may not ask, are not seen.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { steadyNowMs } from '../base/clock.js';
import { thisHost } from '../config/host.js';
import { findMounts } from '../control/find-mounts.js';
import { controlDirectories } from '../control/socket-path.js';

const ASK_EVERY_MS = 200;
/** They wait for Swift, or for `gc_grace`, when none of them was told for so long. */
const STUCK_MS = 3_000;

/** Waits as long as they get fewer. @returns how many are left */
export async function settledDeletes(container: string): Promise<number> {
  let [fewest, sinceMs] = [Infinity, steadyNowMs()];
  for (;;) {
    const left = await owedIn(container);
    if (left < fewest) [fewest, sinceMs] = [left, steadyNowMs()];
    if (left === 0 || steadyNowMs() - sinceMs >= STUCK_MS) return left;
    await sleep(ASK_EVERY_MS);
  }
}

async function owedIn(container: string): Promise<number> {
  const found = await findMounts(controlDirectories(thisHost()));
  const databases = found.flatMap((mount) => (mount.state === 'alive' ? mount.status.databases : []));
  return databases.reduce((sum, database) => sum + (database.container === container ? database.pendingDeletes : 0), 0);
}
