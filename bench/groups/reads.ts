/** Warm work, side by side: what is in every contender's cache already costs what here? */
import path from 'node:path';
import type { Bench, Group } from '../lib/bench.js';
import { usEach, usP50 } from '../lib/client.js';
import type { Timed } from '../lib/client.js';
import { EXT4, eachThatCan, mountAll, OURS, PURE, RCLONE } from '../lib/contenders.js';
import type { MountedContender } from '../lib/contenders.js';
import { cpuUs, dropDentries } from '../lib/machine.js';
import type { Goal } from '../lib/row.js';
import { interleave } from '../lib/rounds.js';
import type { Contender, Samples } from '../lib/rounds.js';
import { makeTree, writeList } from '../lib/tree.js';

const FILE_BYTES = 50 * 1024;
const READERS = 8;
const BLOCK_BYTES = 128 * 1024;
const CPU_PASSES = 5;
const ATTEMPTS = 5;
const FILES = { fast: Number.POSITIVE_INFINITY, slow: 100, slowest: 12 } as const;
const ROUNDS = { fast: Number.POSITIVE_INFINITY, slow: 5, slowest: 2 } as const;

/** The file of names that a contender works through. */
type ListFor = (contender: MountedContender) => string;

export const reads: Group = { name: 'reads', measure };

async function measure(bench: Bench): Promise<void> {
  const { scale, directory } = bench;
  const hot = makeTree(path.join(directory, 'hot'), { files: scale.hotFiles, sizeBytes: FILE_BYTES, shards: 8, seed: 1 });
  const large = makeTree(path.join(directory, 'large'), { files: 1, sizeBytes: scale.largeBytes, shards: 256, seed: 2 });
  const findFiles = scale.findShards * scale.findFilesPerShard;
  const tiny = makeTree(path.join(directory, 'tiny'), { files: findFiles, sizeBytes: 256, shards: scale.findShards, seed: 3 });
  const contenders = await mountAll(bench, { hot, large, tiny });
  try {
    const lists = new Map(
      (['fast', 'slow', 'slowest'] as const).map((pace) => [
        pace,
        writeList(path.join(directory, `hot-${pace}.list`), hot.names.slice(0, FILES[pace])),
      ]),
    );
    const listFor: ListFor = ({ pace }) => lists.get(pace) ?? '';
    const warm = await eachThatCan(bench, contenders, 'first read', (contender) =>
      bench.client.run('read', contender.rootOf('hot'), listFor(contender), 1),
    );
    await measureSmall(bench, warm, listFor);
    await measureCpu(bench, warm, listFor);
    await measureStat(bench, warm, listFor);
    const walked = await eachThatCan(bench, warm, 'first find', ({ rootOf }) => bench.client.run('find', rootOf('tiny')));
    await measureFind(bench, walked);
    const largeName = large.names[0] ?? '';
    const read = ({ rootOf }: MountedContender): Promise<unknown> =>
      bench.client.run('seq', path.join(rootOf('large'), largeName), BLOCK_BYTES, 1);
    await measureSequential(bench, await eachThatCan(bench, warm, 'first read of the large file', read), largeName);
  } finally {
    for (const contender of contenders) await contender.stop().catch((error: unknown) => bench.failed(`${contender.name}, its end`, error));
  }
}

/** A contender's turn: what it knows of the names is fresh, then `work` is measured. */
function turns(
  bench: Bench,
  contenders: readonly MountedContender[],
  database: string,
  work: (contender: MountedContender) => Promise<number>,
): Promise<Samples[]> {
  const turn = (contender: MountedContender): Contender => ({
    name: contender.name,
    run: () => warmTurn(bench, contender, database, () => work(contender)),
    roundsAtMost: ROUNDS[contender.pace],
  });
  return interleave(bench.scale.rounds, contenders.map(turn));
}

/**
 * What is known of names ends with `delete_bound`, maybe in the middle of a measurement, which is then not one of warm work: it is made again.
 * Listing the directories before it keeps the names known, for all alike.
 */
async function warmTurn(bench: Bench, contender: MountedContender, database: string, work: () => Promise<number>): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    if (contender.pace !== 'slowest') await bench.client.run('find', contender.rootOf(database));
    const before = await contender.requests?.();
    const value = await work();
    if (before === (await contender.requests?.()) || attempt >= ATTEMPTS) return value;
  }
}

async function measureSmall(bench: Bench, contenders: readonly MountedContender[], listFor: ListFor): Promise<void> {
  const { client, add } = bench;
  const one = await turns(bench, contenders, 'hot', async (contender) =>
    usP50(await client.run('read', contender.rootOf('hot'), listFor(contender), 2)),
  );
  add({
    id: 'read-warm',
    title: 'warm open + read + close of 50 KB, one reader',
    unit: 'us a file, p50',
    baseline: EXT4,
    samples: one,
    goals: only(contenders, [
      { of: OURS, to: EXT4, atMost: 4.5 },
      { of: RCLONE, to: OURS, atLeast: 12 },
    ]),
  });
  const eight = await turns(bench, contenders, 'hot', async (contender) =>
    usEach(await client.run('par', contender.rootOf('hot'), listFor(contender), READERS)),
  );
  add({
    id: 'read-warm-8',
    title: `the same, ${READERS} readers`,
    unit: 'us a file',
    baseline: EXT4,
    samples: eight,
    goals: [{ of: OURS, to: EXT4, atMost: 2.7 }],
  });
}

async function measureCpu(bench: Bench, contenders: readonly MountedContender[], listFor: ListFor): Promise<void> {
  const daemons = contenders.filter(({ pid, pace }) => pid !== undefined && pace !== 'slowest');
  const samples = await turns(bench, daemons, 'hot', async (contender) => {
    const { rootOf, pid = 0 } = contender;
    const pass = (passes: number): Promise<Timed> => bench.client.run('read', rootOf('hot'), listFor(contender), passes);
    await pass(1);
    const before = cpuUs(pid);
    const { count } = await pass(CPU_PASSES);
    return (cpuUs(pid) - before) / CPU_PASSES / count;
  });
  bench.add({
    id: 'cpu-warm',
    title: "the daemon's CPU for a warm read of 50 KB",
    unit: 'us a file',
    samples,
    goals: [{ of: OURS, atMost: 60 }],
  });
}

async function measureStat(bench: Bench, contenders: readonly MountedContender[], listFor: ListFor): Promise<void> {
  const samples = await turns(bench, contenders, 'hot', async (contender) => {
    dropDentries();
    return usP50(await bench.client.run('stat', contender.rootOf('hot'), listFor(contender)));
  });
  const goals = [{ of: OURS, to: EXT4, atMost: 6 }];
  bench.add({ id: 'stat-dropped', title: 'stat, dentries dropped', unit: 'us a name, p50', baseline: EXT4, samples, goals });
}

async function measureFind(bench: Bench, contenders: readonly MountedContender[]): Promise<void> {
  const { scale } = bench;
  const entries = scale.findShards * (scale.findFilesPerShard + 1);
  const walks: readonly { readonly id: string; readonly title: string; readonly walk: (root: string) => Promise<Timed> }[] = [
    { id: 'find-dropped', title: 'find(1) -type f', walk: (root) => bench.client.command('find', [root, '-type', 'f']) },
    { id: 'find-ls-dropped', title: 'a walk with an lstat of each entry', walk: (root) => bench.client.run('find', root) },
  ];
  for (const { id, title, walk } of walks) {
    const samples = await turns(bench, contenders, 'tiny', async ({ rootOf }) => {
      dropDentries();
      return (await walk(rootOf('tiny'))).totalNs / entries / 1000;
    });
    bench.add({
      id,
      title: `${title} over ${scale.findShards} x ${scale.findFilesPerShard} files, dentries dropped`,
      unit: 'us an entry',
      baseline: EXT4,
      samples,
      goals: [{ of: OURS, to: EXT4, atMost: 3 }],
      note: 'names listed within delete_bound',
    });
  }
}

async function measureSequential(bench: Bench, contenders: readonly MountedContender[], name: string): Promise<void> {
  const samples = await turns(bench, contenders, 'large', async ({ rootOf }) => {
    const { bytes = 0, totalNs } = await bench.client.run('seq', path.join(rootOf('large'), name), BLOCK_BYTES, 2);
    return (bytes / totalNs) * 1000;
  });
  bench.add({
    id: 'sequential',
    title: `warm sequential read of ${Math.round(bench.scale.largeBytes / 2 ** 20)} MiB`,
    unit: 'MB/s',
    baseline: EXT4,
    samples,
    goals: only(contenders, [
      { of: OURS, to: EXT4, atLeast: 0.95 },
      { of: PURE, to: EXT4, atLeast: 0.3 },
    ]),
  });
}

/** Goals whose contenders take part; who could not is a failure of the run already. */
function only(contenders: readonly MountedContender[], goals: readonly Goal[]): Goal[] {
  const has = (name: string | undefined): boolean => name === undefined || contenders.some((contender) => contender.name === name);
  return goals.filter(({ of, to }) => has(of) && has(to));
}
