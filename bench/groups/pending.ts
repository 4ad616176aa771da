/**
 * `write_mode: back`: what a write costs when it is answered from the spool, beside `through` and beside a bare write and fsync on the same
 * disk; and how fast a full spool drains when Swift is back.
 */
import fs from 'node:fs';
import path from 'node:path';
import { FaultProxy } from '../../test/helpers/fault-proxy.js';
import type { Mount } from '../../test/helpers/with-mount.js';
import type { Bench, Group } from '../lib/bench.js';
import { msP50 } from '../lib/client.js';
import { containerOf } from '../lib/contenders.js';
import { interleave } from '../lib/rounds.js';
import { startService } from '../lib/service.js';
import { makeTree, writeList } from '../lib/tree.js';
import type { Tree } from '../lib/tree.js';

const FILE_BYTES = 50 * 1024;
const ADDED_LATENCY_MS = 30;
/** What the mount's background may use of its 16 connections, so what the bare PUTs use. */
const DRAIN_AT_ONCE = 12;
const DRAIN_ROUNDS = 3;
const DRAIN_LIMIT_MS = 200_000;
/** Swift's clock says when it ended: asking more often would only take the daemon's time. */
const DRAIN_LOOK_MS = 1_000;
const THROUGH = 'write_mode through';
const BACK = 'write_mode back';
const BACK_ASKED = 'write_mode back, each right after a HEAD at Swift';
const BARE_DISK = 'bare write + fsync of file and directory';
const BARE_PUTS = `bare PUTs, ${DRAIN_AT_ONCE} at once`;
const MOUNT = 'this mount';

type How = 'ask' | 'burst' | 'odoo' | 'sync';

export const pending: Group = { name: 'pending', measure };

async function measure(bench: Bench): Promise<void> {
  await measureFar(bench, 'one', 'odoo', "Odoo's whole write of 50 KB, nodes: one");
  await measureFar(bench, 'many', 'ask', 'write 50 KB: open…close of a name already asked for');
  await measureFar(bench, 'many', 'odoo', "Odoo's whole write of 50 KB");
  await measureDisk(bench);
  await measureDrain(bench);
}

/** Both over a Swift that answers late, each on a database of its own. What pends is let go before the other's turn. */
async function measureFar(bench: Bench, nodes: 'one' | 'many', how: How, title: string): Promise<void> {
  const { swift, scale, add } = bench;
  const proxy = await FaultProxy.start(swift.url);
  const login = { authUrl: proxy.authUrl, user: swift.user, key: swift.key };
  const mounts: Mount[] = [];
  const mountAs = async (writeMode: 'through' | 'back'): Promise<Mount> => {
    const args = ['--nodes', nodes, '--write-mode', writeMode];
    const mount = await startService({ swift: login, database: `far-${nodes}-${how}-${writeMode}`, args });
    mounts.push(mount);
    return mount;
  };
  try {
    proxy.add({ do: 'delay', ms: ADDED_LATENCY_MS });
    const [through, back] = [await mountAs('through'), await mountAs('back')];
    const tree = writesTree(bench, `far-${nodes}-${how}`);
    const writeTo = async (mount: Mount, round: number): Promise<number> => {
      const p50 = await put(bench, mount.path, tree, round, how);
      await mount.drained();
      return p50;
    };
    for (const mount of mounts) await writeTo(mount, scale.requestRounds);
    const samples = await interleave(scale.requestRounds, [
      { name: THROUGH, run: (round) => writeTo(through, round) },
      { name: BACK, run: (round) => writeTo(back, round) },
    ]);
    // With several nodes the name has to be asked for in Swift first, in either mode: that round trip alone is more than the goal.
    const isAskedFor = nodes === 'many' && how === 'odoo';
    add({
      id: `back-far-${nodes}-${how}`,
      title: `${title}; ${ADDED_LATENCY_MS} ms added to each request`,
      unit: 'ms, p50',
      baseline: BACK,
      samples,
      goals: isAskedFor ? [] : [{ of: THROUGH, to: BACK, atLeast: 8 }],
      ...(isAskedFor ? { note: 'both ask Swift for the new name first (one HEAD): no goal' } : {}),
    });
  } finally {
    for (const mount of mounts) await mount.stop();
    await proxy.close();
  }
}

/**
 * On the disk of TMPDIR, where the spool lies too, and Swift: a round is a burst of writes, and what pends goes out when it is over (the
 * publisher waits for that), so no PUT is timed along. The mount asks Swift for a new name; that is done before the burst, since Swift's work on
 * the same processors is none of the disk's, and shown beside.
 */
async function measureDisk(bench: Bench): Promise<void> {
  const { scale, swift, directory, add } = bench;
  const mount = await startService({ swift, database: 'disk', args: ['--nodes', 'many', '--write-mode', 'back'] });
  try {
    const [tree, asked] = [writesTree(bench, 'disk'), writesTree(bench, 'disk-asked', 502)];
    const bare = path.join(directory, 'disk-bare');
    fs.mkdirSync(bare);
    const writeBack = async (from: Tree, round: number, how: How): Promise<number> => {
      const p50 = await put(bench, mount.path, from, round, how);
      await mount.drained();
      return p50;
    };
    await writeBack(tree, scale.requestRounds, 'burst');
    const samples = await interleave(scale.requestRounds, [
      { name: BARE_DISK, run: (round) => put(bench, bare, tree, round, 'sync') },
      { name: BACK, run: (round) => writeBack(tree, round, 'burst') },
      { name: BACK_ASKED, run: (round) => writeBack(asked, round, 'ask') },
    ]);
    add({
      id: 'back-disk',
      title: `write 50 KB, durable on this disk when close() returns; bursts of ${scale.requestsPerRound}`,
      unit: 'ms, p50',
      baseline: BARE_DISK,
      samples,
      goals: [{ of: BACK, to: BARE_DISK, atMost: 1.5 }],
    });
  } finally {
    await mount.stop();
  }
}

/** Swift hangs while the spool is filled; then it goes on, and the time runs from the first object that comes to the last. */
async function measureDrain(bench: Bench): Promise<void> {
  const { scale, bare, directory, add } = bench;
  const tree = makeTree(path.join(directory, 'drain'), { files: scale.drainFiles, sizeBytes: FILE_BYTES, shards: 16, seed: 504 });
  const bareRate = async (round: number): Promise<number> => {
    const container = `bare-drain-${round}`;
    await bare.makeContainer(container);
    await bare.upload(container, tree, DRAIN_AT_ONCE);
    return bare.arrivalRate(container, tree.names.length);
  };
  const samples = await interleave(Math.min(DRAIN_ROUNDS, scale.rounds), [
    { name: BARE_PUTS, run: bareRate },
    { name: MOUNT, run: (round) => drainRate(bench, tree, `drain-${round}`) },
  ]);
  add({
    id: 'drain',
    title: `draining ${scale.drainFiles} pending blobs of 50 KB when Swift is back`,
    unit: 'objects/s',
    baseline: BARE_PUTS,
    samples,
    goals: [{ of: MOUNT, to: BARE_PUTS, atLeast: 0.8 }],
  });
}

async function drainRate({ client, swift, bare, directory }: Bench, tree: Tree, database: string): Promise<number> {
  const mount = await startService({ swift, database, args: ['--nodes', 'many', '--write-mode', 'back'] });
  try {
    mount.log.expect(/^WARN swift\.away/, /^WARN mount\.degraded/);
    swift.faults.stop('proxy');
    try {
      await client.run('put', mount.path, writeList(path.join(directory, 'drain.list'), tree.names), tree.directory, 'ask');
      const { pendingWrites } = (await mount.status()).databases[0] ?? {};
      if (pendingWrites !== tree.names.length) throw new Error(`${String(pendingWrites)} of ${tree.names.length} files pend`);
    } finally {
      swift.faults.continue('proxy');
    }
    await mount.drained(DRAIN_LIMIT_MS, DRAIN_LOOK_MS);
    return await bare.arrivalRate(containerOf(database), tree.names.length);
  } finally {
    await mount.stop();
  }
}

/** In one shard, whose directory is there after the warming round: the last slice. */
function writesTree({ directory, scale }: Bench, name: string, seed = 501): Tree {
  const files = scale.requestsPerRound * (scale.requestRounds + 1);
  return makeTree(path.join(directory, name), { files, sizeBytes: FILE_BYTES, shards: 1, seed });
}

async function put({ client, scale, directory }: Bench, root: string, tree: Tree, round: number, how: How): Promise<number> {
  const names = tree.names.slice(round * scale.requestsPerRound, (round + 1) * scale.requestsPerRound);
  return msP50(await client.run('put', root, writeList(path.join(directory, 'pending.list'), names), tree.directory, how));
}
