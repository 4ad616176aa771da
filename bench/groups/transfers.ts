/** The product's Swift client against those of OpenStack and rclone: many small objects and one large one, up and down, each as a program. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { createLog } from '../../src/base/log.js';
import { createSwiftStore } from '../../src/swift/swift-store.js';
import { tempauthSettings } from '../../test/helpers/swift-settings.js';
import type { Bench, Group } from '../lib/bench.js';
import type { Timed } from '../lib/client.js';
import { rcloneEnvironment } from '../lib/peers.js';
import { interleave, median } from '../lib/rounds.js';
import type { Contender, Samples } from '../lib/rounds.js';
import { makeTree, writeList } from '../lib/tree.js';
import type { Tree } from '../lib/tree.js';

const SMALL_BYTES = 20 * 1024;
const CONCURRENCY = 8;
/** Of the large object. */
const SEGMENTS = 8;
const OURS = 'our client';
const RCLONE = 'rclone copy';
const SWIFT = 'swift (python-swiftclient)';
/** What this machine and this Swift have room for. */
const CURL = 'curl, which hashes nothing';

export const transfers: Group = { name: 'transfers', measure };

/** One program: how it uploads a tree to a container, and how it downloads that into a directory. */
interface Program {
  readonly name: string;
  readonly put: (container: string) => Promise<Timed>;
  readonly get: (container: string, into: string) => Promise<Timed>;
}

async function measure(bench: Bench): Promise<void> {
  const { scale, directory } = bench;
  const small = makeTree(path.join(directory, 'small'), { files: scale.transferObjects, sizeBytes: SMALL_BYTES, shards: 16, seed: 401 });
  await measureTree(bench, small, 'small', `${scale.transferObjects} objects of 20 KB`, scale.name === 'smoke' ? 1 : 3);
  const large = makeTree(path.join(directory, 'one'), { files: 1, sizeBytes: scale.transferLargeBytes, shards: 256, seed: 402 });
  const title = `one object of ${Math.round(scale.transferLargeBytes / 2 ** 20)} MiB`;
  await measureTree(bench, large, 'large', title, scale.name === 'smoke' ? 1 : 3);
  await measureSegments(bench, large, title, scale.name === 'smoke' ? 1 : 3);
  await measureLatency(bench, small);
}

/** @param segmentBytes where those that can send a file in segments, several at once, are to do so */
function programsFor({ client, swift, directory }: Bench, tree: Tree, segmentBytes?: number): readonly Program[] {
  const list = writeList(path.join(directory, 'transfer.list'), tree.names);
  const threads = String(CONCURRENCY);
  const worker = path.resolve(import.meta.dirname, '../bundle/transfer-worker.js');
  const ownSegments = segmentBytes === undefined ? [] : [String(segmentBytes)];
  const swiftSegments = segmentBytes === undefined ? [] : ['--segment-size', String(segmentBytes), '--segment-threads', threads];
  const own = (what: string, container: string, at: string): Promise<Timed> =>
    client.command(process.execPath, [worker, what, container, at, list, threads, ...ownSegments], swift.env);
  const rclone = (from: string, to: string): Promise<Timed> =>
    client.command('rclone', ['copy', from, to, '--transfers', threads, '--checkers', threads], rcloneEnvironment(swift));
  const env = { ...swift.env, PWD: tree.directory };
  return [
    { name: OURS, put: (container) => own('put', container, tree.directory), get: (container, into) => own('get', container, into) },
    {
      name: RCLONE,
      put: (container) => rclone(tree.directory, `bench:${container}`),
      get: (container, into) => rclone(`bench:${container}`, into),
    },
    {
      name: SWIFT,
      put: (container) => {
        const args = ['-q', 'upload', '--object-threads', threads, ...swiftSegments, '--object-name', '', container, `${tree.directory}/`];
        return client.command('swift', args, env);
      },
      get: (container, into) => client.command('swift', ['-q', 'download', '--object-threads', threads, '-D', into, container], env),
    },
  ];
}

async function measureTree(bench: Bench, tree: Tree, id: string, title: string, rounds: number): Promise<void> {
  const totalMb = (tree.names.length * tree.sizeBytes) / 1e6;
  const rate = ({ totalNs }: Timed): number => (id === 'small' ? (tree.names.length / totalNs) * 1e9 : (totalMb / totalNs) * 1e9);
  const cpu = new Map<string, number[]>();
  const noteCpu = (name: string, { cpuSeconds = Number.NaN }: Timed): void => {
    const each = cpu.get(name) ?? [];
    cpu.set(name, each);
    each.push((cpuSeconds * 1e6) / tree.names.length);
  };
  const programs = programsFor(bench, tree);
  const containers = new Map(programs.map(({ name }) => [name, `transfer-${randomUUID().slice(0, 8)}`]));
  const containerOf = (name: string, round: number): string => `${containers.get(name) ?? ''}-${round}`;
  const senders: Contender[] = programs.map(({ name, put }) => ({
    name,
    run: async (round) => {
      const timed = await put(containerOf(name, round));
      noteCpu(name, timed);
      return rate(timed);
    },
  }));
  if (id === 'large') senders.push({ name: CURL, run: async (round) => rate(await putByCurl(bench, tree, `curl-${round}`)) });
  const up = await interleave(rounds, senders);
  const down = await interleave(
    rounds,
    programs.map(({ name, get }, index) => ({
      name,
      run: async (round) => {
        const into = path.join(bench.directory, `down-${id}-${index}-${round}`);
        fs.mkdirSync(into);
        const timed = await get(containerOf(name, 0), into);
        const found = fs.readdirSync(into, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
        // Thousands of small ones stay to the end: an ext4 without a journal looks past all that were removed in the last half minute whenever a file is made.
        if (id === 'large') fs.rmSync(into, { recursive: true });
        if (found !== tree.names.length) throw new Error(`${name} downloaded ${found} of ${tree.names.length} files`);
        noteCpu(name, timed);
        return rate(timed);
      },
    })),
  );
  const unit = id === 'small' ? 'objects/s' : 'MB/s';
  bench.add({ id: `put-${id}`, title: `upload of ${title}`, unit, baseline: better(up), samples: up, goals: ratesGoal(up) });
  bench.add({ id: `get-${id}`, title: `download of ${title}`, unit, baseline: better(down), samples: down, goals: ratesGoal(down) });
  if (id !== 'small') return;
  bench.add({
    id: 'transfer-cpu',
    title: 'CPU of the program, its own start included, for each of these objects',
    unit: 'us',
    baseline: RCLONE,
    samples: [...cpu].map(([name, values]) => ({ name, values })),
    goals: [{ of: OURS, to: RCLONE, atMost: 1 }],
  });
}

async function putByCurl({ bare, client }: Bench, { directory, names: [name = ''] }: Tree, container: string): Promise<Timed> {
  await bare.makeContainer(container);
  return client.command('curl', bare.curlToPut(container, name, path.join(directory, name)));
}

/**
 * The large object in segments, several at once: ours sends four, python-swiftclient as many as the others' concurrency is. rclone sends
 * segments one after the other, so it sends the object in one piece, which is faster.
 */
async function measureSegments(bench: Bench, tree: Tree, title: string, rounds: number): Promise<void> {
  const { sizeBytes } = tree;
  const programs = programsFor(bench, tree, Math.ceil(sizeBytes / SEGMENTS));
  const container = `segments-${randomUUID().slice(0, 8)}`;
  const samples = await interleave(
    rounds,
    programs.map(({ name, put }, index) => ({
      name,
      run: async (round) => (sizeBytes * 1000) / (await put(`${container}-${index}-${round}`)).totalNs,
    })),
  );
  bench.add({
    id: 'put-segments',
    title: `upload of ${title} in ${SEGMENTS} segments (rclone: in one piece)`,
    unit: 'MB/s',
    baseline: better(samples),
    samples,
    goals: ratesGoal(samples),
  });
}

/** The faster of the two others. */
function better(samples: readonly Samples[]): string {
  const others = samples.filter(({ name }) => name !== OURS && name !== CURL).sort((a, b) => median(b.values) - median(a.values));
  return others[0]?.name ?? RCLONE;
}

function ratesGoal(samples: readonly Samples[]): [{ of: string; to: string; atLeast: number }] {
  return [{ of: OURS, to: better(samples), atLeast: 1.3 }];
}

async function measureLatency(bench: Bench, tree: Tree): Promise<void> {
  const { swift, bare, scale } = bench;
  const container = 'transfer-latency';
  await bare.makeContainer(container);
  await bare.upload(container, tree);
  const names = tree.names.slice(0, scale.requestsPerRound);
  const log = createLog('warn', (line) => console.error(line));
  const store = createSwiftStore(tempauthSettings(swift.authUrl), { log, userAgent: 'odoo-swiftfs-bench' });
  const ours = async (): Promise<number> => {
    const took: number[] = [];
    for (const name of names) {
      const before = performance.now();
      const read = await store.get(container, name);
      if (read === undefined) throw new Error(`${name} is not there`);
      for await (const _chunk of read.body);
      took.push(performance.now() - before);
    }
    return median(took);
  };
  try {
    await ours();
    const samples = await interleave(scale.requestRounds * 2, [
      { name: 'bare undici', run: async () => median(await bare.getEach(container, names)) },
      { name: OURS, run: ours },
    ]);
    const goals = [{ of: OURS, to: 'bare undici', atMost: 1.1 }];
    bench.add({
      id: 'get-latency',
      title: 'GET of 20 KB by our client, against bare undici',
      unit: 'ms, p50',
      baseline: 'bare undici',
      samples,
      goals,
    });
  } finally {
    await store.close();
  }
}
