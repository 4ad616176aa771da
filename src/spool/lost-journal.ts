/**
 * A journal that is gone, or has not one whole record, while the write-ahead log or sealed files are there: somebody removed it, or the disk lost it. What was
 * acknowledged may stand nowhere else than in the log, so it is not taken for that of an emptied spool.
 *
 * Only the newest records are known then, and those that came between and after them are not. So what can do no harm comes back, and nothing else: a blob is what
 * its name says, and to store it once more changes nothing. So each sealed file is taken for the blob that its bytes are, where no record says what it is,
 * and also where one does: an upload may have got its name since. A file that is not content-named may have been overwritten since; it is kept under `torn/`
 * as well. A tombstone may have ended, and its DELETE would destroy what was written anew; without it something deleted comes back, which is garbage.
 */
import { closeSync, openSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { digestFile, type FileDigest } from '../base/file-digest.js';
import type { Log } from '../base/log.js';
import { blobPathOf, contentSha1, displayName } from '../base/names.js';
import type { FoundEntry } from './ahead-entry.js';
import { fsyncDirectory, fsyncFile } from './disk-calls.js';
import { JOURNAL_VERSION, type SpoolRecord } from './records.js';
import { highestOf } from './recover-ahead.js';
import { restoreSealed } from './sealed-copies.js';
import type { Pending } from './spool.js';
import type { SpoolLayout } from './spool-layout.js';
import { RecordedState } from './spool-state.js';

/** Whether a spool without a record in its journal is one that lost them. */
export async function isLost(layout: SpoolLayout, ahead: readonly FoundEntry[]): Promise<boolean> {
  return ahead.length > 0 || (await readdir(layout.sealed)).length > 0;
}

interface Salvage {
  readonly records: readonly SpoolRecord[];
  /** What is not to be pending again under its path: its bytes are to be kept. */
  readonly others: readonly Pending[];
}

/** @param records what the write-ahead log has, in the order in which it came to be */
export function salvage(layout: SpoolLayout, records: readonly SpoolRecord[], ahead: readonly FoundEntry[]): Salvage {
  const state = new RecordedState(layout.sealed);
  for (const record of records) state.apply(record);
  const pending = [...state.pending.values()];
  const isBlob = ({ path, sha1 }: Pending): boolean => contentSha1(path) === sha1;
  const others = pending.filter((object) => !isBlob(object));
  const known = new Set(state.pending.keys());
  const asBlobs = others.map((object) => ({ ...object, path: blobPathOf(object.sha1) })).filter(({ path }) => !known.has(path));
  // A start that finds the new journal and the log still there takes nothing more from it.
  const sequence = highestOf([...records, ...ahead.map(({ seal }) => seal)]);
  return {
    records: [
      { type: 'start', sequence, version: JOURNAL_VERSION },
      ...[...pending.filter(isBlob), ...asBlobs].map((blob) => ({ type: 'seal' as const, ...blob, file: basename(blob.file) })),
    ],
    others,
  };
}

/**
 * A sealed file that no record names: the blob that its bytes are is pending.
 * @returns false when its bytes are not what was sealed, or that blob is pending already
 */
export async function takeForBlob(state: RecordedState, file: string, nowMs: number): Promise<boolean> {
  const sha1 = /-([0-9a-f]{40})$/.exec(file)?.[1];
  if (sha1 === undefined) return false;
  const path = blobPathOf(sha1);
  if (state.pending.has(path)) return false;
  const fd = openSync(file, 'r');
  let digest: FileDigest;
  try {
    digest = await digestFile(file, fd);
    if (digest.sha1 !== sha1) return false;
    await fsyncFile(fd);
  } finally {
    closeSync(fd);
  }
  const { md5, sizeBytes } = digest;
  state.apply({
    type: 'seal',
    sequence: state.nextSequence(),
    path,
    file: basename(file),
    sizeBytes,
    sha1,
    md5,
    mtimeMs: nowMs,
    sealedAtMs: nowMs,
  });
  return true;
}

/**
 * Durable when it returns. What lay under `sealed/` has been moved to `torn/`, and may be what a power cut left of a file that was never synced, as may what
 * an earlier start wrote there: it counts only when it is what its seal says.
 * @throws what the disk says: then the log is still needed
 */
export async function keepOthers(layout: SpoolLayout, others: readonly Pending[], ahead: readonly FoundEntry[], log: Log): Promise<void> {
  const copies = new Map(ahead.map((entry) => [entry.seal.file, entry]));
  for (const { path, file } of others) {
    const copy = copies.get(basename(file));
    if (copy !== undefined) await restoreSealed({ ...layout, sealed: layout.torn }, copy.seal, copy.bytes);
    log.warn('spool.sealed-unnamed', {
      path: displayName(path),
      file: join(layout.torn, basename(file)),
      remedy: 'the journal is gone, so nobody knows whether something newer was stored under that path: compare it with what Swift has',
    });
  }
  await fsyncDirectory(layout.torn);
}

export function tellLost(layout: SpoolLayout, pending: number, log: Log): void {
  log.warn('spool.journal-lost', {
    journal: layout.journal,
    pendingAgain: pending,
    meaning:
      'what was deleted right before may be there again; what was acknowledged is pending as the blob that its bytes are, and what may be no blob is kept in torn/ too',
    remedy: 'bring the journal back from a copy if there is one, before anything is written; else look through torn/, and check the disk',
  });
}
