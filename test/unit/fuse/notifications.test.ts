/** Invalidations wait for the requests that they would wait for in the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Notifications } from '../../../src/fuse/notifications.js';
import { OP } from '../../../src/fuse/protocol.js';
import { fields, message } from './message-builder.js';
import { begin, type Bench } from './session-bench.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Told {
  readonly bench: Bench;
  readonly notifications: Notifications;
  /** The inodes that stand in what was told so far. */
  readonly inodes: number[];
  /** Lets the requests that wait go on. */
  answer: () => void;
}

function begun(t: Parameters<typeof begin>[0]): Told {
  const bench = begin(t);
  const inodes: number[] = [];
  const transport = Object.assign(bench.transport, {
    notify: (bytes: Buffer): Promise<void> => {
      inodes.push(bytes.readUInt32LE(16));
      return Promise.resolve();
    },
  });
  const told: Told = { bench, notifications: new Notifications(transport, bench.session.locks), inodes, answer: () => undefined };
  bench.tree.before = () => new Promise((resolve) => (told.answer = resolve));
  return told;
}

for (const [what, request, locked] of [
  ['a name is looked up', message(OP.LOOKUP, 1, fields().name('file')), [1]],
  ['a name is removed', message(OP.UNLINK, 1, fields().name('file')), [1]],
  ['a name goes from one directory to another', message(OP.RENAME, 1, fields().u64(3).name('file', 'renamed')), [1, 3]],
  ['a file is read', message(OP.READ, 2, fields().u64(9, 0).u32(4096, 0).u64(0).u32(0, 0)), [2]],
] as const) {
  test(`while ${what}, the kernel is told to forget what the request does not lock, and the rest when it is answered`, async (t) => {
    const told = begun(t);
    told.bench.transport.send(request);
    await turn();
    for (const ino of [1, 2, 3]) told.notifications.entry(ino, 'other');
    for (const ino of [1, 2, 3]) told.notifications.inode(ino);
    await turn();
    const free = [1, 2, 3].filter((ino) => !locked.some((held) => held === ino));
    assert.deepEqual(told.inodes, [...free, ...free]);
    told.answer();
    await turn();
    await turn();
    assert.deepEqual([...told.inodes].sort(), [1, 1, 2, 2, 3, 3]);
  });
}

test('an invalidation waits for the last of several requests, and one that was given up is none', async (t) => {
  const told = begun(t);
  told.bench.urgency = 'fatal';
  const answers: (() => void)[] = [];
  told.bench.tree.before = () => new Promise((resolve) => answers.push(resolve));
  const requests = [1, 2].map(() => message(OP.LOOKUP, 1, fields().name('file')));
  for (const request of requests) told.bench.transport.send(request);
  await turn();
  told.notifications.entry(1, 'other');
  await turn();
  const [first = Buffer.alloc(0)] = requests;
  told.bench.transport.send(message(OP.INTERRUPT, 0, fields().u64(first.readUInt32LE(8)), first.readUInt32LE(8) + 1));
  await turn();
  assert.deepEqual(told.inodes, []);
  answers[1]?.();
  await turn();
  await turn();
  assert.deepEqual(told.inodes, [1]);
  answers[0]?.();
});

test('who waits for an invalidation goes on when the kernel has been told, or takes no more', async (t) => {
  const told = begun(t);
  const gone: string[] = [];
  const wait = (what: string, until: (() => Promise<void>) | undefined): void => void until?.().then(() => gone.push(what));
  wait('free', told.notifications.inode(3));
  told.bench.transport.send(message(OP.READ, 2, fields().u64(9, 0).u32(4096, 0).u64(0).u32(0, 0)));
  await turn();
  wait('read', told.notifications.inode(2));
  await turn();
  assert.deepEqual(gone, ['free']);
  told.answer();
  await turn();
  await turn();
  assert.deepEqual(gone, ['free', 'read']);
  told.bench.transport.send(message(OP.READ, 2, fields().u64(9, 0).u32(4096, 0).u64(0).u32(0, 0)));
  await turn();
  wait('closed', told.notifications.inode(2));
  await turn();
  told.notifications.close();
  await turn();
  assert.deepEqual(gone, ['free', 'read', 'closed']);
  assert.deepEqual(told.inodes, [3, 2]);
  assert.equal(told.notifications.inode(3), undefined);
  told.answer();
});
