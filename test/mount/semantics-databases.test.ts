/** Sentences of docs/SEMANTICS.md about directories, databases and the original directory, over the real mount and the real Swift. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makeBlob, makeBlobs } from '../helpers/blobs.js';
import { eventually, runOk } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

let swift: Swift;
let client: SwiftClient;
before(async () => {
  swift = await withSwift();
  client = await swift.client();
});
after(async () => {
  await swift.stop();
});

describe('docs/SEMANTICS.md: databases', () => {
  let mount: Mount;
  before(async () => {
    mount = await startMount({ swift, containerPrefix: 'Site' });
  });
  after(async () => {
    await mount.stop();
  });

  it('A database directory is ENOENT until somebody makes it.', async () => {
    await assert.rejects(fs.stat(mount.file('early')), { code: 'ENOENT' });
    await assert.rejects(fs.readdir(mount.file('early')), { code: 'ENOENT' });
    assert.deepEqual(await fs.readdir(mount.path), []);
    assert.deepEqual(await client.containers(), []);
    await fs.mkdir(mount.file('early'));
    assert.deepEqual(await fs.readdir(mount.path), ['early']);
    await eventually('its container is made', async () => (await client.containers()).includes('site-early'));
    assert.deepEqual(await fs.readdir(mount.file('early')), []);
  });

  it("A database whose name differs from another's in case only is refused when it is made.", async () => {
    await fs.mkdir(mount.file('Prod'));
    mount.log.expect(/^WARN database\.refused database="?(?:prod|bad|nnn)/);
    await assert.rejects(fs.mkdir(mount.file('prod')));
    await assert.rejects(fs.mkdir(mount.file('bad\nname')));
    await assert.rejects(fs.mkdir(mount.file('n'.repeat(250))), { code: 'ENAMETOOLONG' });
    assert.deepEqual((await fs.readdir(mount.path)).sort(), ['Prod', 'early']);
    await assert.rejects(fs.writeFile(mount.file('stray'), 'x'), { code: 'EPERM' });
  });

  it('Databases do not rename into one another: EXDEV, and the caller copies.', async () => {
    const blob = makeBlob(201);
    await fs.mkdir(mount.file('one', blob.name.slice(0, 2)), { recursive: true });
    await fs.mkdir(mount.file('two'));
    await fs.writeFile(mount.file('one', blob.name), blob.content);
    await assert.rejects(fs.rename(mount.file('one', blob.name), mount.file('two', 'x')), { code: 'EXDEV' });
    await assert.rejects(fs.rename(mount.file('one'), mount.file('three')), { code: 'EXDEV' });
    await fs.cp(mount.file('one'), mount.file('three'), { recursive: true });
    assert.deepEqual(await client.get('site-three', blob.name), blob.content);
  });

  it('The directory of the databases takes times without effect, as rsync and cp -a set them.', async () => {
    const before = (await fs.stat(mount.path)).mtimeMs;
    await fs.utimes(mount.path, 1, 1);
    assert.equal((await fs.stat(mount.path)).mtimeMs, before);
  });

  it('A database into whose container other tools put pseudo-directories and a checklist is listed, read and dropped.', async () => {
    const blob = makeBlob(203);
    const shard = blob.name.slice(0, 2);
    await client.makeContainer('site-seeded');
    await client.put('site-seeded', blob.name, blob.content);
    for (const name of [`${shard}/`, `${shard}//x`, 'docs/', shard, `checklist/${blob.name}`, 'upload/t', `${blob.name}.__gc`])
      await client.put('site-seeded', name, name === 'upload/t' ? 'x' : '');
    assert.deepEqual(await fs.readdir(mount.file('seeded')), [shard]);
    assert.deepEqual(await fs.readdir(mount.file('seeded', shard)), [blob.sha1]);
    assert.deepEqual(await fs.readFile(mount.file('seeded', blob.name)), blob.content);
    await assert.rejects(fs.stat(mount.file('seeded', 'checklist')), { code: 'ENOENT' });
    await fs.rm(mount.file('seeded'), { recursive: true });
    await assert.rejects(fs.stat(mount.file('seeded')), { code: 'ENOENT' });
    await eventually('the blob is gone from Swift', async () => (await client.get('site-seeded', blob.name)) === undefined);
  });

  it('A directory that Swift alone had stays when its last file goes, at any depth, and `rm -r` removes it.', async () => {
    await client.makeContainer('site-depths');
    for (const name of ['docs/2026/a', 'docs/2026/b', 'docs/2027/c', 'left/of/one']) await client.put('site-depths', name, name);
    await fs.unlink(mount.file('depths', 'left/of/one'));
    assert.deepEqual(await fs.readdir(mount.file('depths', 'left/of')), []);
    await runOk('rm', ['-r', mount.file('depths', 'docs')]);
    assert.deepEqual(await fs.readdir(mount.file('depths')), ['left']);
    await fs.rm(mount.file('depths'), { recursive: true });
    await assert.rejects(fs.stat(mount.file('depths')), { code: 'ENOENT' });
    await eventually('the container is gone', async () => !(await client.containers()).includes('site-depths'));
  });

  it('A dropped database is gone, its container too, and one made anew under its name is empty.', async () => {
    const blobs = makeBlobs(30, 500, 2000);
    for (const blob of blobs) {
      await fs.mkdir(mount.file('drop', blob.name.slice(0, 2)), { recursive: true });
      await fs.writeFile(mount.file('drop', blob.name), blob.content);
    }
    await fs.mkdir(mount.file('drop', 'checklist', 'ab'), { recursive: true });
    await fs.writeFile(mount.file('drop', 'checklist', 'ab', 'x'), '');
    await fs.rm(mount.file('drop'), { recursive: true });
    await assert.rejects(fs.stat(mount.file('drop')), { code: 'ENOENT' });
    await eventually('the container is gone', async () => !(await client.containers()).includes('site-drop'));
    await fs.mkdir(mount.file('drop'));
    assert.deepEqual(await fs.readdir(mount.file('drop')), []);
    const [first] = blobs;
    assert.ok(first !== undefined);
    await fs.mkdir(mount.file('drop', first.name.slice(0, 2)));
    await fs.writeFile(mount.file('drop', first.name), first.content);
    await mount.drained();
    assert.deepEqual(await client.names('site-drop'), [first.name]);
  });

  it('Empty directories exist and stay, also after a restart.', async () => {
    await fs.mkdir(mount.file('early', 'ab'));
    await fs.mkdir(mount.file('early', 'deep', 'er'), { recursive: true });
    await mount.restart();
    assert.deepEqual((await fs.readdir(mount.file('early'))).sort(), ['ab', 'deep']);
    assert.deepEqual(await fs.readdir(mount.file('early', 'deep')), ['er']);
    await assert.rejects(fs.rmdir(mount.file('early', 'deep')), { code: 'ENOTEMPTY' });
    await fs.rmdir(mount.file('early', 'deep', 'er'));
    await fs.rmdir(mount.file('early', 'deep'));
    assert.deepEqual(await fs.readdir(mount.file('early')), ['ab']);
    assert.deepEqual((await fs.readdir(mount.path)).sort(), ['Prod', 'drop', 'early', 'one', 'three', 'two']);
  });

  it('What was made, renamed or removed here is exact at once in stat, readdir and rmdir.', async () => {
    const blobs = makeBlobs(20, 300, 3000).map((b) => ({ ...b, at: mount.file('early', 'ab', b.sha1) }));
    for (const { at, content } of blobs) {
      await fs.writeFile(at, content);
      assert.equal((await fs.stat(at)).size, content.length);
    }
    assert.equal((await fs.readdir(mount.file('early', 'ab'))).length, 20);
    await assert.rejects(fs.rmdir(mount.file('early', 'ab')), { code: 'ENOTEMPTY' });
    const [first] = blobs;
    assert.ok(first !== undefined);
    await fs.rename(first.at, `${first.at}.txt`);
    assert.deepEqual(
      (await fs.readdir(mount.file('early', 'ab'))).filter((n) => n.startsWith(first.sha1)),
      [`${first.sha1}.txt`],
    );
    assert.deepEqual(await fs.readFile(`${first.at}.txt`), first.content);
    for (const name of await fs.readdir(mount.file('early', 'ab'))) await fs.unlink(mount.file('early', 'ab', name));
    assert.deepEqual(await fs.readdir(mount.file('early', 'ab')), []);
    await fs.rmdir(mount.file('early', 'ab'));
    await assert.rejects(fs.stat(mount.file('early', 'ab')), { code: 'ENOENT' });
  });

  it('A non-empty directory does not rename: EXDEV, and the caller copies.', async () => {
    await fs.mkdir(mount.file('early', 'full'));
    await fs.writeFile(mount.file('early', 'full', 'a.txt'), 'a');
    await assert.rejects(fs.rename(mount.file('early', 'full'), mount.file('early', 'moved')), { code: 'EXDEV' });
    await fs.unlink(mount.file('early', 'full', 'a.txt'));
    await fs.rename(mount.file('early', 'full'), mount.file('early', 'moved'));
    assert.deepEqual(await fs.readdir(mount.file('early')), ['moved']);
  });
});

describe('docs/SEMANTICS.md: attributes', () => {
  it('Files belong to the owner of the mount point, who reads and writes without being the one who mounted.', async () => {
    const dir = tempDir('owner');
    const mountPoint = path.join(dir, 'filestore');
    await fs.mkdir(mountPoint);
    await fs.chmod(dir, 0o755);
    await fs.chown(mountPoint, 4242, 4343);
    const mount = await startMount({ swift, database: 'owned', dirs: { mountPoint } });
    try {
      const blob = makeBlob(501);
      const script = 'mkdir -p "$1/$2" && cat > "$1/$3" && cat "$1/$3"';
      const as = { uid: 4242, gid: 4343, input: blob.content };
      const out = await runOk('sh', ['-c', script, 'sh', mountPoint, path.dirname(blob.name), blob.name], as);
      assert.equal(out.length > 0, true);
      const { uid, gid } = await fs.stat(mount.file(blob.name));
      assert.deepEqual([uid, gid], [4242, 4343]);
      assert.deepEqual(await client.get('odoo-owned', blob.name), blob.content);
      await assert.rejects(runOk('sh', ['-c', 'echo x > "$1/x"', 'sh', mountPoint], { uid: 4444, gid: 4444 }), /denied/);
    } finally {
      await mount.stop();
    }
    removeDir(dir);
  });
});

describe('docs/SEMANTICS.md: the original directory', () => {
  it('A file that only the original directory has is served from it, verified, also when the mount lies over that directory.', async () => {
    const dir = tempDir('origin');
    const [good, bad, fresh] = [makeBlob(301), makeBlob(302), makeBlob(303)];
    for (const blob of [good, bad]) await fs.mkdir(path.dirname(path.join(dir, blob.name)), { recursive: true });
    await fs.writeFile(path.join(dir, good.name), good.content);
    await fs.writeFile(path.join(dir, bad.name), 'not what the name says');
    await fs.mkdir(path.join(dir, 'checklist', 'ab'), { recursive: true });
    const mount = await startMount({ swift, database: 'over', origin: dir, dirs: { mountPoint: dir } });
    try {
      assert.deepEqual(await fs.readFile(mount.file(good.name)), good.content);
      assert.equal((await fs.stat(mount.file(good.name))).size, good.content.length);
      mount.log.expect(/^(WARN|ERROR) .*/);
      await assert.rejects(fs.readFile(mount.file(bad.name)), { code: 'EIO' });
      assert.deepEqual(await fs.readdir(path.dirname(mount.file(good.name))), [good.sha1]);
      await fs.mkdir(path.dirname(mount.file(fresh.name)), { recursive: true });
      await fs.writeFile(mount.file(fresh.name), fresh.content);
      assert.deepEqual(await client.get('odoo-over', fresh.name), fresh.content);
    } finally {
      await mount.stop();
    }
    assert.deepEqual(await fs.readFile(path.join(dir, good.name)), good.content);
    await assert.rejects(fs.stat(path.join(dir, fresh.name)), { code: 'ENOENT' });
    removeDir(dir);
  });

  it('A blob is as long as its verified bytes, also where Swift or the original directory has a damaged copy of another length.', async () => {
    const dir = tempDir('origin');
    const blobs = [makeBlob(310, 3000), makeBlob(311, 300_000), makeBlob(312, 3_000_000)];
    const cached = makeBlob(313, 30_000);
    await client.makeContainer('odoo-lengths');
    for (const [nth, blob] of blobs.entries()) {
      await fs.mkdir(path.dirname(path.join(dir, blob.name)), { recursive: true });
      await fs.writeFile(path.join(dir, blob.name), blob.content);
      const longer = Buffer.concat([blob.content, Buffer.alloc(100)]);
      await client.put('odoo-lengths', blob.name, nth === 1 ? longer : blob.content.subarray(0, 2000));
    }
    const mount = await startMount({ swift, database: 'lengths', origin: dir });
    mount.log.expect(/^WARN cache\.fill-wrong-hash/);
    try {
      await fs.mkdir(path.dirname(mount.file(cached.name)), { recursive: true });
      await fs.writeFile(mount.file(cached.name), cached.content);
      await client.put('odoo-lengths', cached.name, cached.content.subarray(0, 1000));
      for (let start = 0; start < 2; start++) {
        await mount.restart();
        for (const blob of [...blobs, cached]) {
          assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
          assert.equal((await fs.stat(mount.file(blob.name))).size, blob.content.length);
        }
      }
    } finally {
      await mount.stop();
      removeDir(dir);
    }
  });

  it('An original directory with nothing in it, as when its disk is not mounted, is warned of at the start.', async () => {
    const origin = tempDir('origin');
    const mount = await startMount({ swift, database: 'nothing', origin });
    mount.log.expect(/^WARN origin-empty .*mount its disk/);
    try {
      await mount.log.waitFor(/^WARN origin-empty/);
    } finally {
      await mount.stop();
    }
    removeDir(origin);
  });

  it('A file deleted through the mount stays deleted although the original directory still has it.', async () => {
    const dir = tempDir('origin');
    const blobs = makeBlobs(3, 400, 4000);
    for (const blob of blobs) {
      await fs.mkdir(path.join(dir, 'db', path.dirname(blob.name)), { recursive: true });
      await fs.writeFile(path.join(dir, 'db', blob.name), blob.content);
    }
    const mount = await startMount({ swift, containerPrefix: 'org', origin: dir });
    try {
      const [first, second] = blobs;
      assert.ok(first !== undefined && second !== undefined);
      assert.deepEqual(await fs.readdir(mount.path), ['db']);
      await fs.unlink(mount.file('db', first.name));
      await assert.rejects(fs.stat(mount.file('db', first.name)), { code: 'ENOENT' });
      await mount.drained();
      await mount.kill9();
      await mount.restart();
      await assert.rejects(fs.stat(mount.file('db', first.name)), { code: 'ENOENT' });
      assert.deepEqual(await fs.readdir(path.dirname(mount.file('db', first.name))), []);
      assert.deepEqual(await fs.readFile(mount.file('db', second.name)), second.content);
      await fs.rm(mount.file('db'), { recursive: true });
      await assert.rejects(fs.stat(mount.file('db')), { code: 'ENOENT' });
      await fs.mkdir(mount.file('db'));
      assert.deepEqual(await fs.readdir(mount.file('db')), [], 'nothing of the dropped database rises again');
      assert.deepEqual(await fs.readFile(path.join(dir, 'db', second.name)), second.content);
    } finally {
      await mount.stop();
    }
    removeDir(dir);
  });

  it('What uploads, rsync and garbage collection left behind in the original directory is not shown, and holds no drop up.', async () => {
    const dir = tempDir('origin');
    const blob = makeBlob(204);
    const below = path.join(dir, 'db', blob.name);
    const shard = path.dirname(below);
    await fs.mkdir(path.join(dir, 'db', 'upload'), { recursive: true });
    // A directory of a content name too: no file of Odoo's.
    await fs.mkdir(path.join(shard, blob.sha1.slice(0, 39) + (blob.sha1.endsWith('0') ? '1' : '0')), { recursive: true });
    await fs.writeFile(below, blob.content);
    // Of the file system that the origin is.
    await fs.mkdir(path.join(dir, 'lost+found'));
    const left = ['upload/tmp1', `${blob.name}.__new`, `${blob.name}.__gc`, `${path.dirname(blob.name)}/.${blob.sha1}.AbC123`];
    for (const name of left) await fs.writeFile(path.join(dir, 'db', name), blob.content.subarray(0, 100));
    const mount = await startMount({ swift, containerPrefix: 'left', origin: dir });
    try {
      assert.deepEqual(await fs.readdir(mount.path), ['db']);
      await assert.rejects(fs.stat(mount.file('lost+found')), { code: 'ENOENT' });
      assert.deepEqual(await fs.readdir(path.dirname(mount.file('db', blob.name))), [blob.sha1]);
      await runOk('python3', ['-c', 'import shutil, sys; shutil.rmtree(sys.argv[1])', mount.file('db')]);
      await assert.rejects(fs.stat(mount.file('db')), { code: 'ENOENT' });
      assert.deepEqual(await fs.readFile(below), blob.content);
    } finally {
      await mount.stop();
    }
    removeDir(dir);
  });
});
