/**
 * What a start takes from the write-ahead log: records that the journal lost in a power cut, each in its place, and bytes that the sealed files lost.
 * It may run again and again: what the journal has is not taken twice, and what a rewritten journal left out is dead.
 */
import { readFile, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { kindOf } from '../base/errors.js';
import { BytesDigest } from '../base/file-digest.js';
import type { Log } from '../base/log.js';
import type { FoundEntry } from './ahead-entry.js';
import { decodeEntries } from './ahead-entry.js';
import { fsyncDirectory } from './disk-calls.js';
import type { SpoolRecord } from './records.js';
import { restoreSealed, sealedDigest } from './sealed-copies.js';
import type { Pending } from './spool.js';
import type { SpoolLayout } from './spool-layout.js';

/** @throws FilestoreError unsupported, for records of a newer version; what the disk says */
export async function readAhead(layout: SpoolLayout): Promise<FoundEntry[]> {
  const entries: FoundEntry[] = [];
  for (const path of layout.ahead) {
    try {
      entries.push(...decodeEntries(await readFile(path)));
    } catch (error) {
      if (kindOf(error) !== 'not-found') throw error;
    }
  }
  return entries;
}

/**
 * @param journal its records as they stand in it
 * @returns all records in the order in which they came to be, and how many of them only the write-ahead log had
 */
export async function mergeAhead(
  layout: SpoolLayout,
  journal: readonly SpoolRecord[],
  entries: readonly FoundEntry[],
): Promise<{ readonly records: readonly SpoolRecord[]; readonly news: number }> {
  const start = journal.find(({ type }) => type === 'start');
  // Up to here the journal was rewritten: what it does not have of that is over. Without its first line all that it has is taken for it.
  const settled = start?.sequence ?? highestOf(journal);
  const known = new Set(journal.map(({ sequence }) => sequence));
  // Each with the number of its last seal: after a start that found none, the names begin anew.
  const files = new Map<string, number>();
  for (const record of journal) if (record.type === 'seal') files.set(record.file, record.sequence);
  const news: SpoolRecord[] = [];
  for (const record of entries.flatMap(({ records }) => records)) {
    if (record.sequence <= settled || known.has(record.sequence)) continue;
    known.add(record.sequence);
    news.push(record);
    if (record.type === 'seal') files.set(record.file, Math.max(record.sequence, files.get(record.file) ?? 0));
  }
  // Not replayed at all: it would supersede what stands there.
  const takenBack = new Set([...journal, ...news].map((record) => (record.type === 'release' ? record.of : 0)));
  for (const { seal, bytes } of entries) {
    if (seal.sequence <= settled || (files.get(seal.file) ?? 0) > seal.sequence || takenBack.has(seal.sequence)) continue;
    const digest = bytes === undefined ? await sealedDigest(join(layout.sealed, seal.file), seal) : new BytesDigest(bytes);
    if (digest !== undefined) news.push({ ...seal, md5: digest.md5 });
  }
  if (news.length === 0) return { records: journal, news: 0 };
  const snapshot = journal.filter(({ sequence }) => sequence <= settled);
  const later = [...journal.filter(({ sequence }) => sequence > settled), ...news];
  return { records: [...snapshot, ...later.sort((a, b) => a.sequence - b.sequence)], news: news.length };
}

/** Of so many that they are no arguments of one call. */
export function highestOf(records: readonly Pick<SpoolRecord, 'sequence'>[]): number {
  return records.reduce((highest, { sequence }) => Math.max(highest, sequence), 0);
}

/** Makes durable what pends and stands in the write-ahead log. @throws what the disk says: then the log is still needed */
export async function restorePending(
  layout: SpoolLayout,
  pending: Iterable<Pending>,
  entries: readonly FoundEntry[],
  log: Log,
): Promise<void> {
  if (entries.length === 0) return;
  const copies = new Map(entries.map((entry) => [entry.seal.file, entry]));
  for (const { file } of pending) {
    const copy = copies.get(basename(file));
    if (copy === undefined) continue;
    if ((await restoreSealed(layout, copy.seal, copy.bytes)) === 'restored') log.info('spool.sealed-restored', { file });
  }
  await fsyncDirectory(layout.sealed);
}

/** All that it holds is durable elsewhere. */
export async function removeAhead(layout: SpoolLayout): Promise<void> {
  for (const path of layout.ahead) await unlink(path).catch(() => undefined);
}
