/**
 * A real Swift for a test file: `before(async () => { swift = await withSwift(); })`, `after(() => swift.stop())`. Its own directory and
 * ports; a test file that crashes takes its Swift along (exit hook), and the runner looks for what a SIGKILL leaves.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atExit } from './at-exit.js';
import { freePorts, run } from './processes.js';
import { projectRoot } from './project.js';
import { SwiftClient } from './swift-client.js';
import { removeDir, tempDir } from './temp-dir.js';

export type SwiftServer = 'proxy' | 'object' | 'container' | 'account';

export interface SwiftOptions {
  /** Life of a token in seconds; default a day. */
  readonly tokenLifeSeconds?: number;
  /** Updaters and expirer, which most tests do not need: default none. */
  readonly daemons?: readonly ('object-updater' | 'container-updater' | 'object-expirer')[];
  readonly maxFileSizeBytes?: number;
  /** Free space the object server insists on: `100%` is a full disk. */
  readonly fallocateReserve?: string;
  readonly ratelimit?: number;
  /** Seconds the proxy waits for a server that hangs; default {@link NODE_TIMEOUT_SECONDS}, as Swift's own. */
  readonly nodeTimeoutSeconds?: number;
  /** Seconds the proxy remembers that an account or a container is there; default 60, as Swift's own. */
  readonly recheckSeconds?: number;
  /** Name of a storage policy beside `default`. */
  readonly secondPolicy?: string;
  /** Tokens are Keystone's; its URL. Needs `port`, since the catalog names it. */
  readonly keystoneUrl?: string;
  readonly keystoneTokenCacheSeconds?: number;
  /** Port of the proxy; default a free one. */
  readonly port?: number;
}

/** What goes wrong inside Swift. Everything is whole again after `continue` or `restart`. */
interface SwiftFaults {
  /** The server hangs (SIGSTOP): the proxy answers 503 after its `node_timeout` of 10 s. */
  stop(server: SwiftServer): void;
  continue(server: SwiftServer): void;
  /** The server is gone at once: connections are refused. */
  kill(server: SwiftServer): Promise<void>;
}

export interface Swift {
  readonly authUrl: string;
  readonly user: string;
  readonly key: string;
  readonly account: string;
  readonly port: number;
  readonly url: string;
  readonly dir: string;
  /** ST_AUTH, ST_USER and ST_KEY of this server. */
  readonly env: Readonly<Record<string, string>>;
  readonly faults: SwiftFaults;
  /** A bare client logged in as this user, for assertions. */
  client(): Promise<SwiftClient>;
  /** Stops all servers; what was stored stays. */
  down(): Promise<void>;
  /** Starts them again on the same port, with other settings if given. */
  up(changed?: SwiftOptions): Promise<void>;
  /** Stops all servers and removes what was stored. */
  stop(): Promise<void>;
}

const SWIFT_UP = path.join(projectRoot, 'scripts/lab/swift-up');
const SWIFT_DOWN = path.join(projectRoot, 'scripts/lab/swift-down');
/** swift-up's exit code when a port was taken meanwhile. */
const PORT_TAKEN = 3;
/** The proxy's default. */
const NODE_TIMEOUT_SECONDS = 10;

async function swiftUp(dir: string, port: number, options: SwiftOptions): Promise<number> {
  const args = ['--dir', dir, '--port', String(port)];
  if (options.tokenLifeSeconds !== undefined) args.push('--token-life', String(options.tokenLifeSeconds));
  if (options.keystoneUrl !== undefined) args.push('--keystone', options.keystoneUrl);
  const env: Record<string, string> = { SWIFT_DAEMONS: (options.daemons ?? []).join(' ') };
  if (options.maxFileSizeBytes !== undefined) env['SWIFT_MAX_FILE_SIZE'] = String(options.maxFileSizeBytes);
  if (options.fallocateReserve !== undefined) env['SWIFT_FALLOCATE'] = options.fallocateReserve;
  if (options.ratelimit !== undefined) env['SWIFT_RATELIMIT'] = String(options.ratelimit);
  if (options.nodeTimeoutSeconds !== undefined) env['SWIFT_NODE_TIMEOUT'] = String(options.nodeTimeoutSeconds);
  if (options.recheckSeconds !== undefined) env['SWIFT_RECHECK'] = String(options.recheckSeconds);
  if (options.secondPolicy !== undefined) env['SWIFT_SECOND_POLICY'] = options.secondPolicy;
  // nobody updates listings later: what was answered has to be listed
  if (options.daemons?.includes('object-updater') !== true) {
    env['SWIFT_UPDATE_TIMEOUT'] = String((options.nodeTimeoutSeconds ?? NODE_TIMEOUT_SECONDS) / 2);
  }
  if (options.keystoneTokenCacheSeconds !== undefined) env['SWIFT_TOKEN_CACHE'] = String(options.keystoneTokenCacheSeconds);
  const { code, stderr } = await run(SWIFT_UP, args, { env });
  if (code !== 0 && code !== PORT_TAKEN) throw new Error(`swift-up: exit ${String(code)}\n${stderr}`);
  return code;
}

export async function withSwift(options: SwiftOptions = {}): Promise<Swift> {
  const dir = tempDir('swift');
  let port = options.port ?? (await freePorts(4));
  for (let attempt = 1; (await swiftUp(dir, port, options)) === PORT_TAKEN; attempt += 1) {
    if (options.port !== undefined || attempt >= 5) throw new Error(`swift-up: port ${port} is taken`);
    port = await freePorts(4);
  }
  const downNow = (): void => {
    execFileSync(SWIFT_DOWN, ['--dir', dir, '--remove'], { stdio: 'ignore' });
    removeDir(dir);
  };
  // before the hook that removes temporary directories: the pid files are in ours
  const takeBack = atExit(downNow);

  const pidOf = (server: SwiftServer): number => Number(fs.readFileSync(path.join(dir, 'run', `${server}.pid`), 'utf8'));
  const url = `http://127.0.0.1:${port}`;
  const user = 'test:tester';
  const key = 'testing';
  const authUrl = `${url}/auth/v1.0`;
  let current = options;
  const clients: SwiftClient[] = [];
  const down = async (): Promise<void> => {
    await run(SWIFT_DOWN, ['--dir', dir]);
  };
  return {
    authUrl,
    user,
    key,
    account: 'AUTH_test',
    port,
    url,
    dir,
    env: { ST_AUTH: authUrl, ST_USER: user, ST_KEY: key },
    faults: {
      stop: (server) => {
        process.kill(pidOf(server), 'SIGSTOP');
      },
      continue: (server) => {
        process.kill(pidOf(server), 'SIGCONT');
      },
      kill: async (server) => {
        const pid = pidOf(server);
        process.kill(pid, 'SIGKILL');
        while (isRunning(pid)) await sleep(10);
      },
    },
    client: async () => {
      const client = await SwiftClient.login(authUrl, user, key);
      clients.push(client);
      return client;
    },
    down,
    up: async (changed) => {
      current = { ...current, ...changed };
      await down();
      if ((await swiftUp(dir, port, current)) === PORT_TAKEN) throw new Error(`port ${port} was taken while Swift was down`);
    },
    stop: async () => {
      takeBack();
      await Promise.all(clients.map((client) => client.close()));
      await run(SWIFT_DOWN, ['--dir', dir, '--remove']);
      removeDir(dir);
    },
  };
}

/** A zombie that nobody has reaped does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
