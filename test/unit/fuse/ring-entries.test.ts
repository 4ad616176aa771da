/** What the native ring does while the kernel takes no commands for want of memory; its C is compiled with a kernel of the test's own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, test } from 'node:test';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const directory = tempDir('ring-entries');
after(() => removeDir(directory));

test('Replies that the kernel does not take at once all reach it, each once and in their order.', () => {
  const program = path.join(directory, 'ring-entries');
  const source = path.join(projectRoot, 'test', 'unit', 'fuse', 'ring-entries.c');
  execFileSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  const [registered, replied] = execFileSync(program, { encoding: 'utf8' }).split('\n');
  const COUNT = 600;
  assert.equal(registered, 'r1:2 '.repeat(COUNT));
  assert.equal(replied, Array.from({ length: COUNT }, (_, i) => `${i} `).join(''));
});
