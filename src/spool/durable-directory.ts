/** Directories whose names survive a power cut: what lies in one that is lost is lost with it, however well it was synced. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsyncDirectorySync } from './disk-calls.js';

/**
 * Makes a directory and those above it that are missing, durable when it returns; does nothing to one that is there.
 * @param mode permission bits of what is made
 * @throws what the disk says
 */
export function makeDurableDirectory(path: string, mode: number): void {
  const highest = mkdirSync(path, { recursive: true, mode });
  if (highest === undefined) return;
  for (let made = path; ; made = dirname(made)) {
    fsyncDirectorySync(dirname(made));
    if (made === highest || made === dirname(made)) return;
  }
}
