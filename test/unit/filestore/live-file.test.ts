import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import type { Database } from '../../../src/filestore/database.js';
import { LiveFile } from '../../../src/filestore/live-file.js';
import { settle } from '../../helpers/clock.js';

test('who opens a file to empty it while its bytes are being copied, and the disk has no room for them, is told', async () => {
  let refuse: (error: FilestoreError) => void = () => undefined;
  const copying = new Promise<never>((_, reject) => (refuse = reject));
  const owedTimes = new Map<string, number>();
  // As much of a database as a file needs that was never published anew.
  const db = { live: new Map(), owedTimes, spool: { createStagingFrom: () => copying }, wake: () => undefined } as unknown as Database;
  const file = new LiveFile(db, 'some/file', { fd: 0, sizeBytes: 3, close: () => undefined }, 0);
  const first = await file.open({ write: true, truncate: false });
  const writing = Promise.resolve(first.write(0, Buffer.from('x')));
  const opening = Promise.resolve(file.open({ write: true, truncate: true }));
  const strays: unknown[] = [];
  const note = (error: unknown): void => void strays.push(error);
  process.on('unhandledRejection', note);
  try {
    refuse(new FilestoreError('no-space', 'the disk of spool_dir is full'));
    await assert.rejects(writing, { kind: 'no-space' });
    await assert.rejects(opening, { kind: 'no-space' });
    await settle();
    assert.deepEqual(strays, []);
  } finally {
    process.off('unhandledRejection', note);
  }
  assert.equal(db.live.get('some/file'), file, 'the first still has it open');
  await first.release();
  assert.equal(db.live.size, 0);
});
