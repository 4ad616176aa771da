import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountInfo } from '../../../src/base/mount-info.js';
import { ourMounts } from '../../../src/control/mount-table.js';

const TABLE = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
98 22 0:45 / /srv/odoo\\040data/filestore rw,nosuid,nodev - fuse.odoo-swiftfs swift:odoo rw,user_id=0
99 22 0:46 / /mnt/other rw shared:2 master:3 - fuse.sshfs host: rw
`;

test('our mounts are told from others, with blanks in their paths', () => {
  assert.deepEqual(ourMounts(parseMountInfo(TABLE)), [
    { device: '0:45', mountPoint: '/srv/odoo data/filestore', type: 'fuse.odoo-swiftfs', source: 'swift:odoo' },
  ]);
});
