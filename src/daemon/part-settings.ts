/** From the one set of settings to what each part is told. Parts that need no secret get none. */
import { fromUtf8 } from '../base/names.js';
import type { Settings } from '../config/options.js';
import type { FilestoreSettings } from '../filestore/filestore-options.js';

export function filestoreSettings(settings: Settings): FilestoreSettings {
  return {
    database: settings.database === undefined ? undefined : fromUtf8(settings.database),
    containerPrefix: settings.containerPrefix,
    nodes: settings.nodes,
    writeMode: settings.writeMode,
    writeTimeoutMs: settings.writeTimeoutMs,
    lookupWaitMs: settings.lookupWaitMs,
    readTimeoutMs: settings.readTimeoutMs,
    negativeTtlMs: settings.negativeTtlMs,
    deleteBoundMs: settings.deleteBoundMs,
    gcGraceMs: settings.gcGraceMs,
    deleteRetentionMs: settings.deleteRetentionMs ?? 0,
    streamAboveBytes: settings.streamAboveBytes,
    maxPendingBytes: settings.maxPendingBytes,
    spoolFloorBytes: settings.spoolFloorBytes,
    fileMode: 0o666 & ~settings.umask,
    directoryMode: 0o777 & ~settings.umask,
    spoolDirectory: settings.spoolDirectory,
    acceptNewContainer: settings.acceptNewContainer,
  };
}

/** First column of the mount table: says at a glance what is mounted. */
export function mountSource(settings: Settings): string {
  const what = [settings.containerPrefix, settings.database].filter((part) => part !== undefined && part !== '');
  return `swift:${what.join('-').toLowerCase()}`;
}
