/** The mounts we are compared with: rclone and s3fs, each with its own cache directory, in the foreground under our eyes. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { atExit } from '../../test/helpers/at-exit.js';
import { eventually } from '../../test/helpers/processes.js';
import type { Swift } from '../../test/helpers/with-swift.js';
import { isMounted } from '../../test/helpers/with-mount.js';

interface PeerMount {
  readonly path: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const END_LIMIT_MS = 15_000;

/** rclone's remote `bench:` of a tempauth Swift, by environment. */
export function rcloneEnvironment({ authUrl, user, key }: Pick<Swift, 'authUrl' | 'user' | 'key'>): Record<string, string> {
  return {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_BENCH_TYPE: 'swift',
    RCLONE_CONFIG_BENCH_USER: user,
    RCLONE_CONFIG_BENCH_KEY: key,
    RCLONE_CONFIG_BENCH_AUTH: authUrl,
    RCLONE_CONFIG_BENCH_AUTH_VERSION: '1',
  };
}

/** Mounts all containers of the account, each a directory. */
export function mountRclone(swift: Pick<Swift, 'authUrl' | 'user' | 'key'>, directory: string): Promise<PeerMount> {
  const mountPoint = makeDirectory(directory, 'mnt');
  const args = ['mount', 'bench:', mountPoint, '--vfs-cache-mode', 'full', '--cache-dir', makeDirectory(directory, 'cache')];
  return start('rclone', args, rcloneEnvironment(swift), mountPoint, directory);
}

/** Mounts one container through Swift's S3 interface. */
export function mountS3fs(swift: Swift, container: string, directory: string): Promise<PeerMount> {
  const mountPoint = makeDirectory(directory, 'mnt');
  // Both spellings: s3fs 1.91 renamed them.
  const env = {
    AWSACCESSKEYID: swift.user,
    AWSSECRETACCESSKEY: swift.key,
    AWS_ACCESS_KEY_ID: swift.user,
    AWS_SECRET_ACCESS_KEY: swift.key,
  };
  const options = `url=${swift.url},use_path_request_style,endpoint=us-east-1,use_cache=${makeDirectory(directory, 'cache')}`;
  return start('s3fs', [container, mountPoint, '-f', '-o', options], env, mountPoint, directory);
}

function makeDirectory(parent: string, name: string): string {
  const directory = path.join(parent, name);
  fs.mkdirSync(directory, { recursive: true });
  return directory;
}

async function start(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  mountPoint: string,
  directory: string,
): Promise<PeerMount> {
  const log = path.join(directory, 'log');
  const output = fs.openSync(log, 'a');
  // In a session of its own, as ours is.
  const child = spawn(command, args, { env: { ...process.env, ...env }, detached: true, stdio: ['ignore', output, output] });
  fs.closeSync(output);
  const said = (): string => fs.readFileSync(log, 'utf8').slice(-2000);
  let hasEnded = false;
  child.once('error', () => (hasEnded = true));
  child.once('exit', () => (hasEnded = true));
  const cleanNow = (): void => endNow(child, mountPoint);
  const takeBack = atExit(cleanNow);
  await eventually(
    `${command} mounts`,
    () => {
      if (hasEnded) throw new Error(`${command} could not mount: ${said()}`);
      return isMounted(mountPoint);
    },
    30_000,
  );
  return {
    path: mountPoint,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      await eventually(`${command} ends`, () => hasEnded, END_LIMIT_MS).catch(() => undefined);
      cleanNow();
      takeBack();
    },
  };
}

function endNow(child: ChildProcess, mountPoint: string): void {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  if (isMounted(mountPoint)) spawnSync('umount', ['-l', mountPoint], { stdio: 'ignore', timeout: 10_000 });
}
