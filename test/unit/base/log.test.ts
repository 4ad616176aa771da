import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { messageOf } from '../../../src/base/errors.js';
import { createLog } from '../../../src/base/log.js';

test('an event is one line, whatever its values hold', () => {
  const lines: string[] = [];
  const log = createLog('info', (line) => lines.push(line));
  log.warn('write.not-stored', { path: 'a\nb', reason: 'no room\r\nleft', bytes: 3, kept: undefined });
  assert.deepEqual(lines, [String.raw`WARN write.not-stored path="a\nb" reason="no room\r\nleft" bytes=3`]);
});

test('the message of an error is one line, also when a file is named otherwise', () => {
  assert.throws(
    () => openSync('/none/a\nb', 'r'),
    (error) => messageOf(error) === "ENOENT: no such file or directory, open '/none/a b'",
  );
});
