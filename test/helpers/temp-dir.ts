/** Directories of a test: under the system's temporary directory, gone when the test file's process ends, however it ends by itself. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ours = new Set<string>();
let exitHook = false;

/** A new directory; the caller may remove it with {@link removeDir}, the exit of the process does so otherwise. */
export function tempDir(purpose: string): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), `odoo-swiftfs-${purpose}-`));
  ours.add(directory);
  if (!exitHook) {
    exitHook = true;
    process.once('exit', () => {
      for (const left of ours) removeDir(left);
    });
  }
  return directory;
}

/** Removes a directory of {@link tempDir} with what is in it; never what is mounted in it. */
export function removeDir(directory: string): void {
  ours.delete(directory);
  const mounts = fs.readFileSync('/proc/mounts', 'latin1');
  if (mounts.split('\n').some((line) => (line.split(' ')[1] ?? '').startsWith(directory))) return;
  fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}
