/**
 * Nothing acknowledged is lost, whenever the daemon dies. Writers and deleters work over the real mount and note outside of it what was
 * answered; the daemon is killed with SIGKILL, at random and at what it is seen to do; the next one must show all of it, and in the end so
 * must one with an empty cache. Each kind of death comes once, and again while there is time; `OSF_KILLS=n` kills n times. A kill with the kernel's
 * mount and a real Swift takes seconds: the hundreds are in crash-hundreds.test.ts, without these two.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy } from '../helpers/fault-proxy.js';
import { differences, readManifest, readOrAbsent } from '../helpers/manifest.js';
import { eventually } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { withProxiedSwift } from '../helpers/proxied-swift.js';
import { tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import type { Swift } from '../helpers/with-swift.js';

/** After each kind of death came once, it goes on for this long. */
const ENOUGH_MS = 40_000;
const WRITERS = 4;
const ARGS = ['--write-timeout', '1s', '--lookup-wait', '200ms', '--read-timeout', '20s', '--drain-timeout', '1s', '--log-level', 'debug'];

interface Moment {
  readonly title: string;
  /** Sets the scene, e.g. takes Swift away. */
  readonly prepare: (proxy: FaultProxy) => Promise<void> | void;
  /** Resolves when the daemon is to be killed. */
  readonly until: (proxy: FaultProxy, mount: Mount, acknowledged: (count: number) => Promise<unknown>) => Promise<unknown>;
}

const nothing = (): void => undefined;
const seen = (proxy: FaultProxy, method: string, count: number): Promise<unknown> =>
  eventually(`${count} times ${method}`, () => proxy.seen.filter((request) => request.method === method).length >= count, 20_000);
const spooled = (mount: Mount, count: number): Promise<unknown> =>
  eventually(`${count} writes are pending`, () => sealedFiles(mount).length >= count, 20_000);

function sealedFiles(mount: Mount): string[] {
  return fs.readdirSync(path.join(mount.spoolDir, 'v1/crash/sealed'));
}

/** In turn; every other kill happens while something is pending. */
const MOMENTS: readonly Moment[] = [
  {
    title: 'at random, all well',
    prepare: nothing,
    until: async (_proxy, _mount, acknowledged) => {
      await acknowledged(5);
      await sleep(Math.random() * 400);
    },
  },
  { title: 'while Swift is away', prepare: (proxy) => proxy.down(), until: (_, mount) => spooled(mount, 5) },
  {
    title: 'when a PUT has got to Swift and its answer is lost',
    prepare: (proxy) => proxy.add({ do: 'lost', method: 'PUT', path: /\/[0-9a-f]{40}$/, after: 5, times: 4 }),
    until: (proxy) => seen(proxy, 'PUT', 12),
  },
  {
    title: 'while PUTs hang',
    prepare: (proxy) => proxy.add({ do: 'hang', method: 'PUT', after: 8 }),
    until: (_, mount) => spooled(mount, 4),
  },
  {
    title: 'in the middle of PUTs',
    prepare: (proxy) => proxy.add({ do: 'half', bytes: 20_000, method: 'PUT', after: 10, times: 6 }),
    until: (proxy) => seen(proxy, 'PUT', 14),
  },
  {
    title: 'when the deletes begin',
    prepare: (proxy) => proxy.add({ do: 'delay', ms: 30, method: 'DELETE' }),
    until: (proxy) => seen(proxy, 'DELETE', 3),
  },
  {
    title: 'when Swift is just back and the spool is drained',
    prepare: (proxy) => proxy.down(),
    until: async (proxy, mount) => {
      await spooled(mount, 12);
      await proxy.up();
      proxy.resetCounts();
      await seen(proxy, 'PUT', 3);
    },
  },
];

describe('a daemon that is killed again and again', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  before(async () => {
    ({ swift, proxy } = await withProxiedSwift());
  });
  after(() => swift.stop());

  it('A daemon that is killed again and again loses nothing that was acknowledged, and brings back nothing that was deleted.', async (t) => {
    const manifest = path.join(tempDir('manifest'), 'names');
    const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'crash', args: ARGS });
    // Outages are made here on purpose, and a killed writer leaves its file torn.
    mount.log.expect(/^WARN (swift\.away|login-failed|write\.torn|dead-mount-cleared)/);
    let killsWithPending = 0;
    const asked = Number(process.env['OSF_KILLS'] ?? 0);
    const endMs = Date.now() + ENOUGH_MS;
    const goesOn = (kill: number): boolean => (asked > 0 ? kill < asked : kill < MOMENTS.length || Date.now() < endMs);
    let kills = 0;
    for (; goesOn(kills); kills += 1) {
      const kill = kills;
      const moment = MOMENTS[kill % MOMENTS.length];
      assert.ok(moment !== undefined);
      proxy.resetCounts();
      await moment.prepare(proxy);
      const writers = Array.from({ length: WRITERS }, (_, index) => runWriter(mount.path, manifest, `${kill}-${index}`, index % 2 === 1));
      const before = linesOf(manifest);
      const acknowledgedSoFar = (count: number): Promise<unknown> =>
        eventually(`${count} more are acknowledged`, () => linesOf(manifest) - before >= count);
      await moment.until(proxy, mount, acknowledgedSoFar);
      const pending = sealedFiles(mount).length;
      if (pending > 0) killsWithPending += 1;
      await mount.kill9();
      for (const said of await Promise.all(writers)) assert.equal(said, '', `${moment.title}: a writer's error`);
      proxy.clear();
      await proxy.up();
      await mount.restart();
      const acknowledged = readManifest(manifest);
      t.diagnostic(`${moment.title}: ${pending} sealed files, ${acknowledged.written.size} written, ${acknowledged.deleted.size} deleted`);
      assert.deepEqual(await differences(acknowledged, (name) => readOrAbsent(mount.file(name))), [], `killed ${moment.title}`);
    }
    assert.ok(killsWithPending >= kills / 3, `something was pending at only ${killsWithPending} of ${kills} kills`);

    await mount.drained();
    await eventually('all deletes are told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0);
    assert.equal(await mount.terminate(), 0);
    fs.rmSync(mount.cacheDir, { recursive: true });
    await mount.restart();
    const acknowledged = readManifest(manifest);
    assert.deepEqual(await differences(acknowledged, (name) => readOrAbsent(mount.file(name))), [], 'with an empty cache');
    await mount.stop();
    const client = await swift.client();
    const stored = new Set(await client.names('odoo-crash'));
    assert.deepEqual(
      [...acknowledged.written].filter((name) => !stored.has(name)),
      [],
      'all of it is in Swift',
    );
    assert.deepEqual(
      [...acknowledged.deleted].filter((name) => stored.has(name)),
      [],
      'none of what was deleted is in Swift',
    );
  });
});

function linesOf(file: string): number {
  return fs.existsSync(file) ? fs.readFileSync(file, 'latin1').split('\n').length : 0;
}

/** @returns what it complained of; empty when the mount died under it, as it should */
function runWriter(mountPoint: string, manifest: string, seed: string, deletes: boolean): Promise<string> {
  const script = path.join(projectRoot, 'test/fault/manifest-writer.py');
  const child = spawn('python3', [script, mountPoint, manifest, seed, deletes ? 'delete' : 'write'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve(code === 0 ? '' : `${said}(exit ${String(code)})`);
    });
  });
}
