/** Sealed files whose bytes stand in the write-ahead log too: making them durable where they belong, and bringing back what a power cut took. */
import { closeSync, constants, existsSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { forEachAtOnce } from '../base/at-once.js';
import { digestFile, type FileDigest } from '../base/file-digest.js';
import { FilestoreError, kindOf } from '../base/errors.js';
import { isOf } from './ahead-entry.js';
import type { AheadCopy } from './ahead-segment.js';
import { FILE_MODE, fsyncFile, readAllSync, writeAllSync } from './disk-calls.js';
import type { SealEntry } from './records.js';
import type { SpoolLayout } from './spool-layout.js';

/** Fsyncs at once: the threads that do them serve reads, too. */
const AT_ONCE = 2;

/**
 * fsync of those files that are still there; what was published meanwhile is gone or the cache's. A file whose fsync failed is
 * written anew from its copy: a second fsync would succeed without the pages that the first one lost.
 * @throws what the disk says
 */
export async function syncCopies(layout: SpoolLayout, copies: readonly AheadCopy[]): Promise<void> {
  await forEachAtOnce(copies, AT_ONCE, (copy) => syncCopy(layout, copy));
}

async function syncCopy(layout: SpoolLayout, { seal, fd, position }: AheadCopy): Promise<void> {
  const path = join(layout.sealed, seal.file);
  try {
    await syncFile(path);
  } catch (error) {
    if (kindOf(error) === 'not-found') return;
    const bytes = Buffer.allocUnsafe(seal.sizeBytes);
    readAllSync(fd, bytes, position);
    if (!isOf(bytes, seal.sha1))
      throw new FilestoreError('corrupt', `${path} cannot be written anew: its copy in the write-ahead log is damaged`, { cause: error });
    // Published meanwhile: it stays away.
    if (existsSync(path)) writeSealed(layout, seal, bytes);
  }
}

/**
 * At a start: the file is durable, and what its seal says, after this.
 * @param bytes its copy; undefined where that is torn
 * @returns what was to be done; `bad`: neither the file nor the copy is what the seal says
 * @throws what the disk says
 */
export async function restoreSealed(layout: SpoolLayout, seal: SealEntry, bytes: Buffer | undefined): Promise<'good' | 'restored' | 'bad'> {
  const path = join(layout.sealed, seal.file);
  if ((await sealedDigest(path, seal)) !== undefined) {
    await syncFile(path);
    return 'good';
  }
  if (bytes === undefined) return 'bad';
  writeSealed(layout, seal, bytes);
  return 'restored';
}

/** @returns undefined when the file has not the bytes of the seal */
export async function sealedDigest(path: string, seal: SealEntry): Promise<FileDigest | undefined> {
  if (!existsSync(path)) return undefined;
  const digest = await digestFile(path);
  return digest.sha1 === seal.sha1 ? digest : undefined;
}

async function syncFile(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await fsyncFile(fd);
  } finally {
    closeSync(fd);
  }
}

/** Durable but for its name: the directory is for the caller. @param bytes verified */
function writeSealed(layout: SpoolLayout, seal: SealEntry, bytes: Buffer): void {
  const path = join(layout.sealed, seal.file);
  const { O_CREAT, O_TRUNC, O_WRONLY } = constants;
  const draft = join(layout.staging, `again-${basename(path)}`);
  const fd = openSync(draft, O_WRONLY | O_CREAT | O_TRUNC, FILE_MODE);
  try {
    writeAllSync(fd, bytes, 0);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
}
