/**
 * Every generation of Odoo over the real mount and the real Swift: its own sequences of calls (replay.py), first on a plain directory as the
 * oracle, then on the mount, then with Swift gone. What both show must be the same.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { runOk } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const GENERATIONS = ['8.0-9.0', '10.0-13.0', '14.0-16.0', '17.0-18.0', '19.0', '20.0dev-upload', '20.0dev-new'] as const;
type Scenario = 'write' | 'life' | 'databases';

/** A write that takes longer than this has waited for a Swift that is not there. The aim is 1 s; the machine may be loaded. */
const WRITE_LIMIT_WITHOUT_SWIFT_MS = 5000;

interface Replayed {
  readonly seen: Readonly<Record<string, unknown>>;
  readonly ms: Readonly<Record<string, number>>;
}

describe('unmodified Odoo, generation by generation, over the mount', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let mount: Mount;
  let oracle: string;
  let scratch: string;

  const replay = async (generation: string, scenario: Scenario, filestore: string): Promise<Replayed> => {
    const script = path.join(projectRoot, 'test/odoo/replay.py');
    return JSON.parse(await runOk('/usr/bin/python3', [script, generation, scenario, filestore, scratch])) as Replayed;
  };
  const container = (generation: string): string => `odoo-odoo_${generation.replace(/[.-]/g, '_')}`.toLowerCase();

  before(async () => {
    oracle = tempDir('oracle');
    scratch = tempDir('scratch');
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl } });
  });
  after(async () => {
    await mount.stop();
    await proxy.close();
    await swift.stop();
    removeDir(oracle);
    removeDir(scratch);
  });

  for (const generation of GENERATIONS) {
    it(`${generation}: attachments are written, read, written again, replaced and collected as on a plain directory`, async () => {
      const expected = await replay(generation, 'life', oracle);
      const { seen, ms } = await replay(generation, 'life', mount.path);
      console.log(`${generation} life, ms: ${JSON.stringify(ms)}`);
      assert.deepEqual(seen, expected.seen);
    });

    it(`${generation}: databases are duplicated, renamed, backed up, dropped and restored as on a plain directory`, async () => {
      const expected = await replay(generation, 'databases', oracle);
      const { seen, ms } = await replay(generation, 'databases', mount.path);
      console.log(`${generation} databases, ms: ${JSON.stringify(ms)}`);
      assert.deepEqual(seen, expected.seen);
    });

    it(`${generation}: Swift holds the very blobs under their store_fname, and no marker or temporary file`, async () => {
      await mount.drained();
      const client = await swift.client();
      const names = await client.names(container(generation));
      assert.ok(names.length >= 8, `objects: ${names.join(' ')}`);
      for (const name of names) assert.match(name, /^[0-9a-f]{2}\/[0-9a-f]{40}$/);
    });
  }

  it('with Swift gone every generation still writes at once, and what it wrote reaches Swift when that is back', async () => {
    mount.log.expect(/^WARN /);
    await proxy.down();
    const written = new Map<string, string[]>();
    for (const generation of GENERATIONS) {
      const { seen, ms } = await replay(generation, 'write', mount.path);
      console.log(`${generation} without Swift, ms: ${JSON.stringify(ms)}`);
      for (const [step, took] of Object.entries(ms))
        assert.ok(took < WRITE_LIMIT_WITHOUT_SWIFT_MS, `${generation}: ${step} took ${took} ms`);
      written.set(generation, seen['names'] as string[]);
    }
    assert.equal((await mount.status()).safeToLoseThisMachine, false);
    await proxy.up();
    await mount.drained();
    const client = await swift.client();
    for (const [generation, names] of written) {
      const stored = new Set(await client.names(container(generation)));
      assert.deepEqual(
        names.filter((name) => !stored.has(name)),
        [],
        `${generation}: not in Swift`,
      );
    }
  });
});
