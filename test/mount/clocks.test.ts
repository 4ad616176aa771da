/** Sentences of docs/SEMANTICS.md about clocks that are wrong, or set: mounts of the real program whose time is shifted, one Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { isThere } from '../helpers/is-there.js';
import { eventually } from '../helpers/processes.js';
import { ShiftedClock } from '../helpers/shifted-clock.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { StartRefused, startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const MANY = ['--nodes', 'many', '--delete-bound', '3s', '--drain-timeout', '1s'];

let swift: Swift;
let client: SwiftClient;
before(async () => {
  swift = await withSwift();
  client = await swift.client();
});
after(async () => {
  await swift.stop();
});

describe('docs/SEMANTICS.md: clocks that differ', () => {
  const HOUR_MS = 3_600_000;
  let proxy: FaultProxy;
  let nth = 0;
  before(async () => {
    proxy = await FaultProxy.start(swift.url);
  });
  after(async () => {
    await proxy.close();
  });
  const startShifted = async (clock: ShiftedClock, database: string, args: readonly string[] = []): Promise<Mount> => {
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, env: clock.env, database, args });
    mount.log.expect(/^WARN clocks-differ/, /^WARN (swift\.away|login-failed)/);
    return mount;
  };

  for (const aheadMs of [HOUR_MS, -HOUR_MS]) {
    const where = aheadMs > 0 ? 'an hour ahead' : 'an hour behind';

    it(`A second node is refused, however far the clocks of the two are apart. (${where})`, async () => {
      const database = `apart${nth++}`;
      const first = await startShifted(new ShiftedClock(aheadMs), database);
      try {
        await assert.rejects(startMount({ swift, database }), (error: unknown) => {
          return error instanceof StartRefused && /is mounted by .*nodes: one/.test(error.stderr);
        });
      } finally {
        await first.stop();
      }
    });

    it(`A node whose clock is wrong orders deletes and closes by that of Swift, and says so. (${where})`, async () => {
      const database = `shifted${nth++}`;
      const container = `odoo-${database}`;
      const a = await startShifted(new ShiftedClock(aheadMs), database, MANY);
      const b = await startMount({ swift, database, args: MANY });
      try {
        assert.ok(a.log.has(/^WARN clocks-differ/));
        const [rewritten, gone] = [makeBlob(380), makeBlob(381)];
        for (const blob of [rewritten, gone]) await writeBlob(a.path, blob);
        for (const name of ['last-here.txt', 'last-there.txt']) await fs.writeFile(a.file(name), 'v1');
        await sleep(1_500);
        await proxy.down();
        await fs.writeFile(b.file('last-here.txt'), 'v2 of B');
        await fs.writeFile(a.file('last-there.txt'), 'v2 of A');
        await sleep(1_500);
        await fs.writeFile(a.file('last-here.txt'), 'v3 of A');
        await fs.writeFile(b.file('last-there.txt'), 'v3 of B');
        for (const { name } of [rewritten, gone]) await fs.unlink(a.file(name));
        await sleep(1_500);
        await client.put(container, rewritten.name, rewritten.content);
        await proxy.up();
        await a.drained();
        await eventually('A owes nothing', async () => (await a.status()).databases[0]?.pendingDeletes === 0);
        assert.deepEqual(await client.get(container, rewritten.name), rewritten.content);
        assert.equal(await client.head(container, gone.name), undefined);
        assert.equal(String(await client.get(container, 'last-here.txt')), 'v3 of A');
        assert.equal(String(await client.get(container, 'last-there.txt')), 'v3 of B');
      } finally {
        await proxy.up();
        await Promise.all([a.stop(), b.stop()]);
      }
    });
  }

  it('A clock that is set back while the mount runs makes nothing be believed for longer.', async () => {
    const database = `set-back${nth++}`;
    const clock = new ShiftedClock(0);
    const a = await startMount({ swift, database, args: MANY });
    const b = await startShifted(clock, database, MANY);
    try {
      const [known, unknown] = [makeBlob(390), makeBlob(391)];
      await writeBlob(a.path, known);
      assert.deepEqual(await fs.readFile(b.file(known.name)), known.content);
      assert.equal(await isThere(b.file(unknown.name)), false);
      clock.set(-HOUR_MS);
      await writeBlob(a.path, unknown);
      await fs.unlink(a.file(known.name));
      await eventually('B finds what it was told to be absent', () => isThere(b.file(unknown.name)), 5_000);
      await eventually('B has lost what was deleted', async () => !(await isThere(b.file(known.name))), 6_000);
    } finally {
      await Promise.all([a.stop(), b.stop()]);
    }
  });
});
