import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeMount, describeStatus } from '../../../src/cli/commands/status.js';
import { databaseStatus, mountStatus } from './status-of.js';

test('a quiet mount says that this machine may be lost', () => {
  const text = describeStatus(mountStatus(), 60_000);
  assert.match(text, /^\/mnt\/filestore\n/);
  assert.match(text, /safe to lose this machine +yes\n/);
  assert.match(text, /pending +no writes\n/);
  assert.match(text, /cache +1 KiB of 1 GiB, 1 file, 75 % hits\n/);
  assert.match(text, /daemon +pid 4711, up 1 min, version 0\.1\.0\n/);
  assert.match(text, /prod +odoo-prod +serving/);
});

test('a degraded mount says why, since when, what pends and how old it is', () => {
  const database = databaseStatus({
    state: 'degraded',
    reason: 'Swift does not answer',
    degradedSinceMs: 0,
    pendingWrites: 3,
    pendingBytes: 3072,
    oldestPendingMs: 60_000,
    pendingDeletes: 2,
  });
  const text = describeStatus(mountStatus({ state: 'degraded', safeToLoseThisMachine: false, databases: [database] }), 180_000);
  assert.match(text, /safe to lose this machine +no\n/);
  assert.match(text, /pending +3 writes \(3 KiB\), 2 deletes, oldest 2 min\n/);
  assert.match(text, /prod +odoo-prod +degraded for 3 min: Swift does not answer/);
});

test('a database that cannot be opened is told with the reason, and that nobody knows what waits there', () => {
  const database = databaseStatus({ state: 'refused', reason: 'its journal cannot be read' });
  const text = describeStatus(mountStatus({ state: 'degraded', safeToLoseThisMachine: false, databases: [database] }), 0);
  assert.match(text, /pending +no writes; not known of 1 database that cannot be opened\n/);
  assert.match(text, /prod +odoo-prod +refused: its journal cannot be read/);
});

test('one is not told as if it were several', () => {
  const database = databaseStatus({ pendingWrites: 1, pendingBytes: 5, oldestPendingMs: 0, pendingDeletes: 1 });
  assert.match(describeStatus(mountStatus({ databases: [database] }), 0), /pending +1 write \(5 B\), 1 delete, /);
});

test('torn files are told with their folder and what to do', () => {
  const database = databaseStatus({ tornFiles: 2, tornBytes: 3072, tornDirectory: '/spool/v1/prod/torn' });
  const text = describeStatus(mountStatus({ databases: [database] }), 0);
  assert.match(text, /serving, 2 torn files \(3 KiB\) set aside: look at them in \/spool\/v1\/prod\/torn and remove them/);
});

test('a cache that keeps nothing is told with the remedy, and does not make the mount degraded', () => {
  const status = mountStatus();
  const text = describeStatus({ ...status, cache: { ...status.cache, problem: 'cache_dir /cache cannot be used; make room' } }, 0);
  assert.match(text, /state +serving\n/);
  assert.match(text, /no cache +cache_dir \/cache cannot be used; make room\n/);
});

test('a database with an umlaut is shown as it is written', () => {
  assert.match(describeStatus(mountStatus({ databases: [databaseStatus({ database: 'müller' })] }), 0), /müller +odoo-prod/);
});

test('a mount without its daemon is called dead, with the remedy', () => {
  assert.match(
    describeMount({ state: 'dead', mountPoint: '/mnt' }, 0),
    /dead: .*; start it again, .* for good, run: odoo-swiftfs unmount \/mnt$/,
  );
});
