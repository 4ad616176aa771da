import assert from 'node:assert/strict';
import { it } from 'node:test';
import { warnOfLittleRoom } from '../../../src/daemon/descriptor-room.js';
import { LogGuard } from '../../helpers/log-guard.js';

it('a low limit of open files is warned of with the room it leaves and the remedy', () => {
  const log = new LogGuard();
  log.expect(/open-file-limit-low/);
  for (const limit of [1024, 100]) warnOfLittleRoom(log.log(), 16, limit);
  const [first = '', second = '', ...others] = log.lines;
  assert.match(first, /^WARN open-file-limit-low limit=1024 filesOpenAtOnce=640 remedy=".*LimitNOFILE=65536 .*ulimit -n 65536/);
  assert.match(second, /limit=100 filesOpenAtOnce=20 /);
  assert.deepEqual(others, []);
});

it('a usual limit of open files is not', () => {
  const log = new LogGuard();
  for (const limit of [4096, 20_000, 524_288, Number.MAX_SAFE_INTEGER]) warnOfLittleRoom(log.log(), 16, limit);
  assert.deepEqual(log.lines, []);
});
