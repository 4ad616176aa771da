/** Sentences of docs/SEMANTICS.md about files, over the real mount and the real Swift. */
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { blobOf, makeBlob } from '../helpers/blobs.js';
import { eventually, runOk } from '../helpers/processes.js';
import type { SwiftClient } from '../helpers/swift-client.js';
import { startMount, type Mount } from '../helpers/with-mount.js';
import { withSwift, type Swift } from '../helpers/with-swift.js';

const { O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

describe('docs/SEMANTICS.md: files', () => {
  let swift: Swift;
  let client: SwiftClient;
  let mount: Mount;
  const container = 'odoo-files';
  before(async () => {
    swift = await withSwift();
    client = await swift.client();
    mount = await startMount({ swift, database: 'files' });
  });
  after(async () => {
    await mount.stop();
    await swift.stop();
  });

  /** Makes the shard, as Odoo does. */
  const place = async (name: string): Promise<string> => {
    await fs.mkdir(path.dirname(mount.file(name)), { recursive: true });
    return mount.file(name);
  };
  const settled = (): Promise<void> => mount.drained();

  it('A content-named file is in Swift, under the same name, when close() has returned.', async () => {
    const blob = makeBlob(101);
    const handle = await fs.open(await place(blob.name), 'w');
    await handle.write(blob.content);
    await handle.close();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('A content-named file that is being written is seen by nobody but its writer.', async () => {
    const blob = makeBlob(102);
    const file = await place(blob.name);
    const handle = await fs.open(file, 'w');
    await handle.write(blob.content.subarray(0, 1000));
    assert.equal((await handle.stat()).size, 1000);
    assert.equal((await fs.stat(file)).size, 1000);
    await assert.rejects(fs.readFile(file), { code: 'ENOENT' });
    await assert.rejects(runOk('stat', [file]), /No such file/);
    assert.deepEqual(await fs.readdir(path.dirname(file)), []);
    await handle.write(blob.content.subarray(1000));
    await handle.close();
    assert.deepEqual(await fs.readdir(path.dirname(file)), [blob.sha1]);
    assert.match(await runOk('stat', ['-c', '%s', file]), new RegExp(`^${blob.content.length}$`, 'm'));
  });

  it('Who writes a content name and opens it once more to write, with or without O_TRUNC, has a second file of that name.', async () => {
    const blob = makeBlob(109);
    const file = await place(blob.name);
    const first = await fs.open(file, 'w');
    await first.write(blob.content.subarray(0, 1000));
    for (const flags of [O_CREAT | O_WRONLY, O_CREAT | O_WRONLY | O_TRUNC]) {
      const again = await fs.open(file, flags);
      assert.equal((await again.stat()).size, 0);
      await again.write(blob.content);
      await again.close();
      assert.match(await runOk('sha1sum', [file]), new RegExp(`^${blob.sha1} `));
      await runOk('rm', [file]);
    }
    await first.write(blob.content.subarray(1000), 0, blob.content.length - 1000, 1000);
    await first.close();
    await settled();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('Two writers of one content name both succeed.', async () => {
    const blob = makeBlob(103);
    const file = await place(blob.name);
    const write = (): Promise<string> => runOk('dd', [`of=${file}`, 'bs=1000', 'status=none'], { input: blob.content });
    await Promise.all([write(), write()]);
    assert.deepEqual(await fs.readFile(file), blob.content);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('A file whose bytes do not hash to its name is set aside when it is closed for the last time, and its name is free.', async () => {
    const blob = makeBlob(104);
    const file = await place(blob.name);
    mount.log.expect(/^WARN write\.torn .*/);
    await fs.writeFile(file, blob.content.subarray(0, 500));
    await mount.log.waitFor(/^WARN write\.torn /);
    await assert.rejects(fs.stat(file), { code: 'ENOENT' });
    assert.equal(await client.get(container, blob.name), undefined);
    assert.equal((await mount.status()).databases[0]?.tornFiles, 1);
    await fs.writeFile(file, blob.content);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
  });

  it('Who has a blob open reads all of it and no more, whatever is written under its name meanwhile.', async () => {
    for (const [seed, sizeBytes] of [
      [164, 5_000],
      [165, 60_000],
      [166, 3 << 20],
    ] as const) {
      const blob = makeBlob(seed, sizeBytes);
      const file = await place(blob.name);
      await fs.writeFile(file, blob.content);
      for (const flags of ['r+', 'w', 'a']) {
        const reader = await fs.open(file);
        const right = async (when: string): Promise<void> => {
          const { buffer, bytesRead } = await reader.read(Buffer.alloc(sizeBytes + 9_000), 0, sizeBytes + 9_000, 0);
          assert.equal(bytesRead, sizeBytes, `${sizeBytes} bytes, ${flags}, ${when}`);
          assert.ok(buffer.subarray(0, bytesRead).equals(blob.content), `${sizeBytes} bytes, ${flags}, ${when}`);
          assert.equal((await reader.read(Buffer.alloc(100), 0, 100, sizeBytes)).bytesRead, 0, `its end, ${flags}, ${when}`);
        };
        await right('before');
        mount.log.expect(/^WARN write\.torn/);
        const writer = await fs.open(file, flags);
        await right('once it is opened to write');
        await writer.write(Buffer.alloc(4_000, 'x'), 0, 4_000, flags === 'a' ? null : 0);
        await right('once something is written');
        await writer.write(Buffer.alloc(sizeBytes, 'x'), 0, sizeBytes, flags === 'a' ? null : 7_000);
        await right('once it is longer');
        assert.equal((await reader.stat()).size, sizeBytes);
        await writer.close();
        await right('afterwards');
        await reader.close();
        assert.ok((await fs.readFile(file)).equals(blob.content), `${sizeBytes} bytes, ${flags}, in the end`);
      }
      // The same bytes once more: one file of that name, as before.
      const reader = await fs.open(file);
      await fs.writeFile(file, blob.content);
      assert.ok((await reader.readFile()).equals(blob.content));
      assert.ok((await fs.readFile(file)).equals(blob.content));
      await reader.close();
    }
  });

  it('What is written under a content name reaches no reader before it hashes to it, also through the pages that the kernel keeps.', async () => {
    for (const [seed, sizeBytes] of [
      [160, 60_000],
      [161, 3 << 20],
    ] as const) {
      const blob = makeBlob(seed, sizeBytes);
      const file = await place(blob.name);
      await fs.writeFile(file, blob.content);
      assert.ok((await fs.readFile(file)).equals(blob.content));
      const reader = await fs.open(file);
      const read = async (): Promise<Buffer> =>
        (await reader.read(Buffer.alloc(sizeBytes + 1), 0, sizeBytes + 1, 0)).buffer.subarray(0, sizeBytes);
      const right = async (when: string): Promise<void> => {
        assert.ok((await fs.readFile(file)).equals(blob.content), `${sizeBytes} bytes, who opens it ${when}`);
        assert.ok((await read()).equals(blob.content), `${sizeBytes} bytes, who had it open ${when}`);
      };
      mount.log.expect(/^WARN write\.torn/);
      const writer = await fs.open(file, 'r+');
      await writer.write(Buffer.alloc(20_000, 'x'), 0, 20_000, 0);
      await right('while it is written over');
      await writer.close();
      await right('afterwards');
      const emptied = await fs.open(file, 'w');
      await emptied.write(Buffer.alloc(sizeBytes, 'y'));
      await right('while it is written anew');
      await emptied.close();
      await right('after that');
      await reader.close();
      assert.ok((await fs.readFile(file)).equals(blob.content), `${sizeBytes} bytes, in the end`);
    }
    // Of which this machine has no copy.
    for (const sizeBytes of [60_000, 3 << 20]) {
      const elsewhere = makeBlob(163, sizeBytes);
      await client.put(container, elsewhere.name, elsewhere.content);
      const file = await place(elsewhere.name);
      await eventually('it is found', () => fs.stat(file).then(({ size }) => size === sizeBytes, () => false)); // prettier-ignore
      const writer = await fs.open(file, 'r+');
      await writer.write(elsewhere.content.subarray(0, 10), 0, 10, 0);
      await writer.close();
      assert.ok((await fs.readFile(file)).equals(elsewhere.content));
    }
    // Torn here, then put right by another hand.
    const blob = makeBlob(162, 60_000);
    const file = await place(blob.name);
    mount.log.expect(/^WARN write\.torn/);
    await fs.writeFile(file, Buffer.alloc(60_000));
    await client.put(container, blob.name, blob.content);
    await eventually('it is found', async () => (await fs.readFile(file).catch(() => undefined))?.equals(blob.content) === true);
    // Through a mapping.
    mount.log.expect(/^WARN write\.torn/);
    const mapping = ['import mmap, sys', 'f = open(sys.argv[1], "r+b")', 'm = mmap.mmap(f.fileno(), 0)', 'm[0:4] = b"EVIL"', 'm.flush()'];
    const opening = 'assert open(sys.argv[1], "rb").read(4) != b"EVIL"';
    await runOk('python3', ['-c', [...mapping, opening, 'm.close()', 'f.close()'].join('\n'), file]);
    await eventually('its pages are gone', async () => (await fs.readFile(file)).equals(blob.content));
  });

  it('A file renamed to its content name stays what it is: what its writer goes on writing is set aside.', async () => {
    const blob = makeBlob(163, 60_000);
    await place(blob.name);
    await fs.mkdir(mount.file('upload'), { recursive: true });
    const handle = await fs.open(mount.file('upload/open'), 'w+');
    await handle.write(blob.content);
    await fs.rename(mount.file('upload/open'), mount.file(blob.name));
    mount.log.expect(/^WARN write\.torn/);
    await handle.write(Buffer.from('more'), 0, 4, 0);
    assert.ok((await fs.readFile(mount.file(blob.name))).equals(blob.content));
    assert.equal((await handle.read(Buffer.alloc(4), 0, 4, 0)).buffer.toString(), 'more');
    await handle.close();
    await settled();
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    assert.ok((await fs.readFile(mount.file(blob.name))).equals(blob.content));
  });

  it('The mtime of a content-named file is a constant, and utime, chmod and chown succeed without effect.', async () => {
    const blob = makeBlob(105);
    const file = await place(blob.name);
    await fs.writeFile(file, blob.content);
    const { mtimeMs, uid, gid, mode } = await fs.stat(file);
    assert.equal(mtimeMs, Date.UTC(2016, 0, 1));
    await fs.utimes(file, 1, 1);
    await fs.chmod(file, 0o644);
    await fs.chown(file, uid, gid);
    const after = await fs.stat(file);
    assert.deepEqual([after.mtimeMs, after.mode], [mtimeMs, mode]);
  });

  it('A blob that is deleted and written again is there.', async () => {
    const blob = makeBlob(106);
    const file = await place(blob.name);
    for (let round = 0; round < 5; round++) {
      await fs.writeFile(file, blob.content);
      await fs.unlink(file);
      await assert.rejects(fs.stat(file), { code: 'ENOENT' });
    }
    await fs.writeFile(file, blob.content);
    await settled();
    assert.deepEqual(await fs.readFile(file), blob.content);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    await fs.unlink(file);
    await eventually('Swift is told of the delete', async () => (await client.head(container, blob.name)) === undefined);
  });

  it('An attachment of no bytes is a blob like any other.', async () => {
    const blob = blobOf('');
    const file = await place(blob.name);
    await fs.writeFile(file, '');
    assert.equal((await fs.stat(file)).size, 0);
    assert.deepEqual(await client.get(container, blob.name), Buffer.alloc(0));
  });

  it('A file that is opened with O_TRUNC is empty, also where it is only read then.', async () => {
    const file = mount.file('emptied.txt');
    await fs.writeFile(file, 'full');
    const opened = await fs.open(file, O_RDONLY | O_TRUNC);
    assert.equal((await opened.stat()).size, 0);
    assert.equal((await opened.readFile()).length, 0);
    await opened.close();
    assert.equal((await fs.stat(file)).size, 0);
    await settled();
    assert.deepEqual(await client.get(container, 'emptied.txt'), Buffer.alloc(0));
  });

  it('A file that is not content-named is published whole at close; the last close wins.', async () => {
    const file = mount.file('notes.txt');
    const [first, second] = [await fs.open(file, 'w'), await fs.open(file, 'w')];
    await first.write('one, and a longer text');
    assert.equal((await fs.stat(file)).size, 22, 'visible while open');
    await first.close();
    await second.close();
    await fs.writeFile(file, 'two');
    await fs.appendFile(file, ' and three');
    assert.equal(await fs.readFile(file, 'utf8'), 'two and three');
    await settled();
    assert.equal((await client.get(container, 'notes.txt'))?.toString(), 'two and three');
    await fs.utimes(file, 1_500_000_000, 1_500_000_000);
    assert.equal((await fs.stat(file)).mtimeMs, 1_500_000_000_000);
    await eventually(
      'its mtime is in the metadata',
      async () => (await client.head(container, 'notes.txt'))?.['x-object-meta-mtime'] === '1500000000000',
    );
    assert.equal((await client.get(container, 'notes.txt'))?.toString(), 'two and three');
  });

  it('A write that would end above 2^53 bytes, or such a size, is EFBIG and changes nothing.', async () => {
    mount.log.expect(/^WARN request-failed .*kind=too-large/);
    await fs.mkdir(mount.file('checklist/53'), { recursive: true });
    // Node passes no such offset on.
    const program = `
import os, sys
for name in sys.argv[1:]:
    fd = os.open(name, os.O_RDWR | os.O_CREAT)
    os.write(fd, b'its bytes')
    for at in (1 << 53, (1 << 63) - 10):
        for change in (lambda: os.pwrite(fd, b'more', at), lambda: os.ftruncate(fd, at), lambda: os.truncate(name, at), lambda: os.posix_fallocate(fd, at, 1)):
            try:
                change()
                print('taken')
            except OSError as e:
                print(e.errno)
    os.close(fd)
`;
    const files = [mount.file('notes'), mount.file('checklist/53/marker')];
    const out = await runOk('python3', ['-c', program, ...files]);
    assert.deepEqual(
      out.trim().split('\n'),
      Array.from({ length: 16 }, () => '27'),
    );
    for (const file of files) assert.equal(await fs.readFile(file, 'utf8'), 'its bytes');
    await fs.rm(mount.file('checklist/53'), { recursive: true });
    await settled();
    assert.equal((await client.get(container, 'notes'))?.toString(), 'its bytes');
  });

  it('A time of 1970 or before is kept as any other, also over a restart.', async () => {
    const times = new Map([
      [mount.file('epoch'), 0],
      [mount.file('before'), -1500],
      [mount.file('checklist/53/before'), -1500],
    ]);
    await fs.mkdir(mount.file('checklist/53'), { recursive: true });
    const right = async (): Promise<void> => {
      for (const [file, mtimeMs] of times) assert.equal((await fs.stat(file)).mtimeMs, mtimeMs, file);
    };
    for (const [file, mtimeMs] of times) {
      await fs.writeFile(file, 'old');
      // As text: of a number below 0 Node makes "now".
      await fs.utimes(file, String(mtimeMs / 1000), String(mtimeMs / 1000));
    }
    await right();
    await settled();
    await eventually('the times are in Swift', async () => (await client.head(container, 'before'))?.['x-object-meta-mtime'] === '-1500');
    await mount.restart();
    await right();
    await fs.rm(mount.file('checklist/53'), { recursive: true });
  });

  it('`checklist/` is local: its times are true, settable and survive a restart, and it is never in Swift.', async () => {
    const marker = await place('checklist/ab/abcdef');
    const before = Date.now();
    await (await fs.open(marker, 'a')).close();
    assert.ok(Math.abs((await fs.stat(marker)).mtimeMs - before) < 60_000);
    await fs.utimes(marker, 1_600_000_000, 1_600_000_000);
    assert.equal((await fs.stat(marker)).mtimeMs, 1_600_000_000_000);
    await mount.restart();
    assert.equal((await fs.stat(marker)).mtimeMs, 1_600_000_000_000);
    assert.deepEqual(await fs.readdir(mount.file('checklist')), ['ab']);
    const reopened = Date.now();
    await (await fs.open(marker, 'w')).close();
    assert.ok((await fs.stat(marker)).mtimeMs >= reopened - 1000, "open('wb') of an empty marker sets its time to now");
    assert.deepEqual(await client.names(container, 'checklist'), []);
    await fs.unlink(marker);
    await fs.rmdir(path.dirname(marker));
    assert.deepEqual(await fs.readdir(mount.file('checklist')), []);
  });

  it('A name under `upload/` or ending in `.__new` reaches Swift when it is renamed to a content name, not before.', async () => {
    const blob = makeBlob(107);
    const [upload, fresh] = [await place('upload/tmp1'), await place(`${blob.name}.__new`)];
    for (const temporary of [upload, fresh]) {
      await fs.writeFile(temporary, blob.content, { flag: 'wx' });
      await fs.chmod(temporary, 0o444);
      assert.deepEqual(await fs.readFile(temporary), blob.content);
      assert.deepEqual(await client.names(container, temporary.slice(mount.path.length + 1)), []);
      await fs.rename(temporary, await place(blob.name));
      assert.deepEqual(await fs.readFile(mount.file(blob.name)), blob.content);
      await settled();
      assert.deepEqual(await client.get(container, blob.name), blob.content);
      await fs.unlink(mount.file(blob.name));
    }
    assert.deepEqual(await client.names(container, 'upload'), []);
    mount.log.expect(/^WARN request-failed operation=rename kind=corrupt/);
    const torn = await place('upload/tmp2');
    await fs.writeFile(torn, 'other bytes');
    await assert.rejects(fs.rename(torn, mount.file(blob.name)), { code: 'EIO' });
    await fs.unlink(torn);
  });

  it('`xx/SHA` renamed to `xx/SHA.__gc` and back costs no request, and only the final unlink deletes.', async () => {
    const blob = makeBlob(108);
    const file = await place(blob.name);
    await fs.writeFile(file, blob.content);
    const alias = `${file}.__gc`;
    await fs.rename(file, alias);
    await assert.rejects(fs.stat(file), { code: 'ENOENT' });
    assert.deepEqual(await fs.readFile(alias), blob.content);
    assert.deepEqual(await fs.readdir(path.dirname(file)), [path.basename(alias)]);
    await mount.kill9();
    await mount.restart();
    assert.deepEqual(await fs.readdir(path.dirname(file)), [path.basename(alias)]);
    await fs.rename(alias, file);
    assert.deepEqual(await fs.readFile(file), blob.content);
    await fs.rename(file, alias);
    assert.deepEqual(await client.get(container, blob.name), blob.content);
    await fs.writeFile(file, blob.content);
    await fs.unlink(alias);
    assert.deepEqual(await fs.readFile(file), blob.content, 'written anew meanwhile: the unlink of the alias deletes nothing');
    await fs.rename(file, alias);
    await fs.unlink(alias);
    await eventually('Swift is told', async () => (await client.head(container, blob.name)) === undefined);
    assert.deepEqual(await fs.readdir(path.dirname(file)), []);
  });

  it('A file name that is not UTF-8, or whose object name would pass 1,024 bytes, is refused when the file is made.', async () => {
    await assert.rejects(
      fs.writeFile(Buffer.concat([Buffer.from(`${mount.path}/`), Buffer.from([0x66, 0xff, 0x66])]), 'x'),
      (error: NodeJS.ErrnoException) => {
        assert.match(String(error.errno === -84 ? 'EILSEQ' : error.code), /EILSEQ/);
        return true;
      },
    );
    await assert.rejects(fs.writeFile(mount.file('n'.repeat(256)), 'x'), { code: 'ENAMETOOLONG' });
    const deep = path.join(...Array.from({ length: 4 }, () => 'd'.repeat(250)));
    await fs.mkdir(mount.file(deep), { recursive: true });
    await assert.rejects(fs.writeFile(mount.file(deep, 'f'.repeat(100)), 'x'), { code: 'ENAMETOOLONG' });
    await fs.writeFile(mount.file('naïve ☂.txt'), 'ü');
    assert.equal(await fs.readFile(mount.file('naïve ☂.txt'), 'utf8'), 'ü');
    await settled();
    assert.equal((await client.get(container, 'naïve ☂.txt'))?.toString(), 'ü');
  });

  it('What another hand put into the container is found by name, and what it deleted is gone within the bound.', async () => {
    const blob = makeBlob(109);
    await client.put(container, blob.name, blob.content);
    await eventually(
      'it is found',
      async () => (await fs.readFile(mount.file(blob.name)).catch(() => Buffer.alloc(0))).equals(blob.content),
      10_000,
    );
  });

  it('An unlinked file that is open is read on, and goes nowhere when it is closed.', async () => {
    const blob = makeBlob(110);
    const file = await place(blob.name);
    await fs.writeFile(file, blob.content);
    // Its copy is held from then on, and the next open takes that one.
    await (await fs.open(file, 'r')).close();
    const handle = await fs.open(file, 'r');
    await fs.unlink(file);
    await settled();
    assert.deepEqual((await handle.readFile()).equals(blob.content), true);
    assert.equal((await handle.stat()).nlink, 0);
    await handle.close();
    const other = await fs.open(mount.file('gone.txt'), 'w');
    await fs.unlink(mount.file('gone.txt'));
    await other.write('late');
    await other.close();
    await settled();
    assert.equal(await client.get(container, 'gone.txt'), undefined);
  });

  it('A file that is served while it downloads is not read to its end when its bytes are wrong, and after that not a byte of it is served.', async () => {
    const blob = makeBlob(164, 5_000_000);
    const damaged = Buffer.from(blob.content);
    damaged.writeUInt8(damaged.readUInt8(2_500_000) ^ 1, 2_500_000);
    const streaming = await startMount({ swift, database: 'streamed', args: ['--stream-above', '1MiB'] });
    try {
      streaming.log.expect(/^WARN (?:cache\.fill-wrong-hash|request-failed) /);
      await fs.mkdir(path.dirname(streaming.file(blob.name)));
      await fs.writeFile(streaming.file('notes.txt'), 'the container is there');
      await client.put('odoo-streamed', blob.name, damaged);
      await eventually('its end is not read', async () =>
        fs.readFile(streaming.file(blob.name)).then(
          () => assert.fail('wrong bytes were read to their end'),
          (error: NodeJS.ErrnoException) => error.code === 'EIO',
        ),
      );
      const handle = await fs.open(streaming.file(blob.name));
      await assert.rejects(handle.read(Buffer.alloc(10), 0, 10, 0), { code: 'EIO' });
      await handle.close();
      await client.put('odoo-streamed', blob.name, blob.content);
      assert.ok((await fs.readFile(streaming.file(blob.name))).equals(blob.content), 'and it is right as soon as Swift has it');
    } finally {
      await streaming.stop();
    }
  });
});
