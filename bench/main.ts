/**
 * `npm run bench`: what the product promises in figures, measured in one run on one machine beside what others take for the same work.
 *
 *   node dist/bench/main.js [--smoke | --full] [--only GROUP,…] [--alone] [--journal]
 *
 * `--alone` leaves the peers out, for work on the product. `--journal` says that the runner (scripts/testing/run-bench.mjs) has made a disk for it.
 *
 * Everything it makes lies in one temporary directory (TMPDIR says on which disk) and is gone at its end. Exit code 1 when a contender could
 * not take part or a measurement failed, so that no peer is ever left out in silence; a missed goal is told and is no failure.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../test/helpers/project.js';
import { removeDir, tempDir } from '../test/helpers/temp-dir.js';
import { withSwift } from '../test/helpers/with-swift.js';
import { pending } from './groups/pending.js';
import { reads } from './groups/reads.js';
import { requests } from './groups/requests.js';
import { start } from './groups/start.js';
import { transfers } from './groups/transfers.js';
import { walks } from './groups/walks.js';
import { writes } from './groups/writes.js';
import { BareSwift } from './lib/bare-swift.js';
import type { Bench, Group } from './lib/bench.js';
import { BenchClient } from './lib/client.js';
import { machineFacts } from './lib/machine.js';
import { printRow, writeResults } from './lib/report.js';
import type { Row } from './lib/row.js';
import { SCALES } from './lib/scale.js';

const GROUPS: readonly Group[] = [requests, writes, pending, start, reads, walks, transfers];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean' },
      full: { type: 'boolean' },
      only: { type: 'string' },
      alone: { type: 'boolean' },
      journal: { type: 'boolean' },
    },
  });
  const wanted = values.only?.split(',') ?? GROUPS.map(({ name }) => name);
  const unknown = wanted.filter((name) => !GROUPS.some((group) => group.name === name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(',')}: the groups are ${GROUPS.map(({ name }) => name).join(', ')}`);

  const directory = tempDir('bench');
  const facts = {
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    startedAt: new Date().toISOString(),
    machine: machineFacts(directory),
  };
  for (const [name, value] of Object.entries(facts.machine)) console.log(`${name}: ${value}`);
  const rows: Row[] = [];
  const failures: string[] = [];
  const swift = await withSwift();
  const bare = await BareSwift.login(swift);
  const bench: Bench = {
    scale: SCALES[values.smoke === true ? 'smoke' : values.full === true ? 'full' : 'quick'],
    isAlone: values.alone === true,
    directory,
    client: await BenchClient.compile(directory),
    swift,
    bare,
    add: (row) => {
      rows.push(row);
      printRow(row);
    },
    failed: (what, error) => {
      failures.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      console.error(`FAILED ${failures.at(-1) ?? ''}`);
    },
  };
  try {
    for (const group of GROUPS) {
      if (!wanted.includes(group.name)) continue;
      const before = performance.now();
      await group.measure(bench).catch((error: unknown) => bench.failed(`group ${group.name}`, error));
      console.log(`\n(${group.name}: ${((performance.now() - before) / 1000).toFixed(0)} s)`);
    }
  } finally {
    await bare.close();
    await swift.stop();
    removeDir(directory);
  }
  const files = writeResults(path.join(projectRoot, 'bench/results'), facts, rows, failures);
  console.log(`\nwritten: ${files.map((file) => path.relative(projectRoot, file)).join(', ')}`);
  for (const failure of failures) console.error(`FAILED ${failure}`);
  if (failures.length > 0) process.exitCode = 1;
}

// Everything started has an exit hook that ends it; a signal must run them too.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => process.exit(code));
}
await main();
