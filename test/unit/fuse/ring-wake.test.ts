/** When a request wakes the thread that serves the ring: its C is compiled, and asks the real kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, test } from 'node:test';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const directory = tempDir('ring-wake');
after(() => removeDir(directory));

test('A request wakes the thread that sleeps, not the one that looks, and who looked no longer is woken by what had come meanwhile.', () => {
  const program = path.join(directory, 'ring-wake');
  const source = path.join(projectRoot, 'test', 'unit', 'fuse', 'ring-wake.c');
  execFileSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  assert.deepEqual(execFileSync(program, { encoding: 'utf8' }).trim().split('\n'), [
    'asked: pending 0, wakes 0',
    'come: pending 1, wakes 1',
    'muted: pending 1, wakes 0',
    'come while muted: pending 1, wakes 0',
    'unmuted: pending 1, wakes 1',
    'taken: pending 0, wakes 0',
  ]);
});
