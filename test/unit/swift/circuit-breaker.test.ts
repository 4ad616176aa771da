import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kindOf } from '../../../src/base/errors.js';
import { CircuitBreaker } from '../../../src/swift/requests/circuit-breaker.js';
import { FakeClock } from '../../helpers/clock.js';

function refuses(breaker: CircuitBreaker): boolean {
  try {
    breaker.enter();
    return false;
  } catch (error) {
    assert.equal(kindOf(error), 'unavailable');
    return true;
  }
}

void describe('circuit breaker', () => {
  void test('it opens after five failures in a row that span two seconds', async () => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker(clock, 'Swift');
    for (let i = 0; i < 4; i++) {
      breaker.enter();
      breaker.failed('503', false);
      await clock.advance(600);
    }
    assert.equal(breaker.state, 'closed');
    breaker.enter();
    breaker.failed('the last one', false);
    assert.equal(breaker.state, 'open');
    assert.equal(refuses(breaker), true);
    assert.equal(breaker.lastError, 'the last one');
  });

  void test('many failures at the same moment do not open it', () => {
    const breaker = new CircuitBreaker(new FakeClock(), 'Swift');
    for (let i = 0; i < 20; i++) breaker.failed('reset', false);
    assert.equal(breaker.state, 'closed');
  });

  void test('one or two objects that Swift itself cannot serve do not open it, a third one does', async () => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker(clock, 'Swift');
    for (let i = 0; i < 100; i++) {
      breaker.failed('503', false, i % 2 === 0 ? '/c/one' : '/c/two');
      await clock.advance(600);
    }
    assert.equal(breaker.state, 'closed');
    breaker.failed('503', false, '/c/three');
    assert.equal(breaker.state, 'open');
  });

  void test('three refused connections open it at once', () => {
    const breaker = new CircuitBreaker(new FakeClock(), 'Swift');
    for (let i = 0; i < 3; i++) breaker.failed('refused', true);
    assert.equal(breaker.state, 'open');
  });

  void test('an answer in between starts the count anew', () => {
    const breaker = new CircuitBreaker(new FakeClock(), 'Swift');
    breaker.failed('refused', true);
    breaker.failed('refused', true);
    breaker.succeeded();
    breaker.failed('refused', true);
    assert.equal(breaker.state, 'closed');
  });

  void test('while open one call a second goes through, and its success closes it', async () => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker(clock, 'Swift');
    for (let i = 0; i < 3; i++) breaker.failed('refused', true);
    const openSinceMs = breaker.sinceMs;
    await clock.advance(1000);
    assert.equal(refuses(breaker), false);
    assert.equal(breaker.state, 'half-open');
    assert.equal(refuses(breaker), true);
    breaker.failed('refused', true);
    assert.equal(breaker.state, 'open');
    assert.equal(breaker.sinceMs, openSinceMs);
    await clock.advance(1000);
    assert.equal(refuses(breaker), false);
    breaker.succeeded();
    assert.equal(breaker.state, 'closed');
    assert.equal(breaker.lastError, undefined);
    assert.equal(refuses(breaker), false);
  });

  void test('a trial whose caller gave up leaves it open for the next', async () => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker(clock, 'Swift');
    for (let i = 0; i < 3; i++) breaker.failed('refused', true);
    await clock.advance(1000);
    breaker.enter();
    breaker.abandoned();
    assert.equal(breaker.state, 'open');
    await clock.advance(1000);
    assert.equal(refuses(breaker), false);
  });
});
