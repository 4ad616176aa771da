/** `status [MOUNTPOINT] [--json]`. Exit code 0: there is a mount (also a degraded one); 3: there is none. */
import { thisHost } from '../../config/host.js';
import { formatSize } from '../../config/units.js';
import { findMountAt, findMounts, type FoundMount } from '../../control/find-mounts.js';
import { controlDirectories } from '../../control/socket-path.js';
import type { DatabaseStatus, MountStatus } from '../../filestore/mount-status.js';
import { EXIT_NO_MOUNT } from '../exit-codes.js';
import { mountPointPath } from '../mount-point-path.js';
import { age, columns, count, print } from '../output.js';

export async function statusCommand(given: string | undefined, asJson: boolean): Promise<void> {
  const directories = controlDirectories(thisHost());
  const mountPoint = given === undefined ? undefined : mountPointPath(given);
  const found = mountPoint === undefined ? await findMounts(directories) : await findOne(directories, mountPoint);
  if (!found.some((mount) => mount.state === 'alive')) process.exitCode = EXIT_NO_MOUNT;
  if (asJson) return print(JSON.stringify(jsonOf(found, mountPoint), undefined, 2));
  if (found.length === 0) return print(mountPoint === undefined ? 'no mount' : `no mount at ${mountPoint}`);
  const nowMs = Date.now();
  print(found.map((mount) => describeMount(mount, nowMs)).join('\n\n'));
}

async function findOne(directories: readonly string[], mountPoint: string): Promise<readonly FoundMount[]> {
  const found = await findMountAt(directories, mountPoint);
  return found === undefined ? [] : [found];
}

/** With a mount point: its status, or `{ state: 'no mount' | 'dead' | 'silent' }`. Without: a list of those. */
function jsonOf(found: readonly FoundMount[], mountPoint: string | undefined): unknown {
  const each = found.map((mount) => (mount.state === 'alive' ? mount.status : mount));
  return mountPoint === undefined ? each : (each[0] ?? { state: 'no mount', mountPoint });
}

export function describeMount(mount: FoundMount, nowMs: number): string {
  switch (mount.state) {
    case 'dead':
      return `${mount.mountPoint}\n  dead: its daemon is gone and every access fails; start it again, which replaces it; only if it is to go for good, run: odoo-swiftfs unmount ${mount.mountPoint}`;
    case 'silent':
      return `${mount.mountPoint ?? 'a mount'}\n  ${mount.reason}`;
    case 'alive':
      return describeStatus(mount.status, nowMs);
  }
}

export function describeStatus(status: MountStatus, nowMs: number): string {
  const { cache } = status;
  const asked = cache.hits + cache.misses;
  const pending = status.databases.reduce((sum, database) => sum + database.pendingWrites, 0);
  const pendingBytes = status.databases.reduce((sum, database) => sum + database.pendingBytes, 0);
  const deletes = status.databases.reduce((sum, database) => sum + database.pendingDeletes, 0);
  const refused = status.databases.filter(({ state }) => state === 'refused').length;
  const oldest = status.databases.flatMap((database) => database.oldestPendingMs ?? []);
  const requests = Object.entries(status.requestsToSwift).map(([method, times]) => `${times} ${method}`);
  const rows = [
    ['state', status.state],
    ['safe to lose this machine', status.safeToLoseThisMachine ? 'yes' : 'no'],
    [
      'pending',
      pendingText(pending, pendingBytes, deletes, oldest.length === 0 ? undefined : nowMs - Math.min(...oldest)) + unknownText(refused),
    ],
    ['daemon', `pid ${status.pid}, up ${age(nowMs - status.startedAtMs)}, version ${status.version}`],
    ['driver', `${status.driver}${status.passthrough ? ', passthrough' : ''}`],
    [
      'cache',
      `${formatSize(cache.bytes)} of ${formatSize(cache.budgetBytes)}, ${count(cache.files, 'file')}, ${asked === 0 ? 'not asked yet' : `${Math.round((100 * cache.hits) / asked)} % hits`}${cache.quarantined > 0 ? `, ${cache.quarantined} in quarantine` : ''}`,
    ],
    ...(cache.problem === undefined ? [] : [['no cache', cache.problem]]),
    ['open files', String(status.openFiles)],
    ['requests to Swift', requests.length === 0 ? 'none' : requests.join(', ')],
    ['spool', status.spoolDirectory],
  ];
  const sections = [status.mountPoint, indented(columns(rows))];
  if (status.databases.length > 0)
    sections.push(
      indented(columns([['DATABASE', 'CONTAINER', 'STATE'], ...status.databases.map((database) => databaseRow(database, nowMs))])),
    );
  const errors = status.recentErrors.slice(-5).map((error) => `${age(nowMs - error.atMs)} ago: ${error.message}`);
  if (errors.length > 0) sections.push(indented(`last warnings and errors:\n${errors.map((line) => `  ${line}`).join('\n')}`));
  return sections.join('\n');
}

function pendingText(writes: number, bytes: number, deletes: number, oldestAgeMs: number | undefined): string {
  const parts = [writes === 0 ? 'no writes' : `${count(writes, 'write')} (${formatSize(bytes)})`];
  if (deletes > 0) parts.push(count(deletes, 'delete'));
  if (oldestAgeMs !== undefined) parts.push(`oldest ${age(oldestAgeMs)}`);
  return parts.join(', ');
}

function unknownText(refused: number): string {
  return refused === 0 ? '' : `; not known of ${count(refused, 'database')} that cannot be opened`;
}

function databaseRow(database: DatabaseStatus, nowMs: number): readonly string[] {
  const since = database.degradedSinceMs === undefined ? '' : ` for ${age(nowMs - database.degradedSinceMs)}`;
  const why = database.reason === undefined ? '' : `: ${database.reason}`;
  const torn =
    database.tornFiles === 0
      ? ''
      : `, ${count(database.tornFiles, 'torn file')} (${formatSize(database.tornBytes)}) set aside: look at them in ${database.tornDirectory ?? 'torn/'} and remove them`;
  return [database.database, database.container, `${database.state}${since}${why}${torn}`];
}

function indented(text: string): string {
  return text.replace(/^/gm, '  ');
}
