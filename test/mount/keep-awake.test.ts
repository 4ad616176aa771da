/** The processors while many requests come: what all programs of the machine ask for together is what /dev/cpu_dma_latency reads. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { eventually } from '../helpers/processes.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const DEVICE = '/dev/cpu_dma_latency';

describe('many requests', () => {
  let swift: Swift;
  let mount: Mount;
  before(async () => {
    swift = await withSwift();
    mount = await startMount({ swift, database: 'prod' });
  });
  after(async () => {
    await mount.stop();
    await swift.stop();
  });

  /** Undefined where the machine has no such device, or it is another's. */
  const latencyUs = async (): Promise<number | undefined> => {
    const handle = await fs.open(DEVICE, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      return (await handle.read(Buffer.alloc(4), 0, 4, 0)).buffer.readInt32LE(0);
    } finally {
      await handle.close();
    }
  };

  it('While many requests come, and no longer, the processors are kept awake, where the daemon may do so.', async () => {
    await fs.writeFile(mount.file('notes.txt'), 'read again and again');
    const before = await latencyUs();
    const has = before !== undefined;
    const seen = new Set<number | undefined>();
    await eventually('it is asked for', async () => {
      for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 16 }, () => fs.readFile(mount.file('notes.txt'))));
      seen.add(await latencyUs());
      return seen.has(has ? 0 : undefined);
    });
    // Unless another program of the machine wants the same all the time.
    const whenIdle = async (): Promise<boolean> => before === 0 || (await latencyUs()) !== 0;
    await eventually('it ends', whenIdle, 60_000);
    assert.equal((await mount.status()).state, 'serving');
  });
});
