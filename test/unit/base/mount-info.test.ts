import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountInfo } from '../../../src/base/mount-info.js';

test('the mount table is read with its escapes, and the uppermost mount comes last', () => {
  const entries = parseMountInfo(
    '36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 - ext3 /dev/root rw\n' +
      '40 36 0:52 / /a\\040b rw,nosuid - fuse.odoo-swiftfs swift:odoo rw,user_id=0\nnonsense\n',
  );
  assert.deepEqual(entries[1], { device: '0:52', mountPoint: '/a b', type: 'fuse.odoo-swiftfs', source: 'swift:odoo' });
  assert.equal(entries.length, 2);
});
