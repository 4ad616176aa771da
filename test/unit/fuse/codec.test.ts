/** The protocol's structures byte for byte (include/uapi/linux/fuse.h). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import type { Attributes, Entry } from '../../../src/fuse/file-system.js';
import { REPLY_BUFFER_BYTES } from '../../../src/fuse/protocol.js';
import { ReplyBuffer } from '../../../src/fuse/reply-buffer.js';
import { RequestView } from '../../../src/fuse/request.js';
import { fields, message } from './message-builder.js';

const ATTRIBUTES: Attributes = {
  ino: 0x1_0000_0007,
  kind: 'file',
  mode: 0o640,
  nlink: 1,
  uid: 101,
  gid: 102,
  sizeBytes: 5_000_000_000,
  blockSizeBytes: 131072,
  atimeMs: -1500,
  mtimeMs: 1_234_567_891_500.25,
  ctimeMs: 0,
};
const ENTRY: Entry = { attributes: ATTRIBUTES, attributesValidMs: 1500, entryValidMs: 2_000, generation: 3 };

const attributeFields = (): Buffer =>
  fields()
    .u64(0x1_0000_0007, 5_000_000_000, 9_765_625)
    .u64(-2, 1_234_567_891, 0)
    .u32(500_000_000, 500_250_000, 0)
    .u32(0o100640, 1, 101, 102, 0, 131072, 0)
    .build();

test('an entry is 128 bytes with its lifetimes before its attributes', () => {
  const out = new ReplyBuffer();
  const payload = out.entry(4, ENTRY);
  const length = out.header(8, 1, 0, payload);
  const expected = fields()
    .u32(16 + 128, 0, 8, 1)
    .u64(0x1_0000_0007, 3, 2, 1)
    .u32(0, 500_000_000)
    .bytes(attributeFields())
    .build();
  assert.deepEqual(out.bytes.subarray(0, length), expected);
});

test('attributes alone are 104 bytes', () => {
  const out = new ReplyBuffer();
  const length = out.header(2, 0, 0, out.attributes(ENTRY));
  assert.deepEqual(
    out.bytes.subarray(0, length),
    fields()
      .u32(16 + 104, 0, 2, 0)
      .u64(1)
      .u32(500_000_000, 0)
      .bytes(attributeFields())
      .build(),
  );
});

test('an error is its negative number and no payload', () => {
  const out = new ReplyBuffer();
  assert.deepEqual(out.bytes.subarray(0, out.header(4, 0, 2, 0)), fields().u32(16, -2, 4, 0).build());
});

test('directory entries are padded to eight bytes and carry the next cookie', () => {
  const out = new ReplyBuffer();
  out.bytes.fill(0xff);
  const name = 'caf\xe9.txt';
  const end = out.dirent(16, { name, ino: 9, kind: 'directory', nextCookie: 77 });
  assert.equal(end, 16 + 32);
  assert.deepEqual(out.bytes.subarray(16, end), fields().u64(9, 77).u32(8, 4).bytes(Buffer.from(name, 'latin1')).build());
  const next = out.dirent(end, { name: 'a', ino: 10, kind: 'file', nextCookie: 78 });
  assert.equal(out.bytes.readUInt32LE(end + 20), 8);
  assert.deepEqual(out.bytes.subarray(end + 24, next), Buffer.from('a\0\0\0\0\0\0\0'));
});

test('a listed entry without known attributes has node id 0 in 128 zero bytes', () => {
  const out = new ReplyBuffer();
  out.bytes.fill(0xff);
  const end = out.dirent(16, { name: 'abc', ino: 5, kind: 'file', nextCookie: 1 }, 'unknown');
  assert.equal(end, 16 + 128 + 32);
  assert.ok(out.bytes.subarray(16, 16 + 128).every((byte) => byte === 0));
});

test('the views reach as far as the reply buffer does', () => {
  const out = new ReplyBuffer();
  out.word((REPLY_BUFFER_BYTES >>> 2) - 1, 0xdeadbeef);
  assert.equal(out.bytes.readUInt32LE(REPLY_BUFFER_BYTES - 4), 0xdeadbeef);
});

test('a request is read without copies: ids beyond 32 bits, negative seconds, names as bytes', () => {
  const request = message(1, 0x2_0000_0003, fields().u64(-2, 5_000_000_000).name('n\xff', 'second'));
  const view = new RequestView(256);
  request.copy(view.bytes);
  view.length = request.length;
  assert.equal(view.ino, 0x2_0000_0003);
  assert.equal(view.i64(10), -2);
  assert.equal(view.u64(12), 5_000_000_000);
  assert.equal(view.name(56), 'n\xff');
  assert.equal(view.name(59), 'second');
  assert.equal(view.isWellFormed, true);
});

test('a name that is empty or does not end within the request is refused', () => {
  const view = new RequestView(256);
  view.bytes.fill(0x61);
  view.length = 60;
  assert.throws(
    () => view.name(40),
    (error) => error instanceof FilestoreError && error.kind === 'invalid-argument',
  );
  view.bytes[40] = 0;
  assert.throws(() => view.name(40));
  assert.throws(() => view.data(50, 11));
});

test('requests that lie behind one another are looked at one by one, and none is read beyond its end', () => {
  const first = message(1, 7, fields().name('one'));
  const second = message(1, 8, fields().name('another'));
  const view = new RequestView(512);
  view.bytes.fill(0x61);
  const secondAt = (first.length + 7) & ~7;
  first.copy(view.bytes);
  second.copy(view.bytes, secondAt);
  view.moveTo(0);
  assert.deepEqual([view.length, view.ino, view.name(40), view.isWellFormed], [first.length, 7, 'one', true]);
  view.moveTo(secondAt);
  assert.deepEqual([view.length, view.ino, view.name(40), view.isWellFormed], [second.length, 8, 'another', true]);
  assert.equal(Buffer.from(view.data(40, 7)).toString(), 'another');
  assert.throws(() => view.data(40, second.length - 39));
  view.moveTo(0);
  view.bytes[43] = 0x61;
  assert.throws(() => view.name(40), 'its name ends in the next request');
});
