/** A C program beside these tests that takes in a part of the addon: compiled as strictly as can be, and run to its end. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

/** @param name of the source, without `.c`. @returns what it printed. @throws Error when it does not compile, or ends with another code than 0 */
export function runCProgram(name: string, args: readonly string[] = []): string {
  const directory = tempDir(name);
  try {
    const program = path.join(directory, name);
    const source = path.join(projectRoot, 'test', 'unit', 'fuse', `${name}.c`);
    execFileSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
    return execFileSync(program, args, { encoding: 'utf8' });
  } finally {
    removeDir(directory);
  }
}
