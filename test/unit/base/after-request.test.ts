import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { afterRequest } from '../../../src/base/after-request.js';

test('The work begins behind what the same turn of the loop still has to send, also when that is begun later in it.', async () => {
  const order: string[] = [];
  afterRequest(() => order.push('work'));
  await Promise.resolve();
  // As undici's look at an idle connection.
  setImmediate(() => order.push('sent'));
  await turn();
  await turn();
  assert.deepEqual(order, ['sent', 'work']);
});

test('Work that is not wanted any more does not begin.', async () => {
  for (const turns of [0, 1]) {
    const end = afterRequest(() => assert.fail());
    for (let i = 0; i < turns; i++) await turn();
    end();
  }
  for (let i = 0; i < 3; i++) await turn();
});
