/** Sentences of docs/SEMANTICS.md about how soon a node sees what another one did: two mounts of the real program, one Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const MANY = ['--nodes', 'many', '--delete-bound', '3s', '--drain-timeout', '1s'];

describe('docs/SEMANTICS.md: how soon another node sees it', () => {
  let swift: Swift;
  let a: Mount;
  let b: Mount;
  before(async () => {
    swift = await withSwift();
    a = await startMount({ swift, database: 'soon', args: MANY });
    b = await startMount({ swift, database: 'soon', args: MANY });
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await swift.stop();
  });

  it('A listing does not make a blob that was deleted on another node be believed for longer.', async () => {
    const blob = makeBlob(910);
    await writeBlob(a.path, blob);
    // What B listed when it started is too old by the time of the listing below.
    await sleep(1_500);
    await fs.stat(b.file(blob.name));
    await fs.unlink(a.file(blob.name));
    const deletedMs = performance.now();
    await sleep(1_500);
    await fs.readdir(b.file(path.dirname(blob.name)));
    await sleep(deletedMs + 3_600 - performance.now());
    await assert.rejects(fs.stat(b.file(blob.name)), { code: 'ENOENT' });
    assert.deepEqual(await fs.readdir(b.file(path.dirname(blob.name))), []);
  });
});
