import assert from 'node:assert/strict';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { buffer } from 'node:stream/consumers';
import { streamOfBorrowedFd } from '../../../src/base/borrowed-fd-stream.js';
import { digestFile } from '../../../src/base/file-digest.js';

it('a large file that is sent or digested by its descriptor keeps the descriptor open', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'odoo-swiftfs-fd-'));
  const file = join(directory, 'f');
  writeFileSync(file, Buffer.alloc(3 << 20, 7));
  const fd = openSync(file, 'r');
  try {
    assert.equal((await buffer(streamOfBorrowedFd(fd, 1, (3 << 20) - 1))).length, (3 << 20) - 2);
    const given = streamOfBorrowedFd(fd);
    given.destroy();
    await new Promise<void>((resolve) => given.once('close', () => resolve()));
    assert.equal((await digestFile(file, fd)).sizeBytes, 3 << 20);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(fstatSync(fd).size, 3 << 20);
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});
