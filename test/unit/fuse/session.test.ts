/** The conversation with the kernel over a transport that is none. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { SILENT_LOG } from '../../../src/base/log.js';
import type { ReadResult, SliceHolder } from '../../../src/base/read-result.js';
import { LEAST_BYTES, OP } from '../../../src/fuse/protocol.js';
import { Session } from '../../../src/fuse/session.js';
import { FakeTransport, fields, message } from './message-builder.js';
import { begin } from './session-bench.js';
import { TreeFileSystem } from './tree-file-system.js';

const init = (minor: number, flags = 0xffffffff, major = 7): Buffer =>
  message(OP.INIT, 0, fields().u32(major, minor, 131072, flags, 0xffffffff, ...new Array<number>(11).fill(0)));

/** A request of each operation that a tree with `file` (ino 2) and `dir` (ino 3) can answer. */
function everyRequest(handle: number): Map<number, Buffer> {
  return new Map([
    [OP.LOOKUP, message(OP.LOOKUP, 1, fields().name('file'))],
    [OP.GETATTR, message(OP.GETATTR, 2, fields().u32(1, 0).u64(handle))],
    [OP.SETATTR, message(OP.SETATTR, 2, fields().u32(8, 0).u64(handle, 3, 0, 0, 0, 0).u32(0, 0, 0, 0, 0, 0, 0, 0))],
    [OP.READLINK, message(OP.READLINK, 2)],
    [OP.SYMLINK, message(OP.SYMLINK, 1, fields().name('a', 'b'))],
    [OP.MKNOD, message(OP.MKNOD, 1, fields().u32(0o100644, 0, 0, 0).name('node'))],
    [OP.MKDIR, message(OP.MKDIR, 1, fields().u32(0o755, 0).name('made'))],
    [OP.LINK, message(OP.LINK, 1, fields().u64(2).name('linked'))],
    [OP.OPEN, message(OP.OPEN, 2, fields().u32(0, 0))],
    [OP.READ, message(OP.READ, 2, fields().u64(handle, 0).u32(4096, 0).u64(0).u32(0, 0))],
    [OP.WRITE, message(OP.WRITE, 2, fields().u64(handle, 0).u32(3, 0).u64(0).u32(0, 0).bytes(Buffer.from('abc')))],
    [OP.STATFS, message(OP.STATFS, 1)],
    [OP.FSYNC, message(OP.FSYNC, 2, fields().u64(handle).u32(0, 0))],
    [OP.SETXATTR, message(OP.SETXATTR, 2, fields().u32(1, 0).name('user.a'))],
    [OP.GETXATTR, message(OP.GETXATTR, 2, fields().u32(100, 0).name('user.a'))],
    [OP.LISTXATTR, message(OP.LISTXATTR, 2, fields().u32(0, 0))],
    [OP.REMOVEXATTR, message(OP.REMOVEXATTR, 2, fields().name('user.a'))],
    [OP.FLUSH, message(OP.FLUSH, 2, fields().u64(handle).u32(0, 0).u64(0))],
    [OP.OPENDIR, message(OP.OPENDIR, 1, fields().u32(0, 0))],
    [OP.READDIR, message(OP.READDIR, 1, fields().u64(0, 0).u32(4096, 0).u64(0).u32(0, 0))],
    [OP.READDIRPLUS, message(OP.READDIRPLUS, 1, fields().u64(0, 0).u32(4096, 0).u64(0).u32(0, 0))],
    [OP.RELEASEDIR, message(OP.RELEASEDIR, 1, fields().u64(0).u32(0, 0).u64(0))],
    [OP.FSYNCDIR, message(OP.FSYNCDIR, 1, fields().u64(0).u32(0, 0))],
    [OP.ACCESS, message(OP.ACCESS, 2, fields().u32(4, 0))],
    [OP.CREATE, message(OP.CREATE, 1, fields().u32(1, 0o100644, 0, 0).name('created'))],
    [OP.IOCTL, message(OP.IOCTL, 2, fields().u64(handle).u32(0, 0x5401).u64(0).u32(0, 0))],
    [OP.POLL, message(OP.POLL, 2, fields().u64(handle, 0).u32(0, 0))],
    [OP.FALLOCATE, message(OP.FALLOCATE, 2, fields().u64(handle, 0, 10).u32(0, 0))],
    [OP.LSEEK, message(OP.LSEEK, 2, fields().u64(handle, 0).u32(3, 0))],
    [OP.COPY_FILE_RANGE, message(OP.COPY_FILE_RANGE, 2, fields().u64(handle, 0, 1, 0, 0, 1, 0))],
    [OP.RENAME, message(OP.RENAME, 1, fields().u64(1).name('file', 'renamed'))],
    [OP.RENAME2, message(OP.RENAME2, 1, fields().u64(1).u32(1, 0).name('renamed', 'file'))],
    [OP.UNLINK, message(OP.UNLINK, 1, fields().name('file'))],
    [OP.RMDIR, message(OP.RMDIR, 1, fields().name('dir'))],
    [OP.RELEASE, message(OP.RELEASE, 2, fields().u64(handle).u32(0, 0).u64(0))],
    [OP.DESTROY, message(OP.DESTROY, 0)],
    [51, message(51, 1, fields().u32(0, 0))],
    [4096, message(4096, 1)],
  ]);
}

const EXPECTED_ERRNO: ReadonlyMap<number, number> = new Map<number, number>([
  [OP.READLINK, 22],
  [OP.SYMLINK, 1],
  [OP.LINK, 1],
  [OP.SETXATTR, 38],
  [OP.GETXATTR, 38],
  [OP.REMOVEXATTR, 38],
  [OP.IOCTL, 25],
  [OP.POLL, 38],
  [OP.COPY_FILE_RANGE, 38],
  [51, 38],
  [4096, 38],
]);

test('every operation is answered once, now or later, and an unknown one with ENOSYS', async (t) => {
  for (const isLate of [false, true]) {
    const { tree, transport } = begin(t);
    tree.addFile('file', 'some bytes');
    tree.addDirectory('dir');
    if (isLate) tree.before = () => new Promise((resolve) => setImmediate(resolve));
    const open = message(OP.OPEN, 2, fields().u32(2, 0));
    transport.send(open);
    const handle = (await transport.waitForReply(open)).payload.readUInt32LE(0);
    for (const [opcode, request] of everyRequest(handle)) {
      transport.send(request);
      const reply = await transport.waitForReply(request);
      assert.equal(reply.errno, EXPECTED_ERRNO.get(opcode) ?? 0, `opcode ${opcode}, late ${isLate}`);
      assert.equal(transport.replies.filter((r) => r.unique === reply.unique).length, 1);
    }
  }
});

test('a request that is cut anywhere is answered with an error and harms nothing', (t) => {
  const { tree, transport, session } = begin(t);
  tree.addFile('file', 'x');
  for (const [opcode, whole] of everyRequest(1)) {
    for (let length = 0; length < whole.length; length++) {
      transport.replies.length = 0;
      const cut = Buffer.from(whole.subarray(0, length));
      if (length >= 4) cut.writeUInt32LE(length, 0);
      transport.send(cut);
      const least = LEAST_BYTES.get(opcode);
      if (length < 40) assert.equal(transport.replies.length, 0);
      else assert.equal(transport.replies.length, 1, `opcode ${opcode} cut to ${length}`);
      if (length >= 40 && least !== undefined && length < least) assert.equal(transport.replies[0]?.errno, 22);
    }
  }
  assert.equal(session.activeRequests, 0);
});

test('a header that names another length than was read is malformed', (t) => {
  const { transport } = begin(t);
  const request = message(OP.STATFS, 1);
  request.writeUInt32LE(400, 0);
  transport.send(request);
  assert.equal(transport.replyTo(request)?.errno, 22);
});

test('INIT takes the lower minor, whole megabytes and passthrough, and refuses a kernel before 7.31', async (t) => {
  const { transport, session } = begin(t);
  const request = init(60);
  transport.send(request);
  const { payload } = await transport.waitForReply(request);
  assert.equal(payload.length, 64);
  assert.deepEqual([payload.readUInt32LE(0), payload.readUInt32LE(4)], [7, 45]);
  assert.equal(payload.readUInt32LE(20), 1 << 20);
  assert.equal(payload.readUInt16LE(28), 256);
  assert.equal((await session.initialized).hasPassthrough, true);
  const old = begin(t);
  const oldInit = init(30);
  old.transport.send(oldInit);
  assert.equal(old.transport.replyTo(oldInit)?.errno, 71);
  await assert.rejects(old.session.initialized, /7\.31/);
  const later = begin(t);
  const laterInit = init(0, 0, 8);
  later.transport.send(laterInit);
  assert.equal(later.transport.replyTo(laterInit)?.payload.readUInt32LE(0), 7, 'the kernel asks again with our version');
});

test('the second word of flags is not read when the kernel does not send it', async (t) => {
  const { transport, session } = begin(t);
  transport.send(init(35, 0xffffffff & ~(1 << 30)));
  assert.equal((await session.initialized).hasPassthrough, false);
});

test('a handler that throws is EIO, and the next request is served', async (t) => {
  const { tree, transport, errors, log } = begin(t);
  for (const isLate of [false, true]) {
    tree.before = () => (isLate ? Promise.reject(new TypeError('boom')) : throwing());
    const request = message(OP.GETATTR, 1, fields().u32(0, 0).u64(0));
    transport.send(request);
    assert.equal((await transport.waitForReply(request)).errno, 5);
  }
  assert.deepEqual(errors, ['getattr internal', 'getattr internal']);
  assert.equal(log.length, 1, 'a flood of one failure is one line');
  tree.before = () => undefined;
  const request = message(OP.STATFS, 1);
  transport.send(request);
  assert.equal(transport.replyTo(request)?.errno, 0);
});

test('bytes that a disk does not give come from another copy, and are EIO when that does not give them either', async (t) => {
  const { tree, transport, session, errors } = begin(t);
  tree.addFile('file', '');
  const open = message(OP.OPEN, 2, fields().u32(0, 0));
  transport.send(open);
  const handle = transport.replyTo(open)?.payload.readUInt32LE(0) ?? assert.fail('not opened');
  const short = openSync('/dev/null', 'r');
  t.after(() => closeSync(short));
  const bad = { fd: short, position: 100, length: 5 };
  const answers: ReadResult[] = [Buffer.from('right'), { ...bad, holder: { readElsewhere: () => Promise.resolve(Buffer.from('never')) } }];
  const asked: number[] = [];
  const holder: SliceHolder = {
    readElsewhere(position, length) {
      asked.push(position, length);
      return Promise.resolve(answers.shift() ?? Buffer.alloc(0));
    },
  };
  const read = async (slice: ReadResult): Promise<[number, string]> => {
    tree.read = () => slice;
    const request = message(OP.READ, 2, fields().u64(handle, 100).u32(5, 0).u64(0).u32(0, 0));
    transport.send(request);
    const { errno, payload } = await transport.waitForReply(request);
    return [errno, payload.toString()];
  };
  assert.deepEqual(await read({ ...bad, holder }), [0, 'right']);
  assert.deepEqual(asked, [100, 5]);
  assert.deepEqual(await read({ ...bad, holder }), [5, ''], 'once, not again and again');
  assert.deepEqual(await read(bad), [0, ''], 'of a file that nobody holds it is the end');
  assert.deepEqual(await read({ ...bad, fd: -1 }), [5, '']);
  assert.deepEqual(errors, ['read unavailable', 'read unavailable']);
  assert.equal(session.activeRequests, 0);
});

function throwing(): never {
  throw new TypeError('boom');
}

test('a request past its deadline is EIO, its signal fires, and its late answer is taken back', async (t) => {
  const { tree, transport, errors, session } = begin(t, 30);
  const file = tree.addFile('file', '');
  let answer = (): void => undefined;
  let hasFired = false;
  tree.before = (operation, caller) => {
    if (operation !== 'lookup') return undefined;
    caller?.signal.addEventListener('abort', () => (hasFired = true));
    return new Promise((resolve) => (answer = resolve));
  };
  const request = message(OP.LOOKUP, 1, fields().name('file'));
  transport.send(request);
  assert.equal((await transport.waitForReply(request)).errno, 5);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(hasFired, true);
  assert.deepEqual(errors, ['lookup unavailable']);
  answer();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(file.lookups, 0, 'the lookup nobody got is forgotten');
  assert.equal(session.activeRequests, 0);
  assert.equal(transport.replies.length, 1);
});

test('an answer the kernel no longer wants leaves no lookup and no handle behind', (t) => {
  const { tree, transport } = begin(t);
  const file = tree.addFile('file', '');
  transport.nextResult = -2;
  transport.send(message(OP.LOOKUP, 1, fields().name('file')));
  transport.send(message(OP.READDIRPLUS, 1, fields().u64(0, 0).u32(4096, 0).u64(0).u32(0, 0)));
  transport.send(message(OP.OPEN, 2, fields().u32(0, 0)));
  transport.send(message(OP.CREATE, 1, fields().u32(1, 0o100644, 0, 0).name('created')));
  transport.send(message(OP.OPENDIR, 1, fields().u32(0, 0)));
  assert.equal(file.lookups, 0);
  assert.equal(tree.root.children?.get('created')?.lookups, 0);
  assert.equal(tree.openHandles, 0);
});

test('names are taken behind the reply to OPENDIR, and not when nobody got it', (t) => {
  const { tree, transport } = begin(t);
  const request = message(OP.OPENDIR, 1, fields().u32(0, 0));
  let repliesBefore = -1;
  tree.takeNames = () => {
    repliesBefore = transport.replies.length;
  };
  transport.send(request);
  assert.equal(repliesBefore, 1);
  repliesBefore = -1;
  transport.nextResult = -2;
  transport.send(message(OP.OPENDIR, 1, fields().u32(0, 0)));
  assert.equal(repliesBefore, -1);
});

test('READDIRPLUS counts only the entries that fit', (t) => {
  const { tree, transport } = begin(t);
  const nodes = Array.from({ length: 20 }, (_, i) => tree.addFile(`file-${i}`, ''));
  const request = message(OP.READDIRPLUS, 1, fields().u64(0, 0).u32(1000, 0).u64(0).u32(0, 0));
  transport.send(request);
  const payload = transport.replyTo(request)?.payload;
  assert.ok(payload !== undefined && payload.length <= 1000);
  // '.' and '..' take 152 + 152 bytes, each file 160.
  assert.equal(nodes.filter((node) => node.lookups === 1).length, Math.floor((1000 - 2 * 160) / 160));
});

test('FORGET and BATCH_FORGET get no reply', (t) => {
  const { tree, transport } = begin(t);
  transport.send(message(OP.FORGET, 7, fields().u64(3)));
  transport.send(message(OP.BATCH_FORGET, 0, fields().u32(2, 0).u64(8, 1, 9, 2)));
  transport.send(message(OP.BATCH_FORGET, 0, fields().u32(1000, 0).u64(10, 1)));
  assert.deepEqual(tree.asked, ['forget 7 3', 'forget 8 1', 'forget 9 2', 'forget 10 1']);
  assert.equal(transport.replies.length, 0);
});

test('the end of the mount fires the signals of what still waits, once', async (t) => {
  const bench = begin(t);
  let hasFired = false;
  bench.tree.before = (_operation, caller) => {
    caller?.signal.addEventListener('abort', () => (hasFired = true));
    return new Promise(() => undefined);
  };
  bench.transport.send(message(OP.STATFS, 1));
  bench.transport.end(19);
  bench.transport.end(19);
  await bench.session.ended;
  assert.equal(hasFired, true);
  assert.equal(bench.session.activeRequests, 0);
  assert.equal(bench.transport.isClosed, true);
});

test('while an inode is open, every open of it has one backing id, or none has', async (t) => {
  const { tree, transport } = begin(t);
  const file = tree.addFile('file', 'x');
  const copies = ['/dev/null', '/dev/zero'].map((name) => openSync(name, 'r'));
  t.after(() => copies.forEach(closeSync));
  transport.send(init(45));
  const open = async (flags = 0): Promise<{ handle: number; direct: number; passthrough: number; id: number }> => {
    const request = message(OP.OPEN, file.ino, fields().u32(flags, 0));
    transport.send(request);
    const { payload } = await transport.waitForReply(request);
    const [given, id] = [payload.readUInt32LE(8), payload.readInt32LE(12)];
    return { handle: payload.readUInt32LE(0), direct: given & 1, passthrough: given & 128, id };
  };
  const release = (handle: number): void => transport.send(message(OP.RELEASE, file.ino, fields().u64(handle).u32(0, 0).u64(0)));

  const plain = await open();
  file.fd = copies[0];
  const later = await open();
  assert.deepEqual([later.passthrough, later.id], [0, 0], 'ordinary reads go on while somebody reads so');
  release(plain.handle);
  release(later.handle);
  transport.nextBackingId = 5;
  const first = await open();
  transport.nextBackingId = 6;
  const second = await open();
  assert.deepEqual([first.id, second.id, first.passthrough, second.passthrough, second.direct], [5, 5, 128, 128, 0]);
  const writer = await open(1);
  assert.deepEqual([writer.id, writer.passthrough, writer.direct], [5, 128, 1], 'a writer comes to the daemon');
  file.fd = copies[1];
  const other = await open();
  assert.deepEqual([other.id, other.passthrough, other.direct], [5, 128, 1], 'so does a reader of another copy');
  release(first.handle);
  release(writer.handle);
  release(other.handle);
  assert.deepEqual(transport.closedBackings, []);
  release(second.handle);
  assert.deepEqual(transport.closedBackings, [5]);
  transport.nextBackingId = -1;
  const refused = await open();
  assert.deepEqual([refused.passthrough, refused.id], [0, 0]);
  release(refused.handle);
  assert.equal(tree.openHandles, 0);
});

test('a log that is silent and no counter will do', () => {
  const session = new Session(new TreeFileSystem(), new FakeTransport(), { requestDeadlineMs: 1000, log: SILENT_LOG });
  assert.equal(session.activeRequests, 0);
  session.end(19);
});
