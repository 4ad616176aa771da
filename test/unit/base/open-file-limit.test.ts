import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import { openFileLimit } from '../../../src/base/open-file-limit.js';

const limits = (soft: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft}                 1048576              files     \n`;

it('the limit of open files is the soft one of /proc/self/limits', () => {
  assert.equal(openFileLimit(limits('4096')), 4096);
  assert.equal(openFileLimit(limits('unlimited')), Number.MAX_SAFE_INTEGER);
  assert.equal(openFileLimit('nothing of the kind'), 1024);
  assert.ok(openFileLimit() >= 256);
});

it('Node raises the soft limit to the hard one at its start, so that only the hard one matters', () => {
  const print = "process.stdout.write(require('node:fs').readFileSync('/proc/self/limits', 'latin1'))";
  const text = execFileSync('bash', ['-c', `ulimit -Sn 300; ulimit -Hn 700; exec "$0" -e "${print}"`, process.execPath], {
    encoding: 'utf8',
  });
  assert.equal(openFileLimit(text), 700);
});
