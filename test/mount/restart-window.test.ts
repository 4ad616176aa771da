/**
 * From the kill of a daemon to the moment in which the next one serves: programs get ENOTCONN, then answers. Nothing in between looks like
 * an empty directory, in which Odoo would miss its files and write others where nobody finds them.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import type { Blob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually, run } from '../helpers/processes.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { isMounted, runCli, startMount, StartRefused } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const UNAVAILABLE = 69;
const LOGIN_TAKES_MS = 1500;

/** Reads one blob, and writes new ones, as fast as a busy program would; remembers what it was told. */
class Program {
  readonly told: string[] = [];
  readonly written: Blob[] = [];
  readonly #mount: Mount;
  readonly #known: Blob;
  #isEnding = false;
  readonly #ended: Promise<void>;

  constructor(mount: Mount, known: Blob) {
    this.#mount = mount;
    this.#known = known;
    this.#ended = this.#run();
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  /** What it was told, repetitions left out. */
  get story(): string[] {
    return this.told.filter((word, index) => word !== this.told[index - 1]);
  }

  async #run(): Promise<void> {
    for (let serial = 1000; !this.#isEnding; serial++) {
      const content = await fs.promises.readFile(this.#mount.file(this.#known.name)).catch(codeOf);
      this.told.push(typeof content === 'string' ? content : content.equals(this.#known.content) ? 'read' : 'other bytes');
      if (serial % 8 === 0 && this.written.length < 20) await this.#write(makeBlob(serial));
      await sleep(1);
    }
  }

  /** As Odoo writes: the directory, then the file. What was refused was told, and is its own affair. */
  async #write(blob: Blob): Promise<void> {
    try {
      // One system call: `recursive` makes several, and what it says is of two mounts when the new one comes in between.
      await fs.promises.mkdir(path.dirname(this.#mount.file(blob.name))).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      await fs.promises.writeFile(this.#mount.file(blob.name), blob.content);
      this.written.push(blob);
    } catch (error) {
      assert.equal(codeOf(error), 'ENOTCONN');
    }
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** Mounts at this very path, as the kernel lists them. */
function layersAt(mountPoint: string): number {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.split(' ')[4] === mountPoint).length;
}

describe('a start after a kill', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let base: string;
  before(async () => {
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    base = tempDir('restart-window');
  });
  after(async () => {
    await proxy.close();
    await swift.stop();
    removeDir(base);
  });

  const slowLogin = (): void => proxy.add({ do: 'delay', ms: LOGIN_TAKES_MS, path: /^\/auth/, times: 1 });
  const throughProxy = (): { authUrl: string; user: string; key: string } => ({ ...swift, authUrl: proxy.authUrl });
  const newMountPoint = (name: string): string => {
    const directory = path.join(base, name);
    fs.mkdirSync(directory);
    return directory;
  };

  async function killThenStartBesideAProgram(mount: Mount, known: Blob): Promise<Program> {
    await mount.kill9();
    const program = new Program(mount, known);
    await eventually('the program meets the dead mount', () => program.told.length > 0);
    slowLogin();
    await mount.restart();
    await eventually('the program reads again', () => program.told.at(-1) === 'read');
    await program.end();
    return program;
  }

  it('After a kill the mount point answers ENOTCONN until the next start serves, never ENOENT, and nothing is written below it.', async () => {
    const mountPoint = newMountPoint('covered');
    fs.chownSync(mountPoint, 1234, 1235);
    const known = makeBlob(1);
    const mount = await startMount({ swift: throughProxy(), database: 'covered', dirs: { mountPoint } });
    try {
      await writeBlob(mount.path, known);
      for (let kill = 0; kill < 3; kill++) {
        const program = await killThenStartBesideAProgram(mount, known);
        assert.deepEqual(program.story, ['ENOTCONN', 'read']);
        for (const blob of program.written) assert.deepEqual(await fs.promises.readFile(mount.file(blob.name)), blob.content);
        assert.ok(layersAt(mountPoint) <= 2, 'dead mounts do not pile up');
        const { uid, gid } = await fs.promises.stat(mountPoint);
        assert.deepEqual([uid, gid], [1234, 1235], 'the owner of the directory below the dead mount');
      }
      assert.equal(await mount.terminate(), 0);
      assert.equal(isMounted(mountPoint), false, 'the dead mount goes with the one that covered it');
      assert.deepEqual(fs.readdirSync(mountPoint), []);
    } finally {
      await mount.stop();
    }
  });

  it('the same in pure Node, and an unmount by command takes the covered dead mount along', async () => {
    const mountPoint = newMountPoint('pure');
    const known = makeBlob(2);
    const mount = await startMount({ swift: throughProxy(), database: 'pure', dirs: { mountPoint }, args: ['--driver', 'kernel-pure'] });
    try {
      await writeBlob(mount.path, known);
      const program = await killThenStartBesideAProgram(mount, known);
      assert.deepEqual(program.story, ['ENOTCONN', 'read']);
      const { code, stderr } = await runCli(['unmount', mountPoint]);
      assert.equal(code, 0, stderr);
      await eventually('the daemon has ended', () => !fs.existsSync(`/proc/${mount.pid}`));
      assert.equal(isMounted(mountPoint), false);
      assert.deepEqual(fs.readdirSync(mountPoint), []);
    } finally {
      await mount.stop();
    }
  });

  for (const driver of ['kernel', 'kernel-pure']) {
    it(`over the original directory the next start reads it again (${driver})`, async () => {
      const mountPoint = newMountPoint(`origin-${driver}`);
      const [old, fresh] = [makeBlob(3), makeBlob(4)];
      fs.mkdirSync(path.dirname(path.join(mountPoint, old.name)));
      fs.writeFileSync(path.join(mountPoint, old.name), old.content);
      fs.chownSync(mountPoint, 1234, 1235);
      const args = ['--driver', driver];
      const mount = await startMount({ swift: throughProxy(), database: driver, origin: mountPoint, dirs: { mountPoint }, args });
      try {
        await writeBlob(mount.path, fresh);
        // The directory is bare for the moment in which it is opened: what is read then is the same file.
        const program = await killThenStartBesideAProgram(mount, old);
        assert.deepEqual(program.story, ['ENOTCONN', 'read']);
        for (const blob of [old, fresh, ...program.written]) {
          assert.deepEqual(await fs.promises.readFile(mount.file(blob.name)), blob.content);
        }
        assert.equal(layersAt(mountPoint), 1);
        assert.equal((await fs.promises.stat(mountPoint)).uid, 1234);
      } finally {
        await mount.stop();
      }
    });
  }

  it('A start on a full spool disk serves, and says what is full where it cannot.', async () => {
    const disk = newMountPoint('disk');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
    const spool = path.join(disk, 'spool');
    const known = makeBlob(6);
    const mount = await startMount({ swift: throughProxy(), database: 'full', dirs: { spool } });
    try {
      await writeBlob(mount.path, known);
      await mount.drained();
      await mount.restart();
      assert.equal(await mount.terminate(), 0);
      const full = path.join(disk, 'full');
      // To the last byte.
      await assert.rejects(fs.promises.writeFile(full, Buffer.alloc(8 << 20)), { code: 'ENOSPC' });
      mount.log.expect(/^WARN (names\.not-written|request-failed|spool\.|write\.|publisher\.)/, /^ERROR (spool\.|request-failed)/);
      await mount.restart();
      assert.deepEqual(await fs.promises.readFile(mount.file(known.name)), known.content);
      await mount.kill9();
      await mount.restart();
      assert.deepEqual(await fs.promises.readFile(mount.file(known.name)), known.content);
      const { code, stderr } = await runCli(
        ['mount', newMountPoint('never'), '--spool-dir', path.join(disk, 'other', 'spool'), '--cache-dir', path.join(base, 'c2')],
        { ...swift.env, ODOO_SWIFTFS_DATABASE: 'never' },
      );
      assert.notEqual(code, 0);
      assert.match(stderr, /spool_dir .*no space left.*make room/);
      fs.unlinkSync(full);
      const late = makeBlob(7);
      await writeBlob(mount.path, late);
      assert.deepEqual(await fs.promises.readFile(mount.file(late.name)), late.content);
    } finally {
      await mount.stop();
      execFileSync('umount', ['-l', disk]);
    }
  });

  it('A daemon that is killed while the kernel is told to forget a name, in a directory where programs wait for it, is gone at once, and they get an error.', async () => {
    const known = makeBlob(8);
    const [shard = ''] = known.name.split('/');
    const args = ['--nodes', 'many', '--lookup-wait', '5s'];
    const mount = await startMount({ swift: throughProxy(), database: 'forgets', args });
    try {
      await writeBlob(mount.path, known);
      await fs.promises.mkdir(mount.file('checklist', shard), { recursive: true });
      await fs.promises.stat(mount.file(known.name));
      proxy.add({ do: 'delay', ms: 20_000, method: 'HEAD' });
      // A child, whom nobody has to wait for where it hangs.
      const asking = run('stat', [mount.file(shard, `${shard}${'0'.repeat(38)}`)]);
      await sleep(300);
      await run('touch', [mount.file('checklist', known.name)]);
      await sleep(300);
      const killed = mount.kill9().then(() => 'gone');
      const end = await Promise.race([killed, sleep(10_000, 'still there')]);
      if (end !== 'gone') {
        // Else nothing ever ends: neither the program nor the daemon.
        await run('umount', ['-f', mount.path]);
        await killed;
      }
      assert.equal(end, 'gone');
      assert.match((await asking).stderr, /connected|abort|canceled/i);
      proxy.clear();
      await mount.restart();
      assert.deepEqual(await fs.promises.readFile(mount.file(known.name)), known.content);
    } finally {
      proxy.clear();
      await mount.stop();
    }
  });

  it('A start that is refused leaves the dead mount as it was, and says so.', async () => {
    const mountPoint = newMountPoint('refused');
    const known = makeBlob(5);
    const mount = await startMount({ swift: throughProxy(), database: 'refused', dirs: { mountPoint } });
    try {
      await writeBlob(mount.path, known);
      await mount.kill9();
      await proxy.down();
      const other = ['--database', 'never-seen', '--spool-dir', path.join(base, 'spool'), '--cache-dir', path.join(base, 'cache')];
      for (const how of [[], ['--daemon']]) {
        const { code, stderr } = await runCli(['mount', mountPoint, ...how, ...other], { ...swift.env, ST_AUTH: proxy.authUrl });
        assert.equal(code, UNAVAILABLE, stderr);
        const said = stderr.trimEnd().split('\n').at(-1) ?? '';
        assert.match(said, /connection refused.*; \S+refused stays the dead mount of the daemon that was killed \(ENOTCONN/);
        assert.doesNotMatch(stderr, /swift\.away/, 'why it was refused is said once');
        await assert.rejects(fs.promises.readFile(mount.file(known.name)), { code: 'ENOTCONN' });
      }
      await assert.rejects(mount.restart({ args: ['--origin', path.join(base, 'no-such')] }), (error) => {
        assert.ok(error instanceof StartRefused);
        assert.match(error.stderr, /cannot open the origin .*stays the dead mount/);
        return true;
      });
      await assert.rejects(fs.promises.readFile(mount.file(known.name)), { code: 'ENOTCONN' });
      await proxy.up();
      await mount.restart({ args: [] });
      assert.deepEqual(await fs.promises.readFile(mount.file(known.name)), known.content);
    } finally {
      await proxy.up();
      await mount.stop();
    }
  });
});
