/** What a user may get wrong: each is one clear line and an exit code of its own, and nothing is lost by it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeBlob } from '../helpers/blobs.js';
import { eventually } from '../helpers/processes.js';
import type { Finished } from '../helpers/processes.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { isMounted, runCli, startMount } from '../helpers/with-mount.js';
import { withKeystone } from '../helpers/with-keystone.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const BAD_CONFIG = 78;
const NO_PERMISSION = 77;
const UNAVAILABLE = 69;
const BUSY = 75;
const BAD_NAME = 65;
const NOWHERE = 'http://127.0.0.1:1/auth/v1.0';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('bad input', () => {
  let swift: Swift;
  let directory: string;
  before(async () => {
    swift = await withSwift();
    directory = tempDir('bad-input');
    fs.mkdirSync(`${directory}/mnt`);
  });
  after(async () => {
    await swift.stop();
    removeDir(directory);
  });

  /** Mounts in the background, where a refusal must reach the caller just as well. */
  function mount(args: readonly string[], env: Readonly<Record<string, string>> = {}, mountPoint = `${directory}/mnt`): Promise<Finished> {
    const spool = args.includes('--spool-dir') ? [] : ['--spool-dir', `${directory}/spool`];
    const cache = args.includes('--cache-dir') ? [] : ['--cache-dir', `${directory}/cache`];
    return runCli(['mount', mountPoint, ...spool, ...cache, '--daemon', ...args], { ...swift.env, ...env });
  }

  function assertRefused(finished: Finished, code: number, message: RegExp): void {
    assert.match(finished.stderr, message);
    assert.equal(finished.code, code, finished.stderr);
    assert.equal(finished.stderr.trimEnd().split('\n').length, 1, `one line: ${finished.stderr}`);
    assert.equal(isMounted(`${directory}/mnt`), false);
  }

  it('a wrong password is refused with the options to correct', async () => {
    assertRefused(await mount(['--database', 'a'], { ST_KEY: 'wrong' }), NO_PERMISSION, /refuses the login \(401\).*password/);
  });

  it('missing credentials are refused with where to set them', async () => {
    assertRefused(await mount(['--database', 'a'], { ST_AUTH: '', ST_KEY: '' }), BAD_CONFIG, /missing auth_url \(OS_AUTH_URL\).*ST_AUTH/);
  });

  it('an auth URL that nobody answers refuses a first mount', async () => {
    assertRefused(await mount(['--database', 'a', '--auth-url', NOWHERE]), UNAVAILABLE, /connection refused.*check auth_url/);
  });

  it('a container served before is mounted although the auth URL does not answer, and keeps what is written', async () => {
    const [early, late] = [makeBlob(1), makeBlob(2)];
    const mounted = await startMount({ swift, database: 'known' });
    try {
      fs.mkdirSync(mounted.file(early.name.slice(0, 2)), { recursive: true });
      await fs.promises.writeFile(mounted.file(early.name), early.content);
      mounted.log.expect(/^WARN /);
      await mounted.restart({ args: ['--auth-url', NOWHERE, '--write-timeout', '200ms', '--drain-timeout', '1s'] });
      await fs.promises.mkdir(mounted.file(late.name.slice(0, 2)), { recursive: true });
      await fs.promises.writeFile(mounted.file(late.name), late.content);
      assert.deepEqual(await fs.promises.readFile(mounted.file(early.name)), early.content);
      const status = await mounted.status();
      assert.deepEqual([status.state, status.safeToLoseThisMachine], ['degraded', false]);
      await mounted.restart({ args: [] });
      await mounted.drained();
      assert.deepEqual(await (await swift.client()).get('odoo-known', late.name), late.content);
    } finally {
      await mounted.stop();
    }
  });

  it('a wrong password for a container served before is told by the start, which mounts', async () => {
    const dirs = { spool: `${directory}/changed` };
    await (await startMount({ swift, database: 'changed', dirs })).stop();
    const args = ['--database', 'changed', '--spool-dir', dirs.spool];
    const started = await mount(args, { ST_KEY: 'wrong' });
    try {
      assert.equal(started.code, 0, started.stderr);
      assert.match(started.stdout, /: mounted, pid \d+\n$/);
      assert.match(started.stderr, /^odoo-swiftfs: \S+ is degraded .*refuses the login \(401\)/);
    } finally {
      await runCli(['unmount', `${directory}/mnt`]);
    }
  });

  it('a cache_dir that cannot be written is told by the start, which mounts', async () => {
    // Root may write to any directory but those that the kernel makes up.
    const started = await mount(['--database', 'uncached', '--cache-dir', '/sys']);
    try {
      assert.equal(started.code, 0, started.stderr);
      assert.match(
        started.stderr,
        /^odoo-swiftfs: \S+ serves without a cache: cache_dir \/sys cannot be used: E[A-Z]+: .*; make it writable/,
      );
      assert.match((await runCli(['status', `${directory}/mnt`])).stdout, /no cache +cache_dir \/sys cannot be used/);
    } finally {
      await runCli(['unmount', `${directory}/mnt`]);
    }
  });

  it('what a start warns of is told by it as well: files below the mount, certificates that are not checked', async () => {
    fs.writeFileSync(`${directory}/mnt/hidden`, '');
    try {
      const started = await mount(['--database', 'warned', '--insecure']);
      assert.equal(started.code, 0, started.stderr);
      assert.match(started.stderr, /^odoo-swiftfs: \S+ warns: mount-hides-files .*--origin/m);
      assert.match(started.stderr, /^odoo-swiftfs: \S+ warns: certificates-not-checked .*ca_file/m);
    } finally {
      await runCli(['unmount', `${directory}/mnt`]);
      fs.unlinkSync(`${directory}/mnt/hidden`);
    }
  });

  it('a log file that can be none is refused with the options that name it', async () => {
    for (const args of [
      ['--log-file', directory],
      ['--log-file', '/proc/none/log'],
      ['--spool-dir', '/proc/none'],
    ])
      assertRefused(
        await mount(args),
        BAD_CONFIG,
        /log file \/\S+ cannot be written: E[A-Z]+: .*; it is named by log_file, or else lies in spool_dir/,
      );
  });

  it('an origin, a spool_dir or a cache_dir that can be no directory is refused as a wrong option', async () => {
    const file = `${directory}/no-directory`;
    fs.writeFileSync(file, '');
    const log = ['--log-file', `${directory}/log`];
    for (const wrong of [`${directory}/nope`, file, `${file}/below`]) {
      assertRefused(
        await mount(['--database', 'a', '--origin', wrong]),
        BAD_CONFIG,
        /cannot open the origin \S+: .*correct the option origin/,
      );
    }
    for (const wrong of [file, `${file}/below`]) {
      assertRefused(
        await mount(['--database', 'a', '--cache-dir', wrong]),
        BAD_CONFIG,
        /cache_dir \S+ cannot be used: .*another directory/,
      );
      assertRefused(
        await mount(['--database', 'a', '--spool-dir', wrong, ...log]),
        BAD_CONFIG,
        /spool_dir \S+ cannot be used: .*another directory/,
      );
    }
  });

  it('the account of another owner is refused as not permitted', async () => {
    const foreign = `${swift.url}/v1/AUTH_somebodyelse`;
    assertRefused(await mount(['--database', 'a', '--storage-url', foreign]), NO_PERMISSION, /403|not permitted|forbidden/i);
  });

  it('a mount point that is missing, no directory, or mounted already is refused with the remedy', async () => {
    fs.writeFileSync(`${directory}/file`, '');
    assertRefused(await mount([], {}, `${directory}/none`), BAD_CONFIG, /does not exist.*mkdir/);
    assertRefused(await mount([], {}, `${directory}/file`), BAD_CONFIG, /not a directory/);
    const mounted = await startMount({ swift, database: 'twice' });
    try {
      const second = await mount(['--database', 'twice'], {}, mounted.path);
      assertRefused(second, BUSY, /mounted already.*odoo-swiftfs unmount/);
      const sameSpool = await mount(['--database', 'twice', '--spool-dir', mounted.spoolDir]);
      assertRefused(sameSpool, BUSY, /spool_dir .* is used by another odoo-swiftfs \(pid \d+\)/);
    } finally {
      await mounted.stop();
    }
  });

  it('a start that was refused leaves no database behind: neither with a wrong password nor with a name that is another one in capitals', async () => {
    const prefix = ['--container-prefix', 'left', '--spool-dir', `${directory}/left`];
    const served = await startMount({ swift, containerPrefix: 'left' });
    fs.mkdirSync(served.file('shop'));
    await served.drained();
    await eventually('its container is there', async () => (await runCli(['swift', 'ls'], swift.env)).stdout.includes('left-shop'));
    await served.stop();
    assertRefused(await mount([...prefix, '--database', 'typo'], { ST_KEY: 'wrong' }), NO_PERMISSION, /refuses the login/);
    assertRefused(await mount([...prefix, '--database', 'Shop']), BAD_NAME, /belongs to database "shop"/);
    assertRefused(await mount(prefix, { ST_KEY: 'wrong' }), NO_PERMISSION, /refuses the login/);
    const mounted = await startMount({ swift, containerPrefix: 'left', dirs: { spool: `${directory}/left` } });
    try {
      assert.deepEqual(fs.readdirSync(mounted.path), ['shop']);
    } finally {
      await mounted.stop();
    }
  });

  it('directories that lie in one another are refused: spool or cache below the mount point, in the origin or in each other, the mount point in the origin', async () => {
    // Also behind a symbolic link.
    fs.symlinkSync(`${directory}/mnt`, `${directory}/link`);
    const [below, behind] = [`${directory}/mnt/spool`, `${directory}/link/deep/cache`];
    assertRefused(await mount(['--spool-dir', below]), BAD_CONFIG, /spool_dir \S+\/mnt\/spool lies below the mount point .*--spool-dir/);
    assertRefused(await mount(['--spool-dir', `${directory}/mnt`]), BAD_CONFIG, /spool_dir \S+ lies below the mount point/);
    const cache = await runCli(['mount', `${directory}/mnt`, '--spool-dir', `${directory}/spool`, '--cache-dir', behind], swift.env);
    assertRefused(cache, BAD_CONFIG, /cache_dir \S+\/link\/deep\/cache lies below the mount point .*--cache-dir/);
    const origin = ['--spool-dir', `${directory}/origin/spool`, '--origin', `${directory}/origin`];
    assertRefused(await mount(origin), BAD_CONFIG, /spool_dir \S+ lies below the origin .*taken for a database/);
    const one = ['--spool-dir', `${directory}/cache`];
    assertRefused(await mount(one), BAD_CONFIG, /spool_dir \S+ is the same directory as cache_dir .*--cache-dir/);
    const within = ['--spool-dir', `${directory}/cache/spool`];
    assertRefused(await mount(within), BAD_CONFIG, /spool_dir \S+ lies in cache_dir \S+, which may be emptied/);
    assertRefused(await mount(['--origin', directory]), BAD_CONFIG, /the mount point \S+\/mnt lies below the origin .*--origin \S+\/mnt$/m);
    // The log of what was to be a daemon.
    for (const made of [below, `${directory}/mnt/daemon.log`, `${directory}/link`, `${directory}/origin`])
      fs.rmSync(made, { recursive: true, force: true });
  });

  it('a busy mount is not unmounted: who holds it is named, and it goes on serving', async () => {
    const mounted = await startMount({ swift, database: 'busy' });
    try {
      const held = fs.openSync(mounted.file('held'), 'w');
      const refused = await runCli(['unmount', mounted.path]);
      assert.equal(refused.code, BUSY, refused.stderr);
      assert.match(refused.stderr, new RegExp(`held by ${process.pid} `));
      fs.writeSync(held, 'still here');
      await fs.promises.open(mounted.file('other'), 'w').then((file) => file.close());
      fs.closeSync(held);
      const done = await runCli(['unmount', mounted.path]);
      assert.deepEqual([done.code, isMounted(mounted.path)], [0, false], done.stderr);
      await eventually('the daemon has ended', () => !isAlive(mounted.pid));
    } finally {
      await mounted.stop();
    }
  });

  it('database names that can be no container are refused', async () => {
    assertRefused(await mount(['--database', 'a/b']), BAD_NAME, /contains a slash/);
    assertRefused(await mount(['--database', '..']), BAD_NAME, /is not a name/);
    assertRefused(await mount(['--database', 'a\nb']), BAD_NAME, /contains a control character/);
    assertRefused(await mount(['--database', 'x'.repeat(300)]), BAD_NAME, /would pass Swift's limit/);
  });

  it('two databases whose names differ in capitals only do not share a container: the second is refused when it is made', async () => {
    const mounted = await startMount({ swift, containerPrefix: 'case' });
    try {
      fs.mkdirSync(mounted.file('Shop'));
      mounted.log.expect(/^WARN database\.refused database=shop reason=".*would share container case-shop with .*Shop.*; choose a name/);
      assert.throws(() => fs.mkdirSync(mounted.file('shop')));
      await eventually('the log says why, and with what to do', () => mounted.log.has(/^WARN database\.refused/));
      assert.deepEqual(fs.readdirSync(mounted.path), ['Shop']);
    } finally {
      await mounted.stop();
    }
  });

  it('a name over 255 bytes is ENAMETOOLONG, and the mount goes on', async () => {
    const mounted = await startMount({ swift, database: 'names' });
    try {
      assert.throws(() => fs.writeFileSync(mounted.file('n'.repeat(256)), ''), { code: 'ENAMETOOLONG' });
      fs.writeFileSync(mounted.file('n'.repeat(255)), 'x');
      assert.equal(fs.readFileSync(mounted.file('n'.repeat(255)), 'utf8'), 'x');
    } finally {
      await mounted.stop();
    }
  });

  it('a cache on a full disk costs nothing but the cache', async () => {
    const cache = path.join(directory, 'small');
    fs.mkdirSync(cache);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', cache]);
    const blob = makeBlob(3, 2 ** 20);
    try {
      const mounted = await startMount({ swift, database: 'full', dirs: { cache }, args: ['--cache-floor', '0'] });
      mounted.log.expect(/^WARN /);
      try {
        fs.mkdirSync(mounted.file(blob.name.slice(0, 2)));
        await fs.promises.writeFile(mounted.file(blob.name), blob.content);
        assert.deepEqual(await fs.promises.readFile(mounted.file(blob.name)), blob.content);
        await mounted.restart();
        assert.deepEqual(await fs.promises.readFile(mounted.file(blob.name)), blob.content);
      } finally {
        await mounted.stop();
      }
    } finally {
      execFileSync('umount', [cache]);
    }
  });
});

describe('bad input to Keystone', () => {
  it('an unknown region is refused with those there are', async () => {
    const keystone = await withKeystone();
    const directory = tempDir('bad-region');
    try {
      fs.mkdirSync(`${directory}/mnt`);
      const own = ['--spool-dir', `${directory}/spool`, '--cache-dir', `${directory}/cache`];
      const refused = await runCli(['mount', `${directory}/mnt`, '--database', 'a', '--region', 'Atlantis', ...own], keystone.env);
      assert.match(refused.stderr, /Atlantis.*RegionOne/);
      assert.equal(refused.code, BAD_CONFIG, refused.stderr);
    } finally {
      await keystone.stop();
      removeDir(directory);
    }
  });
});
