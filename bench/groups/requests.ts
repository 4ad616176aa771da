/** How many requests to Swift an operation costs, counted by a proxy between the mount and Swift. */
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FaultProxy } from '../../test/helpers/fault-proxy.js';
import type { Bench, Group } from '../lib/bench.js';
import type { Goal } from '../lib/row.js';
import { startService } from '../lib/service.js';
import { makeTree, writeList } from '../lib/tree.js';

const FILE_BYTES = 50 * 1024;
/** What one node may believe without asking: names are known for longer than a count takes, and a listing is old after it. */
const TRUST_MS = 3000;

export const requests: Group = { name: 'requests', measure };

async function measure(bench: Bench): Promise<void> {
  const { client, swift, bare, directory } = bench;
  const source = makeTree(path.join(directory, 'requests'), { files: 6, sizeBytes: FILE_BYTES, shards: 1, seed: 101 });
  const own = source.names.slice(0, 2);
  const foreign = source.names.slice(2);
  const list = (names: readonly string[]): string => writeList(path.join(directory, 'requests.list'), names);
  const proxy = await FaultProxy.start(swift.url);
  const login = { authUrl: proxy.authUrl, user: swift.user, key: swift.key };
  const mount = await startService({
    swift: login,
    database: `requests-${randomUUID().slice(0, 8)}`,
    args: ['--nodes', 'many', '--delete-bound', `${TRUST_MS}ms`],
  });
  try {
    const container = (await (await swift.client()).containers()).find((name) => name.includes('-requests-')) ?? '';
    const count = async (work: () => Promise<unknown>): Promise<Record<string, number>> => {
      proxy.resetCounts();
      await work();
      return proxy.counts();
    };
    const tell = (id: string, title: string, counts: Record<string, number>, goals: readonly (Goal & { method: string })[]): void => {
      const methods = [...new Set([...Object.keys(counts), ...goals.map(({ method }) => method)])];
      bench.add({
        id: `requests-${id}`,
        title: `requests of: ${title}`,
        unit: 'requests a file',
        samples: methods.map((method) => ({ name: method, values: [counts[method] ?? 0] })),
        goals,
      });
    };
    const most = (method: string, atMost: number): Goal & { method: string } => ({ method, of: method, atMost });

    const written = await count(() => client.run('put', mount.path, list(own.slice(0, 1)), source.directory, 'odoo'));
    tell('write-first', 'writing a new blob as Odoo does, first in its shard', written, [most('PUT', 1), most('HEAD', 1), most('GET', 0)]);
    const next = await count(() => client.run('put', mount.path, list(own.slice(1)), source.directory, 'odoo'));
    tell('write', 'the same, in a shard that is there', next, [most('PUT', 1), most('HEAD', 1), most('GET', 0)]);
    await bare.upload(container, { ...source, names: foreign });
    const unknown = await count(() => client.run('stat', mount.path, list(foreign.slice(0, 1))));
    tell('stat-unknown', 'stat of an unknown name', unknown, [most('HEAD', 1), most('GET', 0)]);
    const known = await count(() => client.run('stat', mount.path, list(foreign.slice(0, 1))));
    tell('stat-known', 'stat of a known name', known, [most('HEAD', 0), most('GET', 0)]);
    const cold = await count(() => client.run('read', mount.path, list(foreign.slice(0, 1)), 1));
    tell('read-cold', 'cold read of a known name', cold, [most('GET', 1), most('HEAD', 0)]);
    const warm = await count(() => client.run('read', mount.path, list(foreign.slice(0, 1)), 1));
    tell('read-warm', 'warm read', warm, [most('GET', 0), most('HEAD', 0)]);
    await sleep(TRUST_MS + 1000);
    const listed = await count(() => client.run('find', path.join(mount.path, '00')));
    // A listing ends with the empty page that Swift's API asks for; both are one listing.
    tell('list', 'listing a shard (a page, and the empty one that ends it)', listed, [most('GET', 2), most('HEAD', 0)]);
  } finally {
    await mount.stop();
    await proxy.close();
  }
}
