/** A status to print or to send, with what a test changes. */
import type { DatabaseStatus, MountStatus } from '../../../src/filestore/mount-status.js';

export function databaseStatus(changed: Partial<DatabaseStatus> = {}): DatabaseStatus {
  return {
    database: 'prod',
    container: 'odoo-prod',
    state: 'serving',
    reason: undefined,
    degradedSinceMs: undefined,
    isContainerLost: false,
    pendingWrites: 0,
    pendingBytes: 0,
    oldestPendingMs: undefined,
    pendingDeletes: 0,
    tornFiles: 0,
    tornBytes: 0,
    tornDirectory: undefined,
    knownNames: 12,
    ...changed,
  };
}

export function mountStatus(changed: Partial<MountStatus> = {}): MountStatus {
  return {
    version: '0.1.0',
    pid: 4711,
    mountPoint: '/mnt/filestore',
    startedAtMs: 0,
    driver: 'kernel (addon)',
    passthrough: false,
    readOnly: false,
    state: 'serving',
    safeToLoseThisMachine: true,
    databases: [databaseStatus()],
    cache: { files: 1, bytes: 1024, budgetBytes: 2 ** 30, hits: 3, misses: 1, quarantined: 0, problem: undefined },
    spoolDirectory: '/spool',
    cacheDirectory: '/cache',
    openFiles: 0,
    requestsToSwift: { GET: 2 },
    recentErrors: [],
    ...changed,
  };
}
