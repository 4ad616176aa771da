import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { steadyNowMs } from '../../../src/base/clock.js';

const HOUR_MS = 3_600_000;

test('a clock that is set back changes nothing, one that leaps forward, as after a suspended machine, is followed', () => {
  const real = Date.now;
  let shiftMs = 0;
  const now = mock.method(Date, 'now', () => real() + shiftMs);
  try {
    const began = steadyNowMs();
    shiftMs = -HOUR_MS;
    assert.ok(Math.abs(steadyNowMs() - began) < 1_000, 'set back');
    shiftMs = 0;
    assert.ok(Math.abs(steadyNowMs() - began) < 1_000, 'and set right again');
    shiftMs = 2 * HOUR_MS;
    const leapt = steadyNowMs() - began;
    assert.ok(leapt >= 2 * HOUR_MS && leapt < 2 * HOUR_MS + 1_000);
    shiftMs = 0;
    for (let i = 0, last = 0; i < 1_000; i++) {
      const next = steadyNowMs();
      assert.ok(next >= last, 'never backwards');
      last = next;
    }
  } finally {
    now.mock.restore();
  }
});
