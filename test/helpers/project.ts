/** Where the project lies, for tests that run its scripts: they are compiled into a folder of their own, so it is looked for upwards. */
import fs from 'node:fs';
import path from 'node:path';

function findUpwards(start: string): string | undefined {
  for (let directory = start; ; directory = path.dirname(directory)) {
    if (fs.existsSync(path.join(directory, 'scripts/lab/swift-up'))) return directory;
    if (directory === path.dirname(directory)) return undefined;
  }
}

function locate(): string {
  const found = findUpwards(process.cwd()) ?? findUpwards(import.meta.dirname);
  if (found === undefined) throw new Error('the project is not found: run the tests from its directory');
  return found;
}

export const projectRoot = locate();
/** The compiled program next to the compiled tests. */
export const cliPath = path.resolve(import.meta.dirname, '../../src/cli/odoo-swiftfs.cjs');
