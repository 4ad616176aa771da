/**
 * A long run on demand: `npm run soak -- MINUTES` (default 10). Writers, readers and deleters work over one mount while Swift fails in every
 * way by turns. At no time may an acknowledged name be absent or have other bytes, a deleted one come back, or the daemon grow. The seed is
 * printed; `OSF_SEED=n` repeats the order of the faults. `npm run soak -- differential [MINUTES [WAY…]]` is differential.ts,
 * and `databases` databases.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../helpers/fault-proxy.js';
import type { Rule } from '../helpers/fault-proxy.js';
import { differences, readManifest, readOrAbsent } from '../helpers/manifest.js';
import { eventually } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { randomOf } from '../helpers/random.js';
import { tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import { databases } from './databases.js';
import { differential } from './differential.js';

const MINUTES = Number(process.argv[2] ?? 10);
const WRITERS = 8;
/** Of the writers. */
const DELETERS = 2;
const READERS = 8;
const PAUSE_S = 0.1;
const SAMPLE_MS = 2_000;
/** The cache keeps so many of the files it read last open. */
const CACHE_DESCRIPTORS = 512;
const ARGS = '--write-timeout 2s --lookup-wait 200ms --read-timeout 10s --headers-timeout 3s --stall-timeout 3s --cache-size 30MiB'.split(
  ' ',
);

const TROUBLES: readonly (Rule | 'down')[] = [
  { do: 'reset' },
  { do: 'hang' },
  { do: 'delay', ms: 300 },
  { do: 'lost' },
  { do: 'half', bytes: 10_000, method: 'PUT' },
  { do: 'truncate', bytes: 500, method: 'GET' },
  { do: 'stall', bytes: 500, method: 'GET' },
  { do: 'corrupt', bytes: 100, method: 'GET', path: /\/[0-9a-f]{40}$/ },
  { do: 'status', status: 401, times: 20 },
  { do: 'status', status: 403, method: 'PUT' },
  { do: 'status', status: 429, headers: { 'retry-after': '1' } },
  { do: 'status', status: 503 },
  { do: 'status', status: 507, method: 'PUT' },
  'down',
];

interface Sample {
  readonly residentMib: number;
  readonly descriptors: number;
}

function sampleOf(pid: number): Sample {
  const pages = Number(fs.readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return { residentMib: (pages * 4096) / 2 ** 20, descriptors: fs.readdirSync(`/proc/${pid}/fd`).length };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** The writers are processes of their own, as Odoo's workers are. */
function startWriter(mount: Mount, manifest: string, index: number): { child: ChildProcess; complaint: () => string } {
  const script = path.join(projectRoot, 'test/fault/manifest-writer.py');
  const mode = index < DELETERS ? 'delete' : 'write';
  const child = spawn('python3', [script, mount.path, manifest, `soak-${index}`, mode, String(PAUSE_S)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  return { child, complaint: () => said };
}

async function main(): Promise<void> {
  const seed = Number(process.env['OSF_SEED'] ?? Date.now() % 1_000_000);
  console.log(`soak: ${MINUTES} minutes, seed ${seed}`);
  const random = randomOf(seed);
  const swift = await withSwift();
  const proxy = await FaultProxy.start(swift.url);
  const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database: 'soak', args: ARGS });
  mount.log.expect(/^WARN /);
  const manifest = path.join(tempDir('soak'), 'names');
  const wrong: string[] = [];
  const count = { reads: 0, eio: 0, troubles: 0 };
  const samples: Sample[] = [];
  const endMs = Date.now() + MINUTES * 60_000;
  const isOver = (): boolean => Date.now() >= endMs || wrong.length > 0;

  const before = sampleOf(mount.pid);
  const writers = Array.from({ length: WRITERS }, (_, index) => startWriter(mount, manifest, index));

  const reader = async (): Promise<void> => {
    while (!isOver()) {
      const { written, deleted } = readManifest(manifest);
      const there = [...written];
      const gone = [...deleted];
      for (let round = 0; round < 40 && !isOver(); round += 1) {
        const name = there[Math.floor(random() * there.length)];
        if (name !== undefined) await readOne(name);
        const buried = gone[Math.floor(random() * gone.length)];
        if (buried !== undefined && fs.existsSync(mount.file(buried))) wrong.push(`${buried} was deleted and is back`);
        await sleep(20 + random() * 30);
      }
      await sleep(100);
    }
  };
  const readOne = async (name: string): Promise<void> => {
    count.reads += 1;
    try {
      const content = await readOrAbsent(mount.file(name));
      if (content === undefined) {
        if (readManifest(manifest).written.has(name)) wrong.push(`${name} was acknowledged and is gone`);
      } else if (createHash('sha1').update(content).digest('hex') !== name.slice(3)) wrong.push(`${name} has other bytes`);
    } catch (error) {
      if ((error as { code?: unknown }).code === 'EIO') count.eio += 1;
      else wrong.push(`${name}: ${String(error)}`);
    }
  };
  const troubles = async (): Promise<void> => {
    while (!isOver()) {
      await sleep(500 + random() * 2500);
      const trouble = TROUBLES[Math.floor(random() * TROUBLES.length)];
      if (trouble === undefined) continue;
      count.troubles += 1;
      if (trouble === 'down') await proxy.down();
      else proxy.add(trouble);
      await sleep(300 + random() * 3000);
      proxy.clear();
      await proxy.up();
      // what the test itself remembers must not grow either
      proxy.resetCounts();
    }
  };
  const watcher = async (): Promise<void> => {
    while (!isOver()) {
      await sleep(SAMPLE_MS);
      samples.push(sampleOf(mount.pid));
      for (const { child, complaint } of writers)
        if (child.exitCode !== null && wrong.length === 0) wrong.push(`a writer ended: ${complaint()}`);
    }
  };

  try {
    await Promise.all([...Array.from({ length: READERS }, reader), troubles(), watcher()]);
    for (const { child } of writers) child.kill('SIGTERM');
    await eventually('the writers end', () => writers.every(({ child }) => child.exitCode !== null || child.signalCode !== null));
    proxy.clear();
    await proxy.down();
    await proxy.up();
    assert.deepEqual(wrong, []);
    await mount.drained(300_000);
    const acknowledged = readManifest(manifest);
    const { written, deleted } = acknowledged;
    assert.deepEqual(await differences(acknowledged, (name) => readOrAbsent(mount.file(name))), [], 'through the mount');
    await eventually('all deletes are told', async () => (await mount.status()).databases[0]?.pendingDeletes === 0, 300_000);
    const stored = new Set(await (await swift.client()).names('odoo-soak'));
    assert.deepEqual(
      [...written].filter((name) => !stored.has(name)),
      [],
      'in Swift',
    );
    await sleep(2_000);
    const after = sampleOf(mount.pid);
    const status = await mount.status();
    const third = Math.floor(samples.length / 3);
    const residentMib = [samples.slice(third, -third), samples.slice(-third)].map((part) => median(part.map((s) => s.residentMib)));
    console.log(
      `soak: ${written.size} written, ${deleted.size} deleted, ${count.reads} reads (${count.eio} EIO), ${count.troubles} troubles; ` +
        `resident MiB at the start ${before.residentMib.toFixed(0)}, then ${residentMib.map((mib) => mib.toFixed(0)).join(', ')}; ` +
        `descriptors ${before.descriptors} before, ${after.descriptors} after; open files ${status.openFiles}`,
    );
    assert.ok(written.size > 0 && count.reads > 0 && count.troubles > 0, 'something was done');
    assert.deepEqual(
      mount.log.lines.filter((line) => line.startsWith('ERROR')),
      [],
      'errors in the log',
    );
    assert.equal(status.openFiles, 0);
    assert.ok(after.descriptors <= before.descriptors + CACHE_DESCRIPTORS + 24, 'descriptors leak');
    const [middle = 0, last = 0] = residentMib;
    assert.ok(last <= middle * 1.3 + 20, `the daemon grows: ${middle.toFixed(0)} MiB, then ${last.toFixed(0)} MiB`);
    console.log('soak: passed');
  } catch (error) {
    // Before the servers are stopped, whose own failure would take its place.
    console.error('soak: failed:', error);
    throw error;
  } finally {
    for (const { child } of writers) child.kill('SIGKILL');
    proxy.clear();
    await proxy.up();
    await mount.stop();
    await proxy.close();
    await swift.stop();
  }
}

if (process.argv[2] === 'differential') await differential(Number(process.argv[3] ?? 2), process.argv.slice(4));
else if (process.argv[2] === 'databases') await databases(Number(process.argv[3] ?? 2), process.argv.slice(4));
else await main();
