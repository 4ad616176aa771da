import assert from 'node:assert/strict';
import { test } from 'node:test';
import { remedyOf } from '../../../src/fuse/mounting.js';

test('an ordinary user whose mount fusermount3 refuses is told what helps', () => {
  assert.match(remedyOf('env: fusermount3: No such file or directory', 127), /apt-get install fuse3/);
  assert.match(
    remedyOf("fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf", 1),
    /; set user_allow_other/,
  );
  assert.match(remedyOf('fusermount3: failed to open /dev/fuse: Permission denied', 1), /chmod 0666 \/dev\/fuse/);
  assert.equal(remedyOf('fusermount3: mount failed: Operation not permitted', 1), '');
});
