import assert from 'node:assert/strict';
import { readdirSync, symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { exitCodeOf } from '../../../src/cli/exit-codes.js';
import { age, columns, wrapWords } from '../../../src/cli/output.js';
import { runProgram } from '../../../src/cli/program.js';
import { FilestoreError } from '../../../src/base/errors.js';
import { run } from '../../helpers/processes.js';
import { cliPath } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

async function refused(...args: string[]): Promise<FilestoreError> {
  try {
    await runProgram(args);
  } catch (error) {
    assert.ok(error instanceof FilestoreError, String(error));
    return error;
  }
  return assert.fail(`${args.join(' ')} was not refused`);
}

test('a command line that is not understood is refused with what was meant', async () => {
  assert.equal((await refused('mount', '/x', '--cach-dir', '/y')).message, 'unknown flag --cach-dir; did you mean --cache-dir?');
  assert.equal((await refused('mount', '/x', '-o', 'uid=1')).message, 'unknown flag -o; see odoo-swiftfs mount --help');
  assert.equal((await refused('sttus')).message, 'unknown command sttus; did you mean status?');
  assert.equal((await refused('umount', '/x')).message, 'unknown command umount; did you mean unmount?');
  assert.equal((await refused('--daemon', 'mount', '/x')).message, 'the command comes first: odoo-swiftfs mount …, and --daemon behind it');
  assert.equal((await refused('mount')).message, 'missing argument; give: odoo-swiftfs mount MOUNTPOINT');
  assert.match((await refused('swift', 'get', 'c')).message, /give: odoo-swiftfs swift get CONTAINER OBJECT/);
  assert.match((await refused()).message, /^a command is needed: mount, unmount, status/);
  assert.match((await refused('config')).message, /^config needs a command: show/);
  assert.equal((await refused('swift', 'list')).message, 'swift has no command list; there are: ls, stat, get, put, rm, info');
  assert.equal((await refused('config', 'print')).message, 'config has no command print; there are: show');
  assert.equal(
    (await refused('login', '--cache-dir', '/x')).message,
    'this command does not take --cache-dir; see odoo-swiftfs login --help',
  );
  assert.equal(
    (await refused('swift', 'stat', 'c', '--long')).message,
    'this command does not take --long; see odoo-swiftfs swift stat --help',
  );
  assert.equal((await refused('mount', '/x', '--region')).message, '--region needs a value; see odoo-swiftfs mount --help');
  assert.equal((await refused('unmount', '')).message, 'MOUNTPOINT is empty; give the path of a directory');
});

test('the built program can be run by its path, and through a link', async () => {
  const directory = tempDir('linked');
  try {
    symlinkSync(cliPath, `${directory}/odoo-swiftfs`);
    assert.match((await run(`${directory}/odoo-swiftfs`, ['--version'], {})).stdout, /^\d+\.\d+\.\d+\n$/);
  } finally {
    removeDir(directory);
  }
});

test('a secret on the command line is refused before anything is done, and not repeated', async () => {
  for (const args of [
    ['--password', 'hunter2'],
    ['--password=hunter2'],
    ['--application-credential-secret=hunter2'],
    ['--token', 'hunter2'],
  ]) {
    const error = await refused('mount', '/x', ...args);
    assert.equal(error.kind, 'bad-config');
    assert.match(error.message, /secrets are not taken from the command line.*OS_/);
    assert.doesNotMatch(error.message, /hunter2/);
  }
});

test('a flag that is true or false takes the words that the config file takes, and no other', async () => {
  for (const [word, meant] of [
    ['yes', true],
    ['True', true],
    ['1', true],
    ['no', false],
  ] as const) {
    const shown = await run(process.execPath, [cliPath, 'config', 'show', '--json', `--allow-other=${word}`], {});
    assert.equal((JSON.parse(shown.stdout) as Record<string, { value: string }>)['allow_other']?.value, String(meant), word);
  }
  const wrong = await refused('mount', '/x', '--insecure=maybe');
  assert.deepEqual([wrong.kind, wrong.message], ['bad-config', '--insecure must be true or false, not "maybe"']);
  assert.match((await refused('undelete', 'prod', '--dry-run=on')).message, /^--dry-run must be true or false/);
});

test('a spool in the original directory is refused before anything is made there', async () => {
  const base = tempDir('spool-in-origin');
  try {
    const flags = ['--origin', base, '--spool-dir', `${base}/spool`, '--cache-dir', `${base}-cache`];
    const error = await refused('mount', base, '--daemon', ...flags);
    assert.match(error.message, /^spool_dir .* lies below the mount point/);
    assert.deepEqual(readdirSync(base), []);
  } finally {
    removeDir(base);
  }
});

test('an option given twice is refused', async () => {
  assert.match((await refused('config', 'show', '--region', 'a', '--region', 'b')).message, /^--region is given more than once/);
});

test('exit codes tell a wrong option from an outage', () => {
  assert.equal(exitCodeOf(new FilestoreError('bad-config', '')), 78);
  assert.equal(exitCodeOf(new FilestoreError('bad-credentials', '')), 77);
  assert.equal(exitCodeOf(new FilestoreError('unavailable', '')), 69);
  assert.equal(exitCodeOf(new FilestoreError('not-empty', '')), 65);
  assert.equal(exitCodeOf(new Error('a bug')), 70);
});

test('columns are aligned and ages are short', () => {
  assert.equal(
    columns([
      ['a', 'b'],
      ['long', 'c'],
    ]),
    'a     b\nlong  c',
  );
  assert.deepEqual([age(59_999), age(60_000), age(7_200_000), age(3 * 86_400_000), age(-5)], ['59 s', '1 min', '2 h', '3 days', '0 s']);
});

test('long texts break between words', () => {
  assert.equal(wrapWords('one two three', 7), 'one two\nthree');
  assert.equal(wrapWords('incomprehensible it is', 8), 'incomprehensible\nit is');
});
