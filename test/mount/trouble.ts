/** Mounts that wait for Swift only shortly, for tests of what happens when it does not answer in that time. */
import type { ProxiedSwift } from '../helpers/proxied-swift.js';
import { startMount, type Mount } from '../helpers/with-mount.js';

/** The tests are about what happens after them. */
export const SHORT_WAITS = ['--read-timeout', '2s', '--lookup-wait', '200ms', '--write-timeout', '1s', '--drain-timeout', '2s'];
/** Nothing that works without Swift may take this long, however loaded the machine. */
export const AT_ONCE_MS = 15_000;

export async function measured(work: () => Promise<unknown>): Promise<number> {
  const startMs = Date.now();
  await work();
  return Date.now() - startMs;
}

export function startImpatient({ swift, proxy }: ProxiedSwift, database: string): Promise<Mount> {
  return startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database, args: SHORT_WAITS });
}

/** Runs with a mount that may warn, and puts everything right afterwards. */
export async function withTrouble(proxied: ProxiedSwift, database: string, work: (mount: Mount) => Promise<void>): Promise<void> {
  const mount = await startImpatient(proxied, database);
  mount.log.expect(/^WARN /);
  try {
    await work(mount);
  } finally {
    proxied.proxy.clear();
    await proxied.proxy.up();
    await mount.stop();
  }
}
