import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTried } from '../../../src/fuse/ring-switch.js';

test('the kernel is switched to io_uring from Linux 6.18 on', () => {
  for (const version of ['6.18.0', '6.18.44-cloud-amd64', '6.19-rc1', '7.0.1']) assert.equal(isTried(version), true, version);
  for (const version of ['5.10.0', '6.1.0-40-amd64', '6.14.2', '6.17.9', 'strange']) assert.equal(isTried(version), false, version);
});
