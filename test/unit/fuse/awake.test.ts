/** When the addon keeps the processors awake; its C is compiled with a file in the device's place. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const directory = tempDir('awake');
after(() => removeDir(directory));

test('The processors are kept awake from a tick with many requests to one with few, and nothing ticks without requests.', () => {
  const program = path.join(directory, 'awake');
  const file = path.join(directory, 'latency');
  writeFileSync(file, '');
  execFileSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', program, path.join(projectRoot, 'test/unit/fuse/awake.c')]);
  const ticks = execFileSync(program, [file, '1', '0', '100', '8', '7', '0'], { encoding: 'utf8' });
  assert.equal(ticks, 'ticks rests ticks ticks ticks rests ');
  const written = readFileSync(file);
  assert.deepEqual([written.length, written.readInt32LE(0), written.readInt32LE(4)], [8, 0, 2_000_000_000]);
});
