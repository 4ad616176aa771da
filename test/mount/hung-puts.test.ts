/** PUTs of single objects that are never answered, a dozen of them, beside a Swift that is well. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually } from '../helpers/processes.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const HUNG = Array.from({ length: 14 }, (_, n) => makeBlob(100 + n, 20_000));

describe('PUTs that are never answered', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let mount: Mount;
  before(async () => {
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    const args = '--write-mode back --headers-timeout 2s --request-timeout 5s'.split(' ');
    mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'hung', args });
    mount.log.expect(/^WARN (swift\.|publisher\.)/);
  });
  after(async () => {
    proxy.clear();
    await mount.stop();
    await proxy.close();
    await swift.stop();
  });

  it('however many of them hang, what is written and deleted later reaches Swift', async () => {
    const client = await swift.client();
    const isStored = async (name: string): Promise<boolean> => (await client.head('odoo-hung', name)) !== undefined;
    const [before, later] = [makeBlob(1), makeBlob(2)];
    await writeBlob(mount.path, before);
    await mount.drained();
    for (const { sha1 } of HUNG) proxy.add({ do: 'hang', method: 'PUT', path: new RegExp(sha1) });
    for (const blob of HUNG) await writeBlob(mount.path, blob);
    await writeBlob(mount.path, later);
    await fs.unlink(mount.file(before.name));
    await eventually('the later one is stored', () => isStored(later.name), 40_000);
    await eventually('the deleted one is gone', async () => !(await isStored(before.name)), 40_000);
    // Not by chance, between two rounds of those that hang.
    for (let seed = 3; seed < 8; seed++) {
      const blob = makeBlob(seed);
      await writeBlob(mount.path, blob);
      await eventually('each later one is stored', () => isStored(blob.name), 10_000);
      await fs.unlink(mount.file(blob.name));
      await eventually('each deleted one is gone', async () => !(await isStored(blob.name)), 10_000);
    }
    assert.equal(await isStored(HUNG[0]?.name ?? assert.fail()), false);
    proxy.clear();
    await mount.drained();
    for (const { name, content } of HUNG) assert.deepEqual(await fs.readFile(mount.file(name)), content);
  });
});
