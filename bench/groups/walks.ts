/** A cold walk: every file of a database read by one program while nothing of it is in the cache. */
import fs from 'node:fs';
import path from 'node:path';
import { FaultProxy } from '../../test/helpers/fault-proxy.js';
import type { Bench, Group } from '../lib/bench.js';
import { containerOf, OURS, RCLONE } from '../lib/contenders.js';
import { mountRclone } from '../lib/peers.js';
import { interleave } from '../lib/rounds.js';
import { startService } from '../lib/service.js';
import { makeTree } from '../lib/tree.js';
import type { Tree } from '../lib/tree.js';

const FILE_BYTES = 50 * 1024;
/** What the mount may use (`connections`), so what the bare requests use. */
const CONCURRENCY = 16;
const ADDED_LATENCY_MS = 30;
const ROUNDS = 3;
/** Databases. */
const WALKED = 'walk';
const BEFORE = 'walk-before';
const FIRST = `${OURS}, the first of its life`;
const BARE = `bare GETs, ${CONCURRENCY} at once`;

type Login = Pick<Bench['swift'], 'authUrl' | 'user' | 'key'>;

export const walks: Group = { name: 'walks', measure };

async function measure(bench: Bench): Promise<void> {
  const { scale, swift, bare } = bench;
  const tree = await upload(bench, WALKED, scale.coldWalkFiles, 301);
  await upload(bench, BEFORE, scale.coldWalkBefore, 302);

  // Twice, as cold reads are: a daemon compiles its code as it is used, and the bare requests have done so long ago.
  const near = await interleave(Math.min(ROUNDS, scale.rounds), [
    { name: BARE, run: async () => perSecond(tree, await bare.getAll(containerOf(WALKED), tree.names, CONCURRENCY)) },
    { name: FIRST, run: () => walkOurs(bench, swift, tree, []) },
    { name: OURS, run: () => walkOurs(bench, swift, tree, [BEFORE]) },
  ]);
  bench.add({
    id: 'walk-cold',
    title: `cold walk of ${scale.coldWalkFiles} blobs by one program; after one of ${scale.coldWalkBefore} others`,
    unit: 'files/s',
    baseline: BARE,
    samples: near,
    goals: [{ of: OURS, to: BARE, atLeast: 0.7 }],
  });

  const proxy = await FaultProxy.start(swift.url);
  try {
    proxy.add({ do: 'delay', ms: ADDED_LATENCY_MS });
    const login = { authUrl: proxy.authUrl, user: swift.user, key: swift.key };
    const far = await interleave(scale.name === 'full' ? ROUNDS : 1, [
      { name: OURS, run: () => walkOurs(bench, login, tree, []) },
      { name: RCLONE, run: (round) => walkRclone(bench, login, tree, round), roundsAtMost: 1 },
    ]);
    bench.add({
      id: 'walk-cold-latency',
      title: `the same with ${ADDED_LATENCY_MS} ms added to each request`,
      unit: 'files/s',
      baseline: RCLONE,
      samples: far,
      goals: [{ of: OURS, to: RCLONE, atLeast: 10 }],
    });
  } finally {
    await proxy.close();
  }
}

/** A database of `files` blobs in Swift. */
async function upload({ bare, directory }: Bench, database: string, files: number, seed: number): Promise<Tree> {
  const tree = makeTree(path.join(directory, database), { files, sizeBytes: FILE_BYTES, shards: 16, seed });
  await bare.makeContainer(containerOf(database));
  await bare.upload(containerOf(database), tree);
  return tree;
}

function perSecond({ names }: Tree, tookMs: number): number {
  return (names.length / tookMs) * 1000;
}

/**
 * A mount with an empty cache each time, which stays to the end: see `transfers.ts` on what thousands of removed files do to an ext4 without a journal.
 * @param before databases that are walked first, unmeasured
 */
async function walkOurs({ client, directory }: Bench, swift: Login, tree: Tree, before: readonly string[]): Promise<number> {
  const cache = fs.mkdtempSync(path.join(directory, 'walk-cache-'));
  const mount = await startService({ swift, args: ['--nodes', 'many'], dirs: { cache } });
  try {
    for (const database of before) await client.run('walk', mount.file(database));
    return perSecond(tree, (await client.run('walk', mount.file(WALKED))).totalNs / 1e6);
  } finally {
    await mount.stop();
  }
}

async function walkRclone({ client, directory }: Bench, swift: Login, tree: Tree, round: number): Promise<number> {
  const mount = await mountRclone(swift, path.join(directory, `walk-rclone-${round}`));
  try {
    return perSecond(tree, (await client.run('walk', path.join(mount.path, containerOf(WALKED)))).totalNs / 1e6);
  } finally {
    await mount.stop();
  }
}
