import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { identityOf, lockDirectory } from '../../../src/daemon/directory-lock.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const base = tempDir('lock');
after(() => removeDir(base));

test('a second daemon on a directory is refused with who has it, until the first lets go', () => {
  const directory = `${base}/a/deep`;
  const lock = lockDirectory(directory, 'spool_dir');
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.throws(() => lockDirectory(directory, 'spool_dir'), {
    kind: 'busy',
    message: `spool_dir ${directory} is used by another odoo-swiftfs (pid ${process.pid}); stop it, or give this mount a spool_dir of its own`,
  });
  lock.release();
  lock.release();
  lockDirectory(directory, 'spool_dir').release();
  assert.deepEqual(readdirSync(directory), []);
});

test('a lock left by a killed daemon is taken over, even when its pid lives again as another process', () => {
  const directory = `${base}/b`;
  lockDirectory(directory, 'spool_dir').release();
  for (const left of ['999999999 boot:1\n', `${process.pid} an-earlier-boot:1\n`, 'half a lo', '']) {
    writeFileSync(`${directory}/lock`, left);
    const lock = lockDirectory(directory, 'spool_dir');
    assert.equal(readFileSync(`${directory}/lock`, 'utf8'), `${process.pid} ${identityOf(process.pid) ?? ''}\n`);
    lock.release();
  }
  assert.deepEqual(readdirSync(directory), []);
});

test('a lock that is a symbolic link, as on a full disk, is a lock like any other', () => {
  const directory = `${base}/c`;
  lockDirectory(directory, 'spool_dir').release();
  symlinkSync(`${process.pid} ${identityOf(process.pid) ?? ''}\n`, `${directory}/lock`);
  assert.throws(() => lockDirectory(directory, 'spool_dir'), { kind: 'busy' });
  unlinkSync(`${directory}/lock`);
  symlinkSync('999999999 boot:1\n', `${directory}/lock`);
  lockDirectory(directory, 'spool_dir').release();
  assert.deepEqual(readdirSync(directory), []);
});

test('a directory that cannot be made is named with its option', () => {
  writeFileSync(`${base}/file`, '');
  assert.throws(() => lockDirectory(`${base}/file/below`, 'cache_dir'), {
    kind: 'not-directory',
    message: /^cache_dir .*cannot be used: /,
  });
});

test('a place where no directory can be made is refused at once', { timeout: 10_000 }, () => {
  for (const directory of ['/proc/odoo-swiftfs', '/proc/odoo-swiftfs/spool'])
    assert.throws(() => lockDirectory(directory, 'spool_dir'), {
      kind: 'bad-config',
      message: /^spool_dir \/proc\/.* cannot be used: ENOENT.*name another directory$/,
    });
});
