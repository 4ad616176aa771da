/** The disk of the original directory hangs, as an NFS export without its server does: here it is another mount, whose daemon is stopped. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOf, makeBlob, makeBlobs, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { eventually, run, runOk } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { isMounted, startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const READ_TIMEOUT_MS = 2000;
const DELETE_BOUND_MS = 1000;
const ARGS =
  `--nodes many --delete-bound ${DELETE_BOUND_MS}ms --lookup-wait 200ms --read-timeout ${READ_TIMEOUT_MS}ms --drain-timeout 2s`.split(' ');

/** Whether a thread of the mount waits for an answer of another FUSE mount. */
async function isAsking({ pid }: Mount): Promise<boolean> {
  const threads = await fs.readdir(`/proc/${pid}/task`);
  const waits = await Promise.all(threads.map((thread) => fs.readFile(`/proc/${pid}/task/${thread}/wchan`, 'utf8').catch(() => '')));
  return waits.includes('request_wait_answer');
}

/**
 * SIGSTOP while the origin's daemon holds no request of the mount (which asks behind its answers too): nothing, not even SIGKILL, ends a
 * process whose request was taken up and is not answered.
 */
async function stopBetweenRequests(origin: Mount, mount: Mount): Promise<void> {
  await eventually('the origin has stopped with no request', async () => {
    process.kill(origin.pid, 'SIGSTOP');
    await sleep(50);
    if (!(await isAsking(mount))) return true;
    process.kill(origin.pid, 'SIGCONT');
    return false;
  });
}

describe('an original directory that is there no more, under a whole filestore that is written to', () => {
  let swift: Swift;
  let origin: Mount;
  let mount: Mount;
  let scratch: string;
  const container = (database: string): string => `odoo-${database.toLowerCase()}`;
  const generations = ['8.0-9.0', '10.0-13.0', '14.0-16.0', '17.0-18.0', '19.0', '20.0dev-upload', '20.0dev-new'] as const;
  const databaseOf = (generation: string): string => `Odoo_${generation.replace(/[.-]/g, '_')}`;
  const old = makeBlob(77, 5000);

  before(async () => {
    swift = await withSwift();
    scratch = tempDir('scratch');
    origin = await startMount({ swift, args: ['--driver', 'kernel-device', '--container-prefix', 'old'] });
    for (const generation of generations) {
      await fs.mkdir(path.join(origin.path, databaseOf(generation), old.name.slice(0, 2)), { recursive: true });
      await fs.writeFile(path.join(origin.path, databaseOf(generation), old.name), old.content);
    }
    mount = await startMount({ swift, origin: origin.path, args: [...ARGS, '--log-level', 'debug'] });
    mount.log.expect(/^WARN request-failed operation=(lookup|open) kind=unavailable/);
    for (const generation of generations) {
      await fs.access(path.join(mount.path, databaseOf(generation), 'ab')).catch(() => undefined);
      await mount.log.waitFor(new RegExp(`origin-names-read origin=\\S*${databaseOf(generation)} `));
    }
  });
  after(async () => {
    await mount.stop();
    await origin.stop().catch(() => undefined);
    await swift.stop();
    removeDir(scratch);
  });

  const writes = async (generation: string): Promise<readonly string[]> => {
    const script = path.join(projectRoot, 'test/odoo/replay.py');
    const { seen, ms } = JSON.parse(await runOk('/usr/bin/python3', [script, generation, 'write', mount.path, scratch])) as {
      seen: { names: string[] };
      ms: Record<string, number>;
    };
    console.log(`${generation} without its origin, ms: ${JSON.stringify(ms)}`);
    for (const took of Object.values(ms)) assert.ok(took < READ_TIMEOUT_MS, `${generation}: ${took} ms`);
    return seen.names;
  };
  const assertWritten = async (some: readonly string[]): Promise<void> => {
    const client = await swift.client();
    for (const generation of some) {
      const names = await writes(generation);
      await mount.drained();
      const stored = new Set(await client.names(container(databaseOf(generation))));
      assert.deepEqual(
        names.filter((name) => !stored.has(name)),
        [],
      );
      const read = await run('sha1sum', [path.join(mount.path, databaseOf(generation), old.name)]);
      assert.equal(read.code, 1);
      assert.match(read.stderr, /Input\/output error/);
    }
  };

  it('New documents are written while the original directory hangs or fails, and what it has is EIO.', async () => {
    await stopBetweenRequests(origin, mount);
    try {
      await assertWritten(generations.slice(0, 4));
    } finally {
      process.kill(origin.pid, 'SIGCONT');
    }
    await eventually('it is read again', async () => (await run('stat', [path.join(mount.path, databaseOf('19.0'), old.name)])).code === 0);
    // Its mount point stays, as a disk that gives errors.
    process.kill(origin.pid, 'SIGKILL');
    await assertWritten(generations.slice(4));
    assert.equal((await mount.status()).state, 'degraded');
  });
});

describe('an original directory whose disk hangs', () => {
  let swift: Swift;
  let origin: Mount;
  let mount: Mount;
  const old = makeBlobs(40, 5000);
  before(async () => {
    swift = await withSwift();
    // Not by io_uring, which hands requests to a daemon that is stopped: who waits for it could not be killed then.
    origin = await startMount({ swift, database: 'old', args: ['--driver', 'kernel-device'] });
    for (const blob of old) await writeBlob(origin.path, blob);
    mount = await startMount({ swift, database: 'new', origin: origin.path, args: ARGS });
    mount.log.expect(/^WARN request-failed operation=(lookup|open) kind=unavailable/, /^WARN unmount-busy/);
  });
  after(async () => {
    await mount.stop();
    await origin.stop();
    await swift.stop();
  });

  /** By another process: a call that hangs holds a thread of the test's own pool too. */
  const sumOf = async ({ name }: Blob): Promise<string> => (await runOk('sha1sum', [mount.file(name)])).slice(0, 40);
  const whileItHangs = async (work: () => Promise<void>): Promise<void> => {
    await stopBetweenRequests(origin, mount);
    try {
      await work();
    } finally {
      process.kill(origin.pid, 'SIGCONT');
    }
  };

  it('An original directory that hangs holds up nothing but the names that it may have: those are EIO in the end, and `status` says so.', async () => {
    const [first, both, ...rest] = old as [Blob, Blob, ...Blob[]];
    const [known, doomed] = [makeBlob(1001, 5000), makeBlob(1002, 5000)];
    assert.equal(await sumOf(first), first.sha1);
    await writeBlob(mount.path, known);
    await writeBlob(mount.path, doomed);
    await writeBlob(mount.path, both);
    await fs.writeFile(mount.file('other'), 'small');
    await whileItHangs(async () => {
      const reads = rest.slice(0, 12).map(({ name }) => run('sha1sum', [mount.file(name)]));
      await sleep(DELETE_BOUND_MS + 100);
      const large = bytesOf(7, 3_000_000);
      await runOk('dd', [`of=${mount.file('other')}`, 'bs=1M', 'status=none'], { input: large, timeoutMs: READ_TIMEOUT_MS + 8000 });
      for (const { name } of [doomed, both]) await runOk('rm', [mount.file(name)], { timeoutMs: READ_TIMEOUT_MS + 8000 });
      assert.equal(await sumOf(known), known.sha1);
      for (const { code, stderr } of await Promise.all(reads)) {
        assert.equal(code, 1);
        assert.match(stderr, /Input\/output error/);
      }
      const { state, databases } = await mount.status();
      assert.equal(state, 'degraded');
      assert.match(databases[0]?.reason ?? '', /^the origin .* cannot be read: no answer within \d+ ms/);
    });
    await eventually('it is read again', async () => (await run('sha1sum', [mount.file(rest[0]?.name ?? '')])).code === 0);
    for (const blob of rest) assert.equal(await sumOf(blob), blob.sha1);
    for (const { name } of [doomed, both]) await assert.rejects(fs.stat(mount.file(name)), { code: 'ENOENT' });
    assert.equal((await mount.status()).state, 'serving');
  });

  it('SIGTERM ends the daemon also while the original directory hangs.', async () => {
    await mount.restart();
    await whileItHangs(async () => {
      const reads = makeBlobs(6, 100, 2000).map(({ name }) => run('stat', [mount.file(name)]));
      await eventually('the mount waits for it', () => isAsking(mount));
      // By a signal of its own: node would wait for the thread that hangs.
      assert.equal(await mount.terminate(20_000), null);
      assert.equal(isMounted(mount.path), false);
      await Promise.all(reads);
    });
  });
});
