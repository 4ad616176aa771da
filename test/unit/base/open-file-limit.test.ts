import assert from 'node:assert/strict';
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
