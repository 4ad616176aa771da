/** Clients that no longer want their answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { OP } from '../../../src/fuse/protocol.js';
import { fields, message } from './message-builder.js';
import { begin, type Bench } from './session-bench.js';

/** A request that waits, and whose client was told to stop. */
async function stalled(bench: Bench, opcode: number, payload: ReturnType<typeof fields>): Promise<Buffer> {
  bench.tree.before = (_operation, caller) =>
    new Promise((_, reject) => caller?.signal.addEventListener('abort', () => reject(new FilestoreError('interrupted', 'given up'))));
  const request = message(opcode, 1, payload);
  bench.transport.send(request);
  await new Promise((resolve) => setImmediate(resolve));
  bench.transport.send(message(OP.INTERRUPT, 0, fields().u64(request.readUInt32LE(8)), request.readUInt32LE(8) + 1));
  return request;
}

test('INTERRUPT of a client that is being killed is EINTR at once, whatever it was doing', async (t) => {
  for (const [opcode, payload] of [
    [OP.LOOKUP, fields().name('a')],
    [OP.UNLINK, fields().name('a')],
  ] as const) {
    const bench = begin(t);
    bench.urgency = 'fatal';
    const request = await stalled(bench, opcode, payload);
    assert.equal(bench.transport.replyTo(request)?.errno, 4);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(bench.session.activeRequests, 0);
    assert.equal(bench.transport.replies.filter((reply) => reply.unique === request.readUInt32LE(8)).length, 1);
  }
});

test('INTERRUPT by a timer turns nothing into EINTR', async (t) => {
  const bench = begin(t);
  const request = await stalled(bench, OP.FLUSH, fields().u64(1).u32(0, 0).u64(0));
  assert.equal(bench.transport.replyTo(request), undefined);
  assert.equal(bench.session.activeRequests, 1);
});

test('a signal by which people stop programs ends a wait to read, not a write under way', async (t) => {
  const reader = begin(t);
  reader.urgency = 'wants-out';
  const lookup = await stalled(reader, OP.LOOKUP, fields().name('a'));
  assert.equal(reader.transport.replyTo(lookup)?.errno, 4);
  const writer = begin(t);
  writer.urgency = 'wants-out';
  const unlink = await stalled(writer, OP.UNLINK, fields().name('a'));
  assert.equal(writer.transport.replyTo(unlink), undefined);
});

test('a client that is killed after its first signal is noticed without another INTERRUPT', async (t) => {
  const bench = begin(t, 1_000_000);
  const request = await stalled(bench, OP.UNLINK, fields().name('a'));
  assert.equal(bench.transport.replyTo(request), undefined);
  bench.urgency = 'fatal';
  assert.equal((await bench.transport.waitForReply(request)).errno, 4);
});

test('an INTERRUPT that overtook its request is asked for again', (t) => {
  const { transport } = begin(t);
  const interrupt = message(OP.INTERRUPT, 0, fields().u64(12345));
  transport.send(interrupt);
  assert.equal(transport.replyTo(interrupt)?.errno, 11);
});
