/** Settings of a filestore for tests, which say what matters to them. */
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';

export function filestoreSettings(spoolDirectory: string, changed: Partial<FilestoreSettings> = {}): FilestoreSettings {
  return {
    database: 'db',
    containerPrefix: 'odoo',
    nodes: 'one',
    writeMode: 'through',
    writeTimeoutMs: 10_000,
    lookupWaitMs: 2_000,
    readTimeoutMs: 5_000,
    negativeTtlMs: 0,
    deleteBoundMs: 0,
    gcGraceMs: 0,
    deleteRetentionMs: 0,
    streamAboveBytes: 1 << 30,
    maxPendingBytes: 1 << 30,
    spoolFloorBytes: 0,
    fileMode: 0o640,
    directoryMode: 0o750,
    spoolDirectory,
    acceptNewContainer: false,
    ...changed,
  };
}
