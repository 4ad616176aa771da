/** Writes and cold reads through the mount against the same requests made bare, in turns, one at a time. */
import path from 'node:path';
import type { Bench, Group } from '../lib/bench.js';
import { msP50 } from '../lib/client.js';
import { interleave, median } from '../lib/rounds.js';
import type { Samples } from '../lib/rounds.js';
import { startService } from '../lib/service.js';
import { makeTree, writeList } from '../lib/tree.js';
import type { Tree } from '../lib/tree.js';

const FILE_BYTES = 50 * 1024;
const BARE = 'bare requests';
const MOUNT = 'this mount';

export const writes: Group = { name: 'writes', measure };

async function measure(bench: Bench): Promise<void> {
  const mount = await startService({ swift: bench.swift, database: 'writes', args: ['--nodes', 'many'] });
  try {
    await bench.bare.makeContainer('bare-writes');
    await measureWrites(bench, mount.path, 'ask');
    await measureWrites(bench, mount.path, 'odoo');
    await measureFirstInShard(bench, mount.path);
    await measureColdReads(bench, mount.path, 'odoo-writes');
    await mount.drained();
  } finally {
    await mount.stop();
  }
}

function sliceOf(tree: Tree, round: number, count: number): readonly string[] {
  return tree.names.slice(round * count, (round + 1) * count);
}

async function measureWrites({ client, bare, scale, directory, add }: Bench, root: string, how: 'ask' | 'odoo'): Promise<void> {
  const { requestsPerRound: count, requestRounds: rounds } = scale;
  // One shard: its directory is there after the first round.
  const seed = how === 'ask' ? 201 : 202;
  const tree = makeTree(path.join(directory, `write-${how}`), { files: count * (rounds + 1), sizeBytes: FILE_BYTES, shards: 1, seed });
  const list = path.join(directory, `write-${how}.list`);
  const put = (round: number): Promise<number> =>
    client.run('put', root, writeList(list, sliceOf(tree, round, count)), tree.directory, how).then(msP50);
  await put(rounds);
  const samples = await interleave(rounds, [
    { name: BARE, run: async (round) => median(await bare.putEach('bare-writes', tree, sliceOf(tree, round, count), how === 'odoo')) },
    { name: MOUNT, run: put },
  ]);
  const title =
    how === 'ask'
      ? 'write 50 KB: open…close of a name already asked for, against one PUT'
      : "write 50 KB: Odoo's whole sequence, against HEAD of a missing name + PUT";
  const goals = [{ of: MOUNT, to: BARE, atMost: 1.3 }];
  add({ id: `write-${how}`, title, unit: 'ms, p50', baseline: BARE, samples, goals });
}

/** Every file the first of its shard: the mkdir and its questions are in it. */
async function measureFirstInShard({ client, bare, scale, directory, add }: Bench, root: string): Promise<void> {
  const rounds = scale.requestRounds;
  const shards = Math.min(240, rounds * scale.requestsPerRound);
  const all = makeTree(path.join(directory, 'write-first'), { files: 256, sizeBytes: FILE_BYTES, shards: 256, seed: 203 });
  const tree = { ...all, names: all.names.slice(16, 16 + shards) };
  const count = Math.floor(shards / rounds);
  const list = path.join(directory, 'write-first.list');
  const samples = await interleave(rounds, [
    { name: BARE, run: async (round) => median(await bare.putEach('bare-writes', tree, sliceOf(tree, round, count), true)) },
    {
      name: MOUNT,
      run: (round) => client.run('put', root, writeList(list, sliceOf(tree, round, count)), tree.directory, 'odoo').then(msP50),
    },
  ]);
  add({
    id: 'write-odoo-first',
    title: "write 50 KB: Odoo's whole sequence, first in its shard, against HEAD + PUT",
    unit: 'ms, p50',
    baseline: BARE,
    samples,
    goals: [{ of: MOUNT, to: BARE, atMost: 1.3 }],
  });
}

/** Twice: a daemon that has just begun compiles its code as it is used, one that has run for minutes has compiled it (bare requests have here, too). */
async function measureColdReads({ client, bare, scale, directory, add }: Bench, root: string, container: string): Promise<void> {
  const { requestsPerRound: count, requestRounds: rounds, coldReadsBefore } = scale;
  const between = Math.ceil(coldReadsBefore / count);
  const files = (2 * rounds + between) * count;
  const tree = makeTree(path.join(directory, 'cold'), { files, sizeBytes: FILE_BYTES, shards: 1, seed: 204 });
  await bare.upload(container, tree);
  const list = path.join(directory, 'cold.list');
  const read = async (round: number): Promise<number> => {
    // Backwards: in the order of a listing it would be a walk, which is fetched ahead and has a row of its own.
    writeList(list, [...sliceOf(tree, round, count)].reverse());
    await client.run('stat', root, list);
    return msP50(await client.run('read', root, list, 1));
  };
  const measureFrom = (first: number): Promise<readonly Samples[]> =>
    interleave(rounds, [
      { name: 'bare GET', run: async (round) => median(await bare.getEach(container, sliceOf(tree, first + round, count))) },
      { name: MOUNT, run: (round) => read(first + round) },
    ]);
  const title = 'cold read of 50 KB under a known name, against one GET';
  const row = { unit: 'ms, p50', baseline: 'bare GET' };
  add({
    ...row,
    id: 'read-cold-first',
    title: `${title}: the first ${count * rounds} of a daemon's life; no goal`,
    samples: await measureFrom(0),
    goals: [],
  });
  for (let round = rounds; round < rounds + between; round++) await read(round);
  const goals = [{ of: MOUNT, to: 'bare GET', atMost: 1.2 }];
  const note = `after ${(rounds + between) * count} others`;
  add({ ...row, id: 'read-cold', title, samples: await measureFrom(rounds + between), goals, note });
}
