/**
 * A real Keystone with Swifts behind its catalog: `withKeystone({ regions: ['RegionOne', 'RegionTwo'] })` starts one Swift for each region
 * and puts a {@link FaultProxy} in front of every one, so that faults and counts work as with tempauth (the catalog names the proxies).
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { atExit } from './at-exit.js';
import { FaultProxy } from './fault-proxy.js';
import { freePorts, run } from './processes.js';
import { projectRoot } from './project.js';
import { removeDir, tempDir } from './temp-dir.js';
import { withSwift } from './with-swift.js';
import type { Swift } from './with-swift.js';

interface KeystoneOptions {
  readonly regions?: readonly string[];
  readonly tokenLifeSeconds?: number;
  /** Seconds Swift believes a token it has checked; default 300, -1 asks every time. */
  readonly tokenCacheSeconds?: number;
}

interface Region {
  readonly name: string;
  readonly swift: Swift;
  readonly proxy: FaultProxy;
}

export interface Keystone {
  /** `http://127.0.0.1:PORT/v3`, behind {@link proxy}. */
  readonly authUrl: string;
  readonly proxy: FaultProxy;
  readonly regions: readonly Region[];
  readonly applicationCredentialId: string;
  readonly applicationCredentialSecret: string;
  /** OS_* of user odoo in the first region. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const KEYSTONE_UP = path.join(projectRoot, 'scripts/lab/keystone-up');
const SWIFT_DOWN = path.join(projectRoot, 'scripts/lab/swift-down');
const PORT_TAKEN = 3;

export async function withKeystone(options: KeystoneOptions = {}): Promise<Keystone> {
  const names = options.regions ?? ['RegionOne'];
  const dir = tempDir('keystone');
  const downNow = (): void => {
    execFileSync(SWIFT_DOWN, ['--dir', dir, '--remove'], { stdio: 'ignore' });
    removeDir(dir);
  };
  const takeBack = atExit(downNow);

  const regions: Region[] = [];
  const swiftPorts: number[] = [];
  for (const _name of names) swiftPorts.push(await freePorts(4));
  const proxies: FaultProxy[] = [];
  for (const port of swiftPorts) proxies.push(await FaultProxy.start(`http://127.0.0.1:${port}`));
  const catalog = names.map((name, index) => `${name}=${proxies[index]?.port ?? 0}`);

  let port = await freePorts(1);
  for (let attempt = 1; ; attempt += 1) {
    const args = ['--dir', dir, '--port', String(port), '--token-life', String(options.tokenLifeSeconds ?? 3600), ...catalog];
    const { code, stderr } = await run(KEYSTONE_UP, args, { timeoutMs: 300_000 });
    if (code === 0) break;
    if (code !== PORT_TAKEN || attempt === 5) throw new Error(`keystone-up: exit ${String(code)}\n${stderr}`);
    port = await freePorts(1);
  }
  const keystoneUrl = `http://127.0.0.1:${port}`;
  const proxy = await FaultProxy.start(keystoneUrl);
  for (const [index, name] of names.entries()) {
    const swift = await withSwift({
      port: swiftPorts[index] ?? 0,
      keystoneUrl,
      keystoneTokenCacheSeconds: options.tokenCacheSeconds ?? 300,
    });
    const front = proxies[index];
    if (front !== undefined) regions.push({ name, swift, proxy: front });
  }
  const authUrl = `${proxy.url}/v3`;
  return {
    authUrl,
    proxy,
    regions,
    applicationCredentialId: fs.readFileSync(path.join(dir, 'app-credential-id'), 'utf8').trim(),
    applicationCredentialSecret: 'filestore-secret',
    env: {
      OS_AUTH_URL: authUrl,
      OS_IDENTITY_API_VERSION: '3',
      OS_USERNAME: 'odoo',
      OS_PASSWORD: 'odoo-secret',
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PROJECT_NAME: 'odoo',
      OS_PROJECT_DOMAIN_NAME: 'Default',
      OS_REGION_NAME: names[0] ?? 'RegionOne',
    },
    stop: async () => {
      takeBack();
      await Promise.all([proxy.close(), ...proxies.map((front) => front.close()), ...regions.map(({ swift }) => swift.stop())]);
      await run(SWIFT_DOWN, ['--dir', dir, '--remove']);
      removeDir(dir);
    },
  };
}
