import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMountInfo } from '../../../src/base/mount-info.js';
import { ourMounts } from '../../../src/control/mount-table.js';

const TABLE = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
98 22 0:45 / /srv/odoo\\040data/filestore rw,nosuid,nodev - fuse.odoo-swiftfs swift:odoo rw,user_id=0
97 22 0:44 / /mnt/fstab rw - fuse./opt/node/bin/odoo-swiftfs /opt/node/bin/odoo-swiftfs rw,user_id=0
96 22 0:43 / /mnt/like rw - fuse.not-odoo-swiftfs x rw
99 22 0:46 / /mnt/other rw shared:2 master:3 - fuse.sshfs host: rw
`;

test('our mounts are told from others, with blanks in their paths, also when fstab names the program by its path', () => {
  assert.deepEqual(ourMounts(parseMountInfo(TABLE)), [
    { device: '0:45', mountPoint: '/srv/odoo data/filestore', type: 'fuse.odoo-swiftfs', source: 'swift:odoo' },
    { device: '0:44', mountPoint: '/mnt/fstab', type: 'fuse./opt/node/bin/odoo-swiftfs', source: '/opt/node/bin/odoo-swiftfs' },
  ]);
});
