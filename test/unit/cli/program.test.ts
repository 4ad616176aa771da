import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
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
  assert.equal((await refused('mount', '/x', '--cach-dir', '/y')).message, 'unknown argument cach-dir; did you mean cache-dir?');
  assert.equal((await refused('sttus')).message, 'unknown argument sttus; did you mean status?');
  assert.equal((await refused('mount')).message, 'missing argument; give: odoo-swiftfs mount MOUNTPOINT');
  assert.match((await refused('swift', 'get', 'c')).message, /give: odoo-swiftfs swift get CONTAINER OBJECT/);
  assert.match((await refused()).message, /^a command is needed: mount, unmount, status/);
  assert.match((await refused('config')).message, /^config needs a command: show/);
  assert.equal((await refused('swift', 'list')).message, 'swift has no command list; there are: ls, stat, get, put, rm, info');
  assert.equal((await refused('config', 'print')).message, 'config has no command print; there are: show');
  assert.equal((await refused('login', '--cache-dir', '/x')).message, 'this command does not take --cache-dir; see odoo-swiftfs --help');
  assert.match((await refused('mount', '/x', '--region')).message, /Not enough arguments following: region/);
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
