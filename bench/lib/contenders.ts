/** The mounts side by side over the same objects: the plain directory, this mount in its kinds, and the peers. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { eventually } from '../../test/helpers/processes.js';
import { projectRoot } from '../../test/helpers/project.js';
import type { Bench } from './bench.js';
import { mountRclone, mountS3fs } from './peers.js';
import { startService } from './service.js';
import type { Tree } from './tree.js';

export const EXT4 = 'local directory';
export const OURS = 'this mount';
const DEVICE = 'this mount, without io_uring';
export const PURE = 'this mount, pure Node, no passthrough';
const FUSE_NATIVE = 'this mount, fuse-native';
export const RCLONE = 'rclone mount, vfs full';
const S3FS = 's3fs';

export interface MountedContender {
  readonly name: string;
  /** Where a database's files are. */
  readonly rootOf: (database: string) => string;
  /** Its daemon. */
  readonly pid: number | undefined;
  /** Where it takes many times as long as the others, it works through fewer files, and is measured fewer times. */
  readonly pace: 'fast' | 'slow' | 'slowest';
  /** Requests it has sent to Swift so far, where it can tell. */
  readonly requests?: () => Promise<number>;
  stop(): Promise<void>;
}

/** A mount of every kind over containers that are filled with `trees`, by database name. */
export async function mountAll(bench: Bench, trees: Readonly<Record<string, Tree>>): Promise<MountedContender[]> {
  const databases = Object.keys(trees);
  await makeDatabases(bench, databases);
  for (const database of databases) await bench.bare.upload(containerOf(database), trees[database] as Tree);
  const all: MountedContender[] = [
    { name: EXT4, rootOf: (database) => trees[database]?.directory ?? '', pid: undefined, pace: 'fast', stop: () => Promise.resolve() },
  ];
  const attempts: readonly (readonly [string, () => Promise<MountedContender>])[] = [
    [OURS, () => mountOurs(bench, OURS, [])],
    [DEVICE, () => mountOurs(bench, DEVICE, ['--driver', 'kernel-device'])],
    [PURE, () => mountOurs(bench, PURE, ['--driver', 'kernel-pure'])],
    [FUSE_NATIVE, () => mountOurs(bench, FUSE_NATIVE, ['--driver', 'fuse-native'])],
    [RCLONE, () => rclone(bench)],
    [S3FS, () => s3fs(bench, databases)],
  ];
  for (const [name, attempt] of attempts) {
    if (bench.isAlone && name !== OURS) continue;
    try {
      all.push(await attempt());
    } catch (error) {
      bench.failed(name, error);
    }
  }
  return all;
}

/** What a contender does with `work`, as a failure of that contender alone. @returns those that came through */
export async function eachThatCan(
  bench: Bench,
  contenders: readonly MountedContender[],
  what: string,
  work: (contender: MountedContender) => Promise<unknown>,
): Promise<MountedContender[]> {
  const able: MountedContender[] = [];
  for (const contender of contenders) {
    try {
      await work(contender);
      able.push(contender);
    } catch (error) {
      bench.failed(`${contender.name}, ${what}`, error);
    }
  }
  return able;
}

export function containerOf(database: string): string {
  return `odoo-${database}`;
}

/** By a mount that ends before the files are uploaded: it would know for a while that what it made is empty. */
async function makeDatabases({ swift }: Bench, databases: readonly string[]): Promise<void> {
  const mount = await startService({ swift, args: ['--nodes', 'many'] });
  for (const database of databases) await mkdir(mount.file(database));
  const client = await swift.client();
  await eventually('the containers of the databases are there', async () => {
    const containers = await client.containers();
    return databases.every((database) => containers.includes(containerOf(database)));
  });
  await mount.stop();
}

async function mountOurs({ swift }: Bench, name: string, args: readonly string[]): Promise<MountedContender> {
  const env = { NODE_PATH: path.join(projectRoot, '.state/fuse-native/node_modules') };
  // The lifetimes of several nodes: what one node may believe for an hour is believed for `delete_bound` here.
  const mount = await startService({ swift, env, args: ['--nodes', 'many', ...args] });
  return {
    name,
    rootOf: (database) => mount.file(database),
    pid: mount.pid,
    pace: name === FUSE_NATIVE ? 'slow' : 'fast',
    requests: async () => Object.values((await mount.status()).requestsToSwift).reduce((sum, count) => sum + count, 0),
    stop: () => mount.stop(),
  };
}

async function rclone({ swift, directory }: Bench): Promise<MountedContender> {
  const mount = await mountRclone(swift, path.join(directory, 'rclone'));
  return {
    name: RCLONE,
    rootOf: (database) => path.join(mount.path, containerOf(database)),
    pid: mount.pid,
    pace: 'slow',
    stop: () => mount.stop(),
  };
}

async function s3fs({ swift, directory }: Bench, databases: readonly string[]): Promise<MountedContender> {
  const mounts = new Map<string, Awaited<ReturnType<typeof mountS3fs>>>();
  const stop = async (): Promise<void> => {
    for (const mount of mounts.values()) await mount.stop();
  };
  try {
    for (const database of databases) {
      mounts.set(database, await mountS3fs(swift, containerOf(database), path.join(directory, `s3fs-${database}`)));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: S3FS, rootOf: (database) => mounts.get(database)?.path ?? '', pid: mounts.get('hot')?.pid, pace: 'slowest', stop };
}
