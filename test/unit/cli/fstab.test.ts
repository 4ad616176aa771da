import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fstabArguments } from '../../../src/cli/fstab.js';

test('the command line of mount.fuse3 becomes ours', () => {
  assert.deepEqual(
    fstabArguments(['swift:odoo', '/mnt', '-o', 'rw,noauto,_netdev,x-systemd.automount,config=/etc/o.yaml,allow_other,cache_size=1GiB']),
    ['mount', '/mnt', '--daemon', '--config=/etc/o.yaml', '--allow-other=true', '--cache-size=1GiB'],
  );
  assert.deepEqual(fstabArguments(['a', '/dev/fd/3', '-o', 'origin=/a\\,b']), ['mount', '/dev/fd/3', '--daemon', '--origin=/a,b']);
});

test('our own command lines are left alone', () => {
  assert.equal(fstabArguments(['mount', '/mnt']), undefined);
  assert.equal(fstabArguments(['status']), undefined);
  assert.equal(fstabArguments(['mount', '/mnt', '-o', 'uid=1']), undefined);
});

test('a wrong mount option is refused with what was meant, and a secret with where it belongs', () => {
  assert.throws(
    () => fstabArguments(['a', '/mnt', '-o', 'cache_sise=1GiB']),
    /mount option cache_sise is unknown; did you mean cache_size\?/,
  );
  assert.throws(() => fstabArguments(['a', '/mnt', '-o', 'password=x']), /everybody sees secrets there/);
  assert.throws(() => fstabArguments(['a', '/mnt', '-o', 'ro']), /always writable/);
  assert.throws(() => fstabArguments(['a', '/mnt', '-o', 'region']), /needs a value: region=NAME/);
});
