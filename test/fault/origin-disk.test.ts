/** The disk of the original directory hangs, as an NFS export without its server does: here it is another mount, whose daemon is stopped. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOf, makeBlob, makeBlobs } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { eventually, run, runOk } from '../helpers/processes.js';
import { isMounted, startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const READ_TIMEOUT_MS = 2000;
const DELETE_BOUND_MS = 1000;
const ARGS =
  `--nodes many --delete-bound ${DELETE_BOUND_MS}ms --lookup-wait 200ms --read-timeout ${READ_TIMEOUT_MS}ms --drain-timeout 2s`.split(' ');

describe('an original directory whose disk hangs', () => {
  let swift: Swift;
  let origin: Mount;
  let mount: Mount;
  const old = makeBlobs(40, 5000);
  before(async () => {
    swift = await withSwift();
    // Not by io_uring, which hands requests to a daemon that is stopped: who waits for it could not be killed then.
    origin = await startMount({ swift, database: 'old', args: ['--driver', 'kernel-device'] });
    for (const blob of old) await write(origin, blob);
    mount = await startMount({ swift, database: 'new', origin: origin.path, args: ARGS });
    mount.log.expect(/^WARN request-failed operation=(lookup|open) kind=unavailable/, /^WARN unmount-busy/);
  });
  after(async () => {
    await mount.stop();
    await origin.stop();
    await swift.stop();
  });

  const write = async (to: Mount, blob: Blob): Promise<void> => {
    await fs.mkdir(path.dirname(to.file(blob.name)), { recursive: true });
    await fs.writeFile(to.file(blob.name), blob.content);
  };
  /** By another process: a call that hangs holds a thread of the test's own pool too. */
  const sumOf = async ({ name }: Blob): Promise<string> => (await runOk('sha1sum', [mount.file(name)])).slice(0, 40);
  const whileItHangs = async (work: () => Promise<void>): Promise<void> => {
    process.kill(origin.pid, 'SIGSTOP');
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
    await write(mount, known);
    await write(mount, doomed);
    await write(mount, both);
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
      await sleep(300);
      // By a signal of its own: node would wait for the thread that hangs.
      assert.equal(await mount.terminate(20_000), null);
      assert.equal(isMounted(mount.path), false);
      await Promise.all(reads);
    });
  });
});
