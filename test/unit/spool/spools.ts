/** What tests of the spool share. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../../src/base/log.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { openSpool } from '../../../src/spool/open-spool.js';
import type { Pending, Spool, SpoolState } from '../../../src/spool/spool.js';
import type { Blob } from '../../helpers/blobs.js';

export const MTIME_MS = 1_700_000_000_000;

export function open(directory: string, log: Log = SILENT_LOG): Promise<Spool> {
  mkdirSync(directory, { recursive: true });
  return openSpool({ directory, database: 'prod', log });
}

export function rootOf(directory: string): string {
  return join(directory, 'v1', 'prod');
}

/** Writes and seals a blob under its own name, or another path. */
export async function sealBlob(spool: Spool, blob: Blob, path = blob.name): Promise<Pending> {
  const staging = spool.createStaging();
  try {
    staging.write(0, blob.content);
    return await spool.seal(staging, path, await staging.digest(), MTIME_MS);
  } finally {
    await staging.discard();
  }
}

/** The state as plain values, in an order that does not depend on its history. */
export function stateOf(state: SpoolState): unknown {
  const sorted = <T>(entries: ReadonlyMap<string, T>): [string, T][] => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    pending: sorted(state.pending),
    tombstones: sorted(state.tombstones),
    directories: sorted(state.directories),
    aliases: sorted(state.aliases),
  };
}
