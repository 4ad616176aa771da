import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorKind } from '../../../src/base/errors.js';
import { fusermountFailed } from '../../../src/fuse/mounting.js';

test('an ordinary user whose mount fusermount3 refuses is told what helps', () => {
  const cases: readonly [said: string, exitCode: number, kind: ErrorKind, remedy: RegExp][] = [
    ['env: fusermount3: No such file or directory', 127, 'unavailable', /; install it: apt-get install fuse3$/],
    [
      "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf",
      1,
      'not-permitted',
      /; set user_allow_other/,
    ],
    ['fusermount3: failed to open /dev/fuse: Permission denied', 1, 'not-permitted', /; as root: chmod 0666 \/dev\/fuse/],
    ['fusermount3: mount failed: Operation not permitted', 1, 'not-permitted', /: Operation not permitted$/],
  ];
  for (const [said, exitCode, kind, remedy] of cases) {
    const failed = fusermountFailed('/mnt', said, exitCode);
    assert.equal(failed.kind, kind);
    assert.match(failed.message, remedy);
  }
});
