import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import { RetryDelay, retryAfterMs } from '../../../src/swift/requests/retry-delay.js';
import { statusError, verdictOf } from '../../../src/swift/requests/verdict.js';
import type { StubAnswer } from '../../helpers/keystone-v2-stub.js';
import { listNames } from '../../helpers/store-bytes.js';
import { StubbedSwift } from '../../helpers/stub-store.js';

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

void describe('an answer that is an error to who made the request', () => {
  let swift: StubbedSwift;
  before(async () => {
    swift = await StubbedSwift.start();
  });
  after(() => swift.close());

  const name = `aa/${'a'.repeat(40)}`;
  const body = { sizeBytes: 1, md5: '9dd4e461268c8034f5c8564e155c67a6', read: () => Buffer.from('x') };
  const object = { etag: body.md5, 'x-timestamp': '1' };
  const quota: StubAnswer = { status: 413, text: 'Upload exceeds quota.' };
  const slo = { ...object, 'x-static-large-object': 'True' };
  const range = { start: 1, end: 2 };
  /** What is done, how it is told, and the answers by method; any other is 404. */
  const rows: readonly (readonly [string, () => Promise<unknown>, string, Readonly<Record<string, StubAnswer>>])[] = [
    ['PUT without its container', () => swift.store.put('c', name, body), `PUT /c/${name} 404`, {}],
    ['PUT past a quota', () => swift.store.put('c', name, body), `PUT /c/${name} 413`, { PUT: quota }],
    ['PUT of other bytes', () => swift.store.put('c', name, body), `PUT /c/${name} 201`, { PUT: { status: 201, headers: { etag: 'x' } } }],
    ['PUT that others delete', () => swift.store.put('c', name, body), `PUT /c/${name} 202`, { PUT: { status: 202 } }],
    [
      'PUT below what is to come',
      () => swift.store.put('c', name, body),
      `PUT /c/${name} 202`,
      { PUT: { status: 202 }, HEAD: { status: 200, headers: { etag: 'x', 'x-timestamp': '9999999999' } } },
    ],
    ['COPY without its target', () => swift.store.copy('c', 'o', 'd', name), 'COPY /c/o 404', { HEAD: { status: 200, headers: object } }],
    ['COPY past a quota', () => swift.store.copy('c', 'o', 'd', name), 'COPY /c/o 413', { COPY: quota }],
    ['GET of a range', () => swift.store.get('c', 'o', { range }), 'GET /c/o 200', { GET: { status: 200, headers: object, text: 'xx' } }],
    ['listing of no container', () => listNames(swift.store, 'c'), 'GET /c 404', {}],
    ['listing of something else', () => listNames(swift.store, 'c'), 'GET /c 200', { GET: { status: 200, text: '<html>' } }],
    ['POST to no container', () => swift.store.updateContainer('c', {}), 'POST /c 404', {}],
    ['PUT of a container', () => swift.store.createContainer('c'), 'PUT /c 400', { PUT: { status: 400 } }],
    ['DELETE of a full container', () => swift.store.deleteContainer('c'), 'DELETE /c 409', { DELETE: { status: 409 } }],
    [
      'DELETE of a large object whose manifest is none',
      () => swift.store.delete('e', 'o'),
      'GET /e/o 200',
      { HEAD: { status: 200, headers: slo }, GET: { status: 200, headers: slo, text: '<html>' } },
    ],
    [
      'DELETE of a large object',
      () => swift.store.delete('e', 'o'),
      'DELETE /e/o 200',
      { HEAD: { status: 200, headers: slo }, GET: { status: 200, headers: slo, json: [] }, DELETE: { status: 200, text: '<html>' } },
    ],
  ];
  for (const [what, work, told, answers] of rows) {
    void test(`the message carries all of it: ${what}`, async () => {
      const [method = '', path = '', status = ''] = told.split(' ');
      swift.stub.answerWith((request) => answers[request.method] ?? { status: 404 });
      const where = `${new URL(swift.stub.url).host}/v1/AUTH_a${path}`;
      await assert.rejects(work(), (error: Error) => {
        assert.ok(error.message.startsWith(`${method} ${where} answered ${status} (transaction stub, attempt 1): `), error.message);
        return true;
      });
    });
  }

  void test('a large object that breaks off says that a segment may be missing, another object does not', async () => {
    const cut = async (headers: Readonly<Record<string, string>>): Promise<string> => {
      swift.stub.answerWith(() => ({ status: 200, headers: { ...headers, connection: 'close', 'content-length': '10' }, text: 'half' }));
      const read = (await swift.store.get('c', 'o')) ?? assert.fail('it is there');
      return once(read.body.resume(), 'end').then(
        () => assert.fail('it was whole'),
        (error: unknown) => (kindOf(error) === 'unavailable' ? messageOf(error) : assert.fail(String(error))),
      );
    };
    const broken = /^GET \S+\/v1\/AUTH_a\/c\/o \(transaction stub, attempt 1\): .*(closed|cut short|bytes came)/;
    const [large, plain] = [await cut(slo), await cut(object)];
    assert.match(large, broken);
    assert.match(large, /one of its segments may be missing: its manifest .* names them, and odoo-swiftfs swift stat/);
    assert.match(plain, broken);
    assert.doesNotMatch(plain, /segment/);
  });
});
