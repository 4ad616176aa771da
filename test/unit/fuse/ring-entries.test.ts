/** What the native ring does while the kernel takes no commands for want of memory; its C is compiled with a kernel of the test's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCProgram } from './c-program.js';

test('Replies that the kernel does not take at once all reach it, each once and in their order.', () => {
  const [registered, replied] = runCProgram('ring-entries').split('\n');
  const COUNT = 600;
  assert.equal(registered, 'r1:2 '.repeat(COUNT));
  assert.equal(replied, Array.from({ length: COUNT }, (_, i) => `${i} `).join(''));
});
