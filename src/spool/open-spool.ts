/**
 * Opens a spool: makes its directories, replays its journal and tidies up what a crash left.
 *
 * INVARIANT: bytes that may have been acknowledged are never removed here. A sealed file that no record names is removed only when the
 * journal was whole; otherwise it is pending as a blob (lost-journal.ts), or kept under `torn/`.
 */
import { closeSync, constants, fsyncSync, openSync, renameSync } from 'node:fs';
import { copyFile, readdir, readFile, rename, stat, truncate, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { kindOf } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import { diskError, FILE_MODE, fsyncDirectorySync, writeAllSync } from './disk-calls.js';
import { DiskSpool } from './disk-spool.js';
import { Journal } from './journal.js';
import { isLost as isJournalLost, keepOthers, salvage, takeForBlob, tellLost } from './lost-journal.js';
import type { SpoolRecord } from './records.js';
import { mergeAhead, readAhead, removeAhead, restorePending } from './recover-ahead.js';
import type { Replay } from './replay.js';
import { replayJournal } from './replay.js';
import type { Spool } from './spool.js';
import type { SpoolLayout } from './spool-layout.js';
import { makeLayout, spoolLayout } from './spool-layout.js';
import { RecordedState } from './spool-state.js';
import { TornFiles } from './torn-files.js';
import { AHEAD_SEGMENT_BYTES } from './write-ahead.js';

interface SpoolOptions {
  /** `spool_dir`. */
  readonly directory: string;
  /** Byte string. */
  readonly database: string;
  readonly log: Log;
  /** What deletes and closes are dated by; default the machine's clock. */
  readonly nowMs?: () => number;
  /** Of each of the two segments of the write-ahead log; a file of more than a sixteenth goes without it. */
  readonly segmentBytes?: number;
}

/** @throws FilestoreError no-space, unavailable, unsupported (a journal of a newer version); names the path and the remedy */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const layout = spoolLayout(options.directory, options.database);
  const nowMs = options.nowMs ?? Date.now;
  try {
    makeLayout(layout);
    const { records, replay } = await readJournal(layout, options.log, nowMs);
    const ahead = await readAhead(layout);
    const merged = await mergeAhead(layout, records, ahead);
    const salvaged = records.length === 0 && (await isJournalLost(layout, ahead)) ? salvage(layout, merged.records, ahead) : undefined;
    const state = new RecordedState(layout.sealed);
    for (const record of salvaged?.records ?? merged.records) state.apply(record);
    if (merged.news > 0) options.log.info('spool.ahead-replayed', { directory: layout.root, records: merged.news });
    // Each journal begins with it: one that does not has lost its beginning.
    const isWhole = records[0]?.type === 'start' && replay?.damagedLines === 0 && replay.tornTailBytes === 0;
    const highestFile = await tidy(layout, state, { isWhole, isLost: salvaged !== undefined }, options.log, nowMs());
    await restorePending(layout, state.pending.values(), ahead, options.log);
    if (salvaged !== undefined) {
      await keepOthers(layout, salvaged.others, ahead, options.log);
      tellLost(layout, state.pending.size, options.log);
    }
    const fd = openJournal(layout, replay, state);
    const sizeBytes = await stat(layout.journal).then(
      ({ size }) => size,
      (error: unknown) => {
        closeSync(fd);
        throw error;
      },
    );
    const journal = new Journal({
      path: layout.journal,
      fd,
      sizeBytes,
      records: replay === undefined || replay.records === 0 ? state.aliveRecords + 1 : replay.records,
      snapshot: () => state.snapshot(),
      log: options.log,
    });
    const spool = new DiskSpool({
      layout,
      state,
      journal,
      torn: new TornFiles(layout.torn, options.log),
      segmentBytes: options.segmentBytes ?? AHEAD_SEGMENT_BYTES,
      firstFileNumber: highestFile,
      log: options.log,
      nowMs,
    });
    try {
      await releaseMissing(spool, layout, options.log);
      if (merged.news > 0 || (replay !== undefined && replay.damagedLines > 0)) await journal.compact();
      else if (ahead.length > 0) await journal.sync();
    } catch (error) {
      await spool.close().catch(() => undefined);
      throw error;
    }
    await removeAhead(layout);
    return spool;
  } catch (error) {
    throw diskError(error, `cannot open the spool ${layout.root}`);
  }
}

/** Reads what opening reads, for who may not wait for a disk that hangs; whether it can be read, opening says. Never rejects. */
export async function readSpoolBeforehand({ journal, ahead }: SpoolLayout): Promise<void> {
  for (const file of [journal, ...ahead]) await readFile(file).catch(() => undefined);
}

async function readJournal(
  layout: SpoolLayout,
  log: Log,
  nowMs: () => number,
): Promise<{ records: SpoolRecord[]; replay: Replay | undefined }> {
  const records: SpoolRecord[] = [];
  let content: Buffer;
  try {
    content = await readFile(layout.journal);
  } catch (error) {
    if (kindOf(error) === 'not-found') return { records, replay: undefined };
    throw error;
  }
  const replay = replayJournal(content, (record) => records.push(record));
  if (replay.damagedLines > 0 || (replay.records === 0 && content.includes('\n'))) {
    await keepDamaged(layout.journal, content, replay, log, nowMs);
  }
  if (replay.tornTailBytes > 0) {
    await truncate(layout.journal, replay.wholeBytes);
    log.info('spool.journal-tail-cut', { journal: layout.journal, bytes: replay.tornTailBytes });
  }
  return { records, replay };
}

/** Kept and told once: a database that gets no further, and is tried again and again, is not to fill the disk with copies. */
async function keepDamaged(journal: string, content: Buffer, replay: Replay, log: Log, nowMs: () => number): Promise<void> {
  const start = `${journal}.damaged-`;
  for (const name of await readdir(dirname(journal))) {
    const copy = join(dirname(journal), name);
    if (copy.startsWith(start) && content.equals(await readFile(copy).catch(() => Buffer.alloc(0)))) return;
  }
  const kept = `${start}${nowMs()}`;
  await copyFile(journal, kept);
  log.warn('spool.journal-damaged', {
    journal,
    lines: replay.damagedLines || 'all',
    kept,
    remedy: 'the other records count; check the disk, and torn/ for files that lost their record',
  });
}

/**
 * Where only some records are missing, a power cut may have taken them: what has none was not acknowledged then, or its file is one that was removed.
 * @returns the highest number in a file name under `sealed/` and `torn/`
 */
async function tidy(
  layout: SpoolLayout,
  state: RecordedState,
  { isWhole, isLost }: { readonly isWhole: boolean; readonly isLost: boolean },
  log: Log,
  nowMs: number,
): Promise<number> {
  for (const name of await readdir(layout.staging)) await unlink(join(layout.staging, name));
  await unlink(`${layout.journal}.new`).catch(() => undefined);
  const named = new Set([...state.pending.values()].map((pending) => pending.file));
  const sealed = await readdir(layout.sealed);
  const torn = await readdir(layout.torn);
  for (const name of sealed) {
    const file = join(layout.sealed, name);
    if (named.has(file)) continue;
    if (isWhole) {
      await unlink(file);
      continue;
    }
    if (isLost && (await takeForBlob(state, file, nowMs))) {
      log.warn('spool.sealed-taken', { file, meaning: 'no record names this file: it is pending as the blob that its bytes are' });
      continue;
    }
    const kept = join(layout.torn, name);
    await rename(file, kept);
    log.warn('spool.sealed-unnamed', {
      file: kept,
      remedy: 'no record names this file, and the journal was not whole; its name ends in its SHA-1: remove it if Swift has that blob',
    });
  }
  // Of what is pending, small files may be in the write-ahead log alone.
  return [...sealed, ...torn, ...[...named].map((file) => basename(file))].reduce(
    (highest, name) => Math.max(highest, parseInt(name, 10) || 0),
    0,
  );
}

/**
 * A power cut may lose the last record of a publish (synced within 100 ms) after the cache took the file over; then, or after damage, a
 * pending object has no bytes here any more and nothing can be published.
 */
async function releaseMissing(spool: Spool, layout: SpoolLayout, log: Log): Promise<void> {
  const there = new Set(await readdir(layout.sealed));
  for (const pending of [...spool.pending.values()]) {
    if (there.has(basename(pending.file))) continue;
    await spool.markPublished(pending, { keepFile: true });
    log.warn('spool.sealed-missing', {
      path: displayName(pending.path),
      file: pending.file,
      remedy: 'look whether Swift has it (after a power cut it should); else write it again',
    });
  }
}

/** A new one gets its name when it is whole: of half of it the next start would believe that there was no more. */
function openJournal(layout: SpoolLayout, replay: Replay | undefined, state: RecordedState): number {
  const { O_APPEND, O_CREAT, O_TRUNC, O_WRONLY } = constants;
  if (replay !== undefined && replay.records > 0) return openSync(layout.journal, O_WRONLY | O_APPEND, FILE_MODE);
  const draft = `${layout.journal}.new`;
  const fd = openSync(draft, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC, FILE_MODE);
  try {
    writeAllSync(fd, Buffer.from([...state.snapshot().lines].join(''), 'utf8'), null);
    fsyncSync(fd);
    renameSync(draft, layout.journal);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  for (const directory of [layout.root, dirname(layout.root), dirname(dirname(layout.root))]) fsyncDirectorySync(directory);
  return fd;
}
