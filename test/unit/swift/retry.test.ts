import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RetryDelay, retryAfterMs } from '../../../src/swift/requests/retry-delay.js';
import { statusError, verdictOf } from '../../../src/swift/requests/verdict.js';

void describe('pauses between attempts', () => {
  void test('they grow with jitter and stay below five seconds', () => {
    const longest = new RetryDelay(() => 1);
    const pauses = Array.from({ length: 8 }, () => longest.next());
    assert.deepEqual(pauses.slice(0, 3), [150, 450, 1350]);
    assert.equal(Math.max(...pauses), 5000);
    const shortest = new RetryDelay(() => 0);
    assert.deepEqual(Array.from({ length: 3 }, () => shortest.next()), [50, 50, 50]); // prettier-ignore
  });

  void test('what the server asks for is the least', () => {
    assert.equal(new RetryDelay(() => 0).next(7000), 7000);
  });

  void test('Retry-After is read as seconds and as a date', () => {
    const nowMs = Date.parse('2024-01-01T00:00:00Z');
    assert.equal(retryAfterMs({ 'retry-after': '3' }, nowMs), 3000);
    assert.equal(retryAfterMs({ 'retry-after': 'Mon, 01 Jan 2024 00:00:10 GMT' }, nowMs), 10_000);
    assert.equal(retryAfterMs({ 'retry-after': 'Sun, 31 Dec 2023 00:00:10 GMT' }, nowMs), 0);
    const skewed = { 'retry-after': 'Mon, 01 Jan 2024 01:00:02 GMT', date: 'Mon, 01 Jan 2024 01:00:00 GMT' };
    assert.equal(retryAfterMs(skewed, nowMs), 2000);
    assert.equal(retryAfterMs({ 'retry-after': 'soon' }, nowMs), 0);
    assert.equal(retryAfterMs({}, nowMs), 0);
  });
});

void describe('what a status means', () => {
  const cases: [number, string, string, string][] = [
    [400, '', 'fail', 'invalid-argument'],
    [400, 'Object name length of 1025 longer than 1024', 'fail', 'invalid-name'],
    [401, '', 'login', 'unavailable'],
    [403, '', 'fail', 'forbidden'],
    [403, 'Upload exceeds quota.', 'fail', 'no-space'],
    [408, '', 'retry', 'unavailable'],
    [412, 'Invalid UTF8 or contains NULL', 'fail', 'invalid-name'],
    [412, '', 'fail', 'unavailable'],
    [400, 'Bad request: the path is not ours', 'fail', 'invalid-argument'],
    [413, '', 'fail', 'too-large'],
    [413, '<p>Upload exceeds quota.</p>', 'fail', 'no-space'],
    [422, '', 'retry-few', 'corrupt'],
    [429, '', 'retry', 'unavailable'],
    [498, '', 'retry', 'unavailable'],
    [500, '', 'retry', 'unavailable'],
    [502, '', 'retry', 'unavailable'],
    [503, '', 'retry', 'unavailable'],
    [504, '', 'retry', 'unavailable'],
    [507, '', 'retry-few', 'no-space'],
    [302, '', 'fail', 'unavailable'],
    [418, '', 'fail', 'unavailable'],
  ];
  for (const [status, text, action, kind] of cases) {
    void test(`${status}${text === '' ? '' : ` "${text}"`} is ${kind} (${action})`, () => {
      const verdict = verdictOf(status, text);
      assert.deepEqual([verdict.action, verdict.kind], [action, kind]);
    });
  }

  void test('a rate limit is a sign of life, a 503 is not', () => {
    assert.equal(verdictOf(498, '').counts, 'alive');
    assert.equal(verdictOf(503, '').counts, 'failure');
  });

  void test('a message carries method, place, status, transaction and attempt', () => {
    const trace = { method: 'PUT', where: 'swift.example/v1/AUTH_a/c/n', attempt: 3 };
    const text = '<html><h1>Service Unavailable</h1></html>';
    const error = statusError(trace, { status: 503, text, transactionId: 'tx123' }, verdictOf(503, ''), true);
    assert.equal(error.message, 'PUT swift.example/v1/AUTH_a/c/n answered 503 "Service Unavailable" (transaction tx123, attempt 3)');
  });
});
