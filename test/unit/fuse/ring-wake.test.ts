/** When a request wakes the thread that serves the ring: its C is compiled, and asks the real kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, test } from 'node:test';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const directory = tempDir('ring-wake');
after(() => removeDir(directory));

test('A request wakes who sleeps, not who looks, and what came meanwhile wakes at the end of the look; a released ring lets go of the device.', () => {
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
    'some of many taken: pending 1, wakes 0',
    'unmuted: pending 1, wakes 1',
    'entered, and not taken: pending 1, wakes 1',
    'device held: 1',
    'released, device held: 0',
  ]);
});
