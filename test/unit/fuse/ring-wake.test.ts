/** When a request wakes the thread that serves the ring: its C is compiled, and asks the real kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCProgram } from './c-program.js';

test('A request wakes who sleeps, not who looks, and what came meanwhile wakes at the end of the look; a flag that stands for nothing is taken back; a released ring lets go of the device.', () => {
  assert.deepEqual(runCProgram('ring-wake').trim().split('\n'), [
    'asked: pending 0, wakes 0',
    'come: pending 1, wakes 1',
    'muted: pending 1, wakes 0',
    'come while muted: pending 1, wakes 0',
    'unmuted: pending 1, wakes 1',
    'taken: pending 0, wakes 0',
    'some of many taken: pending 1, wakes 0',
    'unmuted: pending 1, wakes 1',
    'entered, and not taken: pending 1, wakes 1',
    'a flag that stands for nothing: pending 1, wakes 0',
    'entered: pending 0, wakes 0',
    'come: pending 1, wakes 1',
    'device held: 1',
    'released, device held: 0',
  ]);
});
