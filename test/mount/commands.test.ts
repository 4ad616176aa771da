/** The commands beside a mount: what they say when something is in their way. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { forEachAtOnce } from '../../src/base/at-once.js';
import { bytesOf, makeBlobs, writeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { eventually, run } from '../helpers/processes.js';
import { cliPath } from '../helpers/project.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { isMounted, runCli, startMount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

const MIB = 1 << 20;
const BAD_CONFIG = 78;
const UNAVAILABLE = 69;

describe('commands', () => {
  let swift: Swift;
  let base: string;
  before(async () => {
    swift = await withSwift({ maxFileSizeBytes: 4 * MIB });
    base = tempDir('commands');
  });
  after(async () => {
    await swift.stop();
    removeDir(base);
  });

  it('unmount may be given from within the mount', async () => {
    const mountPoint = path.join(base, 'within');
    fs.mkdirSync(mountPoint);
    const flags = ['--database', 'within', '--spool-dir', path.join(base, 'spool'), '--cache-dir', path.join(base, 'cache')];
    const started = await runCli(['mount', mountPoint, '--daemon', ...flags], swift.env);
    assert.equal(started.code, 0, started.stderr);
    assert.match(fs.readFileSync(path.join(base, 'spool', 'daemon.log'), 'utf8'), /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO serving /m);
    const ended = await run(process.execPath, [cliPath, 'unmount', '.'], { cwd: mountPoint });
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(isMounted(mountPoint), false);
    assert.doesNotMatch(fs.readFileSync(path.join(base, 'spool', 'daemon.log'), 'utf8'), /unmount-busy/);
  });

  it('a stop ends the daemon while a program has a file open, also where pure Node reads the device', async () => {
    for (const driver of ['kernel', 'kernel-pure']) {
      const mount = await startMount({ swift, database: `held-${driver}`, args: ['--driver', driver] });
      mount.log.expect(/^WARN unmount-busy/);
      await fs.promises.writeFile(mount.file('a'), 'a');
      const program = spawn('sh', ['-c', 'exec sleep 60 < "$0"', mount.file('a')], { stdio: ['pipe', 'ignore', 'ignore'] });
      try {
        await eventually('it has the file open', () => fs.readlinkSync(`/proc/${String(program.pid)}/fd/0`) === mount.file('a'));
        // By a signal where a thread could not be ended otherwise.
        assert.ok([0, null].includes(await mount.terminate(20_000)));
        assert.equal(isMounted(mount.path), false);
      } finally {
        program.kill('SIGKILL');
        await mount.stop();
      }
    }
  });

  it('a command runs also where its working directory was removed', async () => {
    const gone = path.join(base, 'gone');
    fs.mkdirSync(gone);
    const shown = await run('sh', ['-c', 'cd "$0" && rmdir "$0" && exec "$@"', gone, process.execPath, cliPath, 'config', 'show']);
    assert.equal(shown.code, 0, shown.stderr);
  });

  it('SIGUSR1 and SIGUSR2 end nothing and open no debugger, and SIGQUIT is an orderly end', async () => {
    const mount = await startMount({ swift, database: 'signals' });
    try {
      await fs.promises.writeFile(mount.file('a'), 'a');
      for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.kill(mount.pid, signal);
      assert.equal((await mount.status()).state, 'serving');
      assert.equal(await fs.promises.readFile(mount.file('a'), 'utf8'), 'a');
      process.kill(mount.pid, 'SIGQUIT');
      await eventually('it has ended', () => !fs.existsSync(`/proc/${mount.pid}`));
      assert.ok(mount.log.lines.includes('INFO ended'));
      assert.doesNotMatch(mount.log.lines.join('\n'), /Debugger/);
    } finally {
      await mount.stop();
    }
  });

  it('a low limit of open files is told at the start, and the mount serves', async () => {
    const mountPoint = path.join(base, 'few');
    fs.mkdirSync(mountPoint);
    const flags = ['--database', 'few', '--spool-dir', path.join(base, 'few-spool'), '--cache-dir', path.join(base, 'few-cache')];
    const command = [process.execPath, cliPath, 'mount', mountPoint, '--daemon', ...flags];
    const started = await run('bash', ['-c', 'ulimit -n 600; exec "$@"', 'bash', ...command], { env: swift.env });
    assert.equal(started.code, 0, started.stderr);
    const log = fs.readFileSync(path.join(base, 'few-spool', 'daemon.log'), 'utf8');
    assert.match(log, /WARN open-file-limit-low limit=600 filesOpenAtOnce=\d+ remedy=".*LimitNOFILE=/);
    const ended = await runCli(['unmount', mountPoint], swift.env);
    assert.equal(ended.code, 0, ended.stderr);
  });

  it('However many files are open for reading, a new one is written.', async () => {
    const [mountPoint, spool, cache] = ['held', 'held-spool', 'held-cache'].map((name) => path.join(base, name));
    assert.ok(mountPoint !== undefined && spool !== undefined && cache !== undefined);
    fs.mkdirSync(mountPoint);
    const flags = ['--database', 'held', '--spool-dir', spool, '--cache-dir', cache];
    const command = [process.execPath, cliPath, 'mount', mountPoint, '--daemon', ...flags];
    const started = await run('bash', ['-c', 'ulimit -n 160; exec "$@"', 'bash', ...command], { env: swift.env });
    assert.equal(started.code, 0, started.stderr);
    const blobs = makeBlobs(130, 500, 7000);
    await forEachAtOnce(blobs.slice(0, 110), 8, (blob) => writeBlob(mountPoint, blob));
    const opened = await Promise.allSettled(blobs.slice(0, 110).map((blob) => fs.promises.open(path.join(mountPoint, blob.name))));
    const held = opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    assert.equal(held.length, 100, 'five eighths of the limit');
    for (const blob of blobs.slice(110)) await writeBlob(mountPoint, blob);
    await Promise.all(held.map((handle) => handle.close()));
    for (const blob of blobs) assert.deepEqual(fs.readFileSync(path.join(mountPoint, blob.name)), blob.content);
    const log = fs.readFileSync(path.join(spool, 'daemon.log'), 'utf8');
    assert.match(log, /request-failed operation=open .*as many files are open for reading as the limit .*LimitNOFILE/);
    assert.doesNotMatch(log, /EMFILE|swift\.away|not-stored/);
    const ended = await runCli(['unmount', mountPoint], swift.env);
    assert.equal(ended.code, 0, ended.stderr);
  });

  it('a daemon that hangs is named, with what helps', async () => {
    const mount = await startMount({ swift, database: 'hangs' });
    try {
      process.kill(mount.pid, 'SIGSTOP');
      const { code, stderr } = await runCli(['unmount', mount.path]);
      assert.equal(code, UNAVAILABLE);
      assert.match(
        stderr,
        new RegExp(
          `does not answer \\(pid ${mount.pid}\\); if it hangs: kill -9 ${mount.pid}, then run umount -f ${mount.path}; umount -l ${mount.path}`,
        ),
      );
    } finally {
      process.kill(mount.pid, 'SIGCONT');
      await mount.stop();
    }
  });

  it('a swift put that is interrupted removes the segments that it has sent, and ends by the signal', async () => {
    const proxy = await FaultProxy.start(swift.url);
    try {
      const client = await swift.client();
      await client.raw('PUT', 'put');
      const file = path.join(base, 'large');
      fs.writeFileSync(file, bytesOf(1, 20 * MIB));
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        proxy.add({ do: 'hang', method: 'PUT', path: /put_segments\/.*\S/, after: 2 });
        const env = { ...process.env, ...swift.env, ST_AUTH: proxy.authUrl };
        const child = spawn(process.execPath, [cliPath, 'swift', 'put', 'put', 'large', file], { env, stdio: 'ignore' });
        const ended = once(child, 'exit');
        await eventually('segments are there', async () => (await client.names('put_segments')).length === 2);
        child.kill(signal);
        assert.deepEqual(await ended, [null, signal]);
        assert.deepEqual(await client.names('put_segments'), []);
        assert.deepEqual(await client.names('put'), []);
        proxy.clear();
      }
    } finally {
      await proxy.close();
    }
  });

  it('a container prefix that can be no part of a name is refused at the start', async () => {
    const { code, stderr } = await runCli(['mount', base, '--container-prefix', 'a/b'], swift.env);
    assert.equal(code, BAD_CONFIG, stderr);
    assert.match(stderr, /container_prefix a\/b: .*no slash/);
  });
});
