/**
 * Two nodes on one database whose spools and caches share small disks that are full more often than not, a Swift that is slow, loses answers, refuses or is
 * away, kills, deletes, and blobs that are written anew after a delete. What was acknowledged is read on both nodes, and is in Swift in the end.
 */
import assert from 'node:assert/strict';
import nodeFs from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeBlob, type Blob } from '../helpers/blobs.js';
import { FaultProxy, type Rule } from '../helpers/fault-proxy.js';
import { eventually, runOk } from '../helpers/processes.js';
import { randomOf } from '../helpers/random.js';
import { tempDir } from '../helpers/temp-dir.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const KIB = 1 << 10;
const ROUNDS = 6;
const SEED = 1;
const BLOBS = 20;
const ARGS = '--nodes many --delete-bound 3s --write-timeout 1s --lookup-wait 200ms --read-timeout 4s --drain-timeout 1s'.split(' ');
const FLOORS = ['--cache-floor', '0', '--spool-floor', '0'];
/** What is left free on a disk. */
const LEFT = [0, 4 * KIB, 64 * KIB, 300 * KIB, 1024 * KIB, 4096 * KIB, 7168 * KIB];
const PUTS = { method: 'PUT', path: /odoo-two\// } as const;
const FAULTS: readonly (Rule | 'away' | undefined)[] = [
  undefined,
  undefined,
  'away',
  { do: 'status', status: 503, ...PUTS },
  { do: 'delay', ms: 1200, ...PUTS },
  { do: 'lost', times: 3, ...PUTS },
];
const DELETE_FAULTS: readonly (Rule | undefined)[] = [
  undefined,
  undefined,
  { do: 'lost', method: 'DELETE', times: 2 },
  { do: 'status', status: 503, method: 'DELETE', times: 6 },
];

interface Node {
  readonly mount: Mount;
  readonly proxy: FaultProxy;
  readonly disk: string;
}

describe('two nodes with full disks', () => {
  let swift: Swift;
  const nodes: Node[] = [];
  before(async () => {
    swift = await withSwift();
    for (const mebibytes of [8, 20]) {
      const disk = tempDir('disk');
      await runOk('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', disk]);
      const proxy = await FaultProxy.start(swift.url);
      const dirs = { spool: path.join(disk, 'spool'), cache: path.join(disk, 'cache') };
      const settings = { swift: { ...swift, authUrl: proxy.authUrl }, database: 'two', args: [...ARGS, ...FLOORS], dirs };
      const mount = await startMount(settings);
      // Each of them is meant: what is looked at here is what becomes of the files.
      mount.log.expect(/^(WARN|ERROR) /);
      nodes.push({ mount, proxy, disk });
    }
  });
  after(async () => {
    for (const { mount, proxy, disk } of nodes) {
      await fs.rm(path.join(disk, 'filler'), { force: true });
      await mount.stop();
      await proxy.close();
      await runOk('umount', ['-l', disk]);
    }
    await swift.stop();
  });

  const fill = async (disk: string, leftBytes: number): Promise<void> => {
    const filler = path.join(disk, 'filler');
    await fs.rm(filler, { force: true });
    const { bavail, bsize } = nodeFs.statfsSync(disk);
    // The daemon may take some of it meanwhile.
    if (bavail * bsize > leftBytes) await fs.writeFile(filler, Buffer.alloc(bavail * bsize - leftBytes)).catch(() => undefined);
  };
  const isWritten = async ({ mount }: Node, blob: Blob): Promise<boolean> => {
    try {
      await fs.mkdir(path.dirname(mount.file(blob.name))).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      });
      await fs.writeFile(mount.file(blob.name), blob.content);
      return true;
    } catch (error) {
      assert.match((error as NodeJS.ErrnoException).code ?? '', /^(ENOSPC|EIO)$/, `${blob.name}: ${String(error)}`);
      return false;
    }
  };
  const mend = async (): Promise<void> => {
    for (const { proxy } of nodes) {
      proxy.clear();
      await proxy.up();
    }
  };

  it('What two nodes with full disks have acknowledged is read on both, and is in Swift in the end.', async () => {
    const random = randomOf(SEED);
    const below = (count: number): number => Math.floor(random() * count);
    const oneOf = <T>(items: readonly [T, ...T[]] | readonly T[]): T => items[below(items.length)] as T;
    const acknowledged = new Map<string, Blob>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const { proxy, disk } of nodes) {
        await fill(disk, oneOf(LEFT));
        const fault = oneOf(FAULTS);
        if (fault === 'away') await proxy.down();
        else if (fault !== undefined) proxy.add(fault);
      }
      const blobs = Array.from({ length: BLOBS }, (_, index) =>
        makeBlob(SEED * 100_000 + round * BLOBS + index, oneOf([1_000, 20_000, 150_000, 300_000])),
      );
      const writes = blobs.flatMap((blob) => oneOf([nodes.slice(0, 1), nodes.slice(1), nodes]).map((node) => ({ blob, node })));
      const writer = async (): Promise<void> => {
        for (let next = writes.shift(); next !== undefined; next = writes.shift())
          if (await isWritten(next.node, next.blob)) acknowledged.set(next.blob.name, next.blob);
      };
      await Promise.all([writer(), writer(), writer()]);
      const killed = below(2) === 0 ? oneOf(nodes) : undefined;
      if (killed !== undefined) {
        await killed.mount.kill9();
        await killed.proxy.up();
        await killed.mount.restart();
      }
      await mend();
      for (const blob of [...acknowledged.values()].filter(() => below(6) === 0)) {
        const { mount, proxy } = oneOf(nodes);
        const fault = oneOf(DELETE_FAULTS);
        if (fault !== undefined) proxy.add(fault);
        const isGone = await fs.unlink(mount.file(blob.name)).then(
          () => true,
          () => false,
        );
        if (!isGone) continue;
        acknowledged.delete(blob.name);
        if (below(2) === 0 && (await isWritten(oneOf(nodes), blob))) acknowledged.set(blob.name, blob);
      }
      await mend();
      for (const { mount, disk } of nodes) {
        await fill(disk, 64 * KIB);
        await mount.drained(60_000);
      }
      for (const { mount } of nodes)
        for (const { name, content } of acknowledged.values())
          // What could not be asked for a moment ago may be said not to be there (docs/SEMANTICS.md); what is lost stays so.
          await eventually(`${name} is read`, async () => {
            const read = await fs.readFile(mount.file(name)).catch(() => undefined);
            if (read !== undefined) assert.deepEqual(read, content);
            return read !== undefined;
          });
    }
    const names = new Set(await (await swift.client()).names('odoo-two'));
    for (const name of acknowledged.keys()) assert.ok(names.has(name), `${name} is in Swift`);
  });
});
