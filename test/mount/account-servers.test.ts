/**
 * Swift whose account servers are away, and whose proxy has forgotten the account: it calls every container missing, and every object that is not in
 * policy 0.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import { startMount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const REMEMBERED_S = 1;
const POLICY = 'gold';
/** Of three looks at the container, by `delete_bound`, and some time for what follows from them. */
const LOOKED_MS = 8_000;

describe('the account servers of Swift are away', () => {
  let swift: Swift;
  before(async () => {
    swift = await withSwift({ recheckSeconds: REMEMBERED_S, secondPolicy: POLICY });
  });
  after(() => swift.stop());

  for (const nodes of ['many', 'one']) {
    const title = 'While the account servers of Swift are away no database ends, and no file of it is absent.';
    it(nodes === 'many' ? title : 'the same with `nodes: one`', async () => {
      const args = [
        '--nodes',
        nodes,
        '--delete-bound',
        '2s',
        '--lookup-wait',
        '200ms',
        '--write-timeout',
        '2s',
        '--read-timeout',
        '2s',
        '--storage-policy',
        POLICY,
      ];
      const mount = await startMount({ swift, containerPrefix: nodes, args });
      mount.log.expect(/^WARN (request-failed|swift\.away|publisher\.)/);
      try {
        const [known, foreign, late] = [makeBlob(1), makeBlob(2), makeBlob(3)];
        await fs.mkdir(mount.file('prod'));
        await fs.mkdir(mount.file('prod', 'checklist'));
        await writeBlob(mount.file('prod'), known);
        await mount.drained();
        const client = await swift.client();
        await client.put(`${nodes}-prod`, foreign.name, foreign.content);
        if (nodes === 'many') await fs.stat(mount.file('prod', foreign.name));
        await swift.faults.kill('account');
        await sleep(REMEMBERED_S * 1000 + 100);
        for (const untilMs = Date.now() + LOOKED_MS; Date.now() < untilMs; await sleep(200)) {
          assert.deepEqual(await fs.readFile(mount.file('prod', known.name)), known.content);
          assert.deepEqual(await fs.readdir(mount.path), ['prod']);
          await fs.stat(mount.file('prod', 'checklist'));
          await assert.rejects(fs.stat(mount.file('new')), { code: /^(ENOENT|EIO)$/ });
        }
        if (nodes === 'many') await assert.rejects(fs.readFile(mount.file('prod', foreign.name)), { code: 'EIO' });
        await writeBlob(mount.file('prod'), late);
        assert.equal((await mount.status()).safeToLoseThisMachine, false);
        await swift.up();
        await mount.drained();
        assert.deepEqual(await (await swift.client()).get(`${nodes}-prod`, late.name), late.content);
        for (const { name, content } of nodes === 'many' ? [known, late, foreign] : [known, late])
          assert.deepEqual(await fs.readFile(mount.file('prod', name)), content);
      } finally {
        await mount.stop();
      }
    });
  }
});
