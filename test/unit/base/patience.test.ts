import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Patience } from '../../../src/base/patience.js';

const CALLER = new AbortController().signal;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('a wait without progress ends at its limit, and one with progress goes on until that ends', async () => {
  let received = 0;
  const [plain, moving] = [new Patience(CALLER, 200), new Patience(CALLER, 200, () => received)];
  for (let turns = 0; turns < 40; turns++) {
    await pause(10);
    received++;
  }
  assert.deepEqual([plain.isLate, moving.isLate], [true, false]);
  await pause(400);
  assert.deepEqual([moving.isLate, moving.signal.aborted], [true, true]);
});

it("a caller's signal ends a wait at once, and is no lateness", () => {
  const caller = new AbortController();
  const patience = new Patience(caller.signal, 60_000, () => 0);
  caller.abort();
  assert.deepEqual([patience.isLate, patience.signal.aborted], [false, true]);
  patience.end();
});
