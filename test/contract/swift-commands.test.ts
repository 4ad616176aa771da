/** `odoo-swiftfs swift …` as an administrator uses it, against a real Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bytesOf, makeBlob } from '../helpers/blobs.js';
import { run, runOk } from '../helpers/processes.js';
import { cliPath } from '../helpers/project.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { runCli } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

void describe('swift commands', () => {
  let swift: Swift;
  let client: SwiftClient;
  let base: string;
  const blob = makeBlob(901, 30_000);
  const cli = async (...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    runCli(['swift', ...args], swift.env);
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  before(async () => {
    swift = await withSwift();
    client = await swift.client();
    base = tempDir('swift-commands');
    await client.makeContainer('box');
    await client.put('box', blob.name, blob.content);
    fs.writeFileSync(path.join(base, 'source'), 'text');
  });
  after(async () => {
    await swift.stop();
    removeDir(base);
  });

  void it('a name that begins with a dash stands behind --, and never makes `rm` take the container', async () => {
    await client.makeContainer('empty');
    for (const name of ['-x', '--long', '--x=1', '-']) {
      assert.equal((await cli('rm', 'empty', '--', name)).code, 66, name);
      await ok('put', 'box', '--', name, path.join(base, 'source'));
      assert.match(await ok('stat', 'box', '--', name), /^bytes +4$/m);
      assert.equal((await ok('ls', 'box', '--', name)).split('\n')[0], name);
      assert.equal(await ok('get', 'box', '--', name), 'text');
      await ok('rm', 'box', '--', name);
    }
    assert.ok((await client.containers()).includes('empty'));
    assert.equal(await ok('get', 'box', blob.name, '-'), blob.content.toString());
  });

  void it('`put --segments` stores a file above `segment_size` as a large object, and a smaller one as ever', async () => {
    const file = path.join(base, 'larger');
    fs.writeFileSync(file, bytesOf(7, (2 << 20) + 1));
    const sent = await ok('put', 'box', 'larger', file, '--segments', '--segment-size', '1MiB');
    assert.match(sent, /^bytes +2097153$\n^md5 +none \(a large object\)$/m);
    assert.equal((await client.names('box_segments')).length, 3);
    assert.match(await ok('ls', 'box', 'larger', '-l'), /^ +2097153 /);
    await ok('get', 'box', 'larger', `${file}.back`);
    assert.ok(fs.readFileSync(`${file}.back`).equals(fs.readFileSync(file)));
    await ok('rm', 'box', 'larger');
    assert.deepEqual(await client.names('box_segments'), []);
    assert.match(await ok('put', 'box', 'larger', file, '--segments=yes', '--segment-size=2GiB'), /^md5 +[0-9a-f]{32}$/m);
    await ok('rm', 'box', 'larger');
  });

  void it('what is not there, or not empty, is told with its name and what to do', async () => {
    const refused: readonly (readonly [string[], number, RegExp])[] = [
      [['ls', 'absent'], 66, /there is no container absent; odoo-swiftfs swift ls lists/],
      [['put', 'box', 'new', `${base}/absent`], 66, /there is no file \S+\/absent$/],
      [['get', 'box', blob.name, `${base}/absent/file`], 66, /there is no directory \S+\/absent to make \S+\/absent\/file in$/],
      [['rm', 'box'], 65, /container box still holds objects; remove them first$/],
    ];
    for (const [args, code, message] of refused) {
      const finished = await cli(...args);
      assert.match(finished.stderr.trimEnd(), message);
      assert.equal(finished.code, code);
    }
  });

  void it('`get` into a file keeps its mode and follows a link, and what fails leaves it as it was', async () => {
    const file = path.join(base, 'kept');
    const link = path.join(base, 'link');
    fs.writeFileSync(file, 'before', { mode: 0o600 });
    fs.symlinkSync('kept', link);
    assert.equal((await cli('get', 'box', 'absent', link)).code, 66);
    assert.equal(fs.readFileSync(file, 'utf8'), 'before');
    await ok('get', 'box', blob.name, link);
    assert.ok(fs.lstatSync(link).isSymbolicLink());
    assert.ok(fs.readFileSync(file).equals(blob.content));
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    await ok('get', 'box', blob.name, path.join(base, 'n'.repeat(250)));
    assert.match((await cli('get', 'box', blob.name, base)).stderr, /is a directory; give the name of a file/);
    assert.match((await cli('put', 'box', 'folder', base)).stderr, new RegExp(`${base} is a directory; give the name of a file`));
    fs.symlinkSync('nowhere', path.join(base, 'dangling'));
    assert.match((await cli('get', 'box', blob.name, path.join(base, 'dangling'))).stderr, /a link that leads nowhere/);
    assert.deepEqual(
      fs.readdirSync(base).filter((name) => name.includes('partial')),
      [],
    );
  });

  void it('`get` onto a full disk names the file that was asked for, and leaves it as it was', async () => {
    const disk = path.join(base, 'disk');
    fs.mkdirSync(disk);
    await runOk('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const file = path.join(disk, 'file');
      fs.writeFileSync(file, 'before');
      await client.put('box', 'too-large', Buffer.alloc(1 << 20));
      const { code, stderr } = await cli('get', 'box', 'too-large', file);
      assert.equal(code, 74);
      assert.match(stderr, new RegExp(`${file}: ENOSPC`));
      assert.deepEqual([fs.readFileSync(file, 'utf8'), fs.readdirSync(disk)], ['before', ['file']]);
      const nowhere = path.join(disk, 'nowhere', 'file');
      assert.match(
        (await cli('get', 'box', blob.name, nowhere)).stderr,
        new RegExp(`there is no directory ${path.dirname(nowhere)} to make ${nowhere} in`),
      );
    } finally {
      await runOk('umount', ['-l', disk]);
    }
  });

  void it('`get` into a pipe or a device writes into it', async () => {
    const [fifo, device] = [path.join(base, 'fifo'), path.join(base, 'null')];
    await runOk('mkfifo', [fifo]);
    await runOk('mknod', [device, 'c', '1', '3']);
    const [read] = await Promise.all([runOk('sha1sum', [fifo]), ok('get', 'box', blob.name, fifo)]);
    assert.match(read, new RegExp(`^${blob.sha1} `));
    await ok('get', 'box', blob.name, device);
    assert.ok(fs.statSync(device).isCharacterDevice());
    assert.equal(await ok('get', 'box', blob.name, '/dev/stdout'), blob.content.toString());
    assert.equal((await cli('get', 'box', blob.name, '/dev/full')).code, 74);
  });

  void it('an output that its reader closes ends the command in silence', async () => {
    for (const what of ['ls box', `get box ${blob.name}`, 'info']) {
      const line = `"${process.execPath}" "${cliPath}" swift ${what} | true; echo "code \${PIPESTATUS[0]}"`;
      const { stdout, stderr } = await run('bash', ['-c', line], { env: swift.env });
      assert.deepEqual([stdout, stderr], ['code 141\n', ''], what);
    }
  });

  void it('a `get` that is broken off leaves nothing behind', async () => {
    const sizeBytes = 60 << 20;
    await client.put('box', 'large', Buffer.alloc(sizeBytes));
    const target = path.join(base, 'broken');
    const line = `"${process.execPath}" "${cliPath}" swift get box large "${target}" & pid=$!; until ls -A "${base}" | grep -q partial; do sleep 0.01; kill -0 $pid || exit 9; done; kill $pid; wait $pid; echo "code $?"`;
    const { stdout } = await run('bash', ['-c', line], { env: swift.env });
    assert.equal(stdout, 'code 143\n');
    assert.deepEqual(
      fs.readdirSync(base).filter((name) => name.includes('partial') || name === 'broken'),
      [],
    );
  });
});
