/** When the addon keeps the processors awake; its C is compiled with a file in the device's place. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { runCProgram } from './c-program.js';

const directory = tempDir('awake');
after(() => removeDir(directory));

test('The processors are kept awake from a tick with many requests to one with few, and nothing ticks without requests.', () => {
  const file = path.join(directory, 'latency');
  writeFileSync(file, '');
  const ticks = runCProgram('awake', [file, '1', '0', '100', '8', '7', '0']);
  assert.equal(ticks, 'ticks rests ticks ticks ticks rests ');
  const written = readFileSync(file);
  assert.deepEqual([written.length, written.readInt32LE(0), written.readInt32LE(4)], [8, 0, 2_000_000_000]);
});
