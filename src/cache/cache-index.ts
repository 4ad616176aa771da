/**
 * Finds out at start what an earlier life left: from the index that a clean stop saved (in order of use), else by walking the folder (in
 * order of access or change). Either runs in the background. The index is taken away when it is read, so that a life that ends without
 * saving leaves none that is old.
 */
import { createReadStream } from 'node:fs';
import { lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { kindOf } from '../base/errors.js';
import { FILE_MODE, isCacheKey } from './cache-layout.js';
import type { CacheLayout } from './cache-layout.js';
import type { CacheKey } from './cache.js';

const HEADER = 'odoo-swiftfs cache index 1';
const LAST_LINE = 'end';
/** Files looked at side by side. */
const SCAN_BATCH = 64;
const SAVE_SLICE_LENGTH = 256 * 1024;

type IndexEntry = readonly [CacheKey, number];

/**
 * @param isOurs whether the folder is ours: the index of another daemon is not to be taken away
 * @returns keys and sizes, least recently used first; undefined when the signal ended the walk. @throws what the disk says
 */
export async function findEntries(layout: CacheLayout, signal: AbortSignal, isOurs: boolean): Promise<readonly IndexEntry[] | undefined> {
  return (isOurs ? await readIndex(layout) : undefined) ?? (await scan(layout, signal));
}

/** @param entries least recently used first. @throws what the disk says */
export async function saveIndex(layout: CacheLayout, entries: Iterable<IndexEntry>): Promise<void> {
  const path = join(layout.temporary, 'index');
  const handle = await open(path, 'w', FILE_MODE);
  try {
    let slice = `${HEADER}\n`;
    for (const [key, sizeBytes] of entries) {
      slice += `${key} ${sizeBytes}\n`;
      if (slice.length < SAVE_SLICE_LENGTH) continue;
      await handle.write(slice);
      slice = '';
    }
    await handle.write(`${slice}${LAST_LINE}\n`);
  } finally {
    await handle.close();
  }
  await rename(path, layout.index);
}

/** @returns undefined when there is none, or not a whole one */
async function readIndex(layout: CacheLayout): Promise<readonly IndexEntry[] | undefined> {
  const taken = join(layout.temporary, 'index-taken');
  try {
    await rename(layout.index, taken);
  } catch {
    return undefined;
  }
  const entries: IndexEntry[] = [];
  let first: string | undefined;
  let last = '';
  for await (const line of createInterface({ input: createReadStream(taken, 'latin1'), crlfDelay: Infinity })) {
    first ??= line;
    last = line;
    const space = line.indexOf(' ');
    const key = line.slice(0, space);
    const sizeBytes = Number(line.slice(space + 1));
    if (isCacheKey(key) && Number.isSafeInteger(sizeBytes)) entries.push([key, sizeBytes]);
  }
  await unlink(taken);
  return first === HEADER && last === LAST_LINE ? entries : undefined;
}

async function scan(layout: CacheLayout, signal: AbortSignal): Promise<readonly IndexEntry[] | undefined> {
  const found: { entry: IndexEntry; usedAtMs: number }[] = [];
  for (const directory of await namesIn(layout.root)) {
    if (!/^[0-9a-f]{2}$/.test(directory)) continue;
    const names = (await readdir(join(layout.root, directory))).filter(isCacheKey);
    for (let at = 0; at < names.length; at += SCAN_BATCH) {
      if (signal.aborted) return undefined;
      const batch = names.slice(at, at + SCAN_BATCH).map(async (key) => {
        const stats = await lstat(join(layout.root, directory, key)).catch(() => undefined);
        if (stats?.isFile() === true) found.push({ entry: [key, stats.size], usedAtMs: Math.max(stats.atimeMs, stats.mtimeMs) });
      });
      await Promise.all(batch);
    }
  }
  return found.sort((a, b) => a.usedAtMs - b.usedAtMs).map(({ entry }) => entry);
}

/** A folder that could not be made yet has none. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (kindOf(error) === 'not-found') return [];
    throw error;
  }
}
