import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { CacheLock } from '../../../src/daemon/cache-lock.js';
import { identityOf, lockDirectory } from '../../../src/daemon/directory-lock.js';
import { FakeClock } from '../../helpers/clock.js';
import { LogGuard } from '../../helpers/log-guard.js';
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

test('a second daemon on a directory is refused also where the lock file was removed, or names a process of another container', () => {
  const directory = `${base}/d`;
  const lock = lockDirectory(directory, 'spool_dir');
  unlinkSync(`${directory}/lock`);
  for (const left of [undefined, '999999999 boot:1\n']) {
    if (left !== undefined) writeFileSync(`${directory}/lock`, left);
    assert.throws(() => lockDirectory(directory, 'spool_dir'), {
      kind: 'busy',
      message: /is used by another odoo-swiftfs, whose lock file was removed/,
    });
  }
  lock.release();
  lockDirectory(directory, 'spool_dir').release();
  assert.deepEqual(readdirSync(directory), []);
});

/** The tests may run as root, whom no mode stops. */
function asOrdinary<Result>(work: () => Result): Result {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    return work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

test('a cache_dir that cannot be written is no reason to refuse, and is taken as soon as it can be', async () => {
  const log = new LogGuard();
  log.expect(/^WARN cache\.not-used .*EACCES.*remedy=/);
  const clock = new FakeClock();
  const directory = tempDir('cache-dir');
  chmodSync(directory, 0o555);
  const lock = asOrdinary(() => new CacheLock(directory, clock, log.log()));
  assert.equal(
    asOrdinary(() => lock.isHeld()),
    false,
  );
  assert.match(lock.problem ?? '', /^cache_dir .* cannot be used: EACCES.*; files are read from Swift each time; make it writable/);
  chmodSync(directory, 0o777);
  assert.equal(lock.isHeld(), false, 'it is not tried at each file');
  await clock.advance(10_000);
  assert.equal(
    asOrdinary(() => lock.isHeld()),
    true,
  );
  assert.equal(lock.problem, undefined);
  chmodSync(directory, 0o555);
  assert.throws(() => asOrdinary(() => new CacheLock(directory, clock, log.log())), { kind: 'busy' }, 'its holder is seen all the same');
  lock.release();
  assert.equal(lock.isHeld(), false);
  assert.deepEqual(readdirSync(directory), []);
  assert.equal(log.lines.filter((line) => line.startsWith('WARN')).length, 1);
  log.assertQuiet();
});

test('a cache_dir that can be no directory, or is missing where none may be made, is refused', () => {
  const directory = tempDir('cache-dir');
  writeFileSync(`${directory}/file`, '');
  chmodSync(directory, 0o555);
  const refused =
    (path: string): (() => void) =>
    () =>
      asOrdinary(() => new CacheLock(path, new FakeClock(), new LogGuard().log()));
  const message = /^cache_dir .*cannot be used: /;
  assert.throws(refused(`${directory}/mistyped/cache`), { kind: 'forbidden', message });
  assert.throws(refused(`${directory}/file`), { kind: 'bad-config', message });
  assert.throws(refused(`${directory}/file/below`), { kind: 'bad-config', message });
  assert.throws(refused('/proc/none'), { kind: 'bad-config', message });
});

test('a directory that cannot be made is named with its option', () => {
  writeFileSync(`${base}/file`, '');
  assert.throws(() => lockDirectory(`${base}/file/below`, 'cache_dir'), {
    kind: 'bad-config',
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
