import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, beforeEach, test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { controlDirectory } from '../../../src/config/host.js';
import { requestStatus, requestUnmount } from '../../../src/control/control-client.js';
import { socketPath } from '../../../src/control/socket-path.js';
import { startMount } from '../../../src/daemon/start-mount.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { databaseStatus } from '../cli/status-of.js';
import { MemoryParts } from './memory-parts.js';

const base = tempDir('start');
after(() => removeDir(base));

let directory = base;
let parts = new MemoryParts();
let log = new LogGuard();
let serial = 0;
beforeEach(() => {
  directory = `${base}/${serial++}`;
  mkdirSync(`${directory}/mnt`, { recursive: true });
  parts = new MemoryParts();
  log = new LogGuard();
});

const ENDS_IN_ORDER = ['-driver', '-filestore', '-cache', '-store'];

function socketOf(): string {
  const { host, mountPoint } = parts.request(directory);
  return socketPath(controlDirectory(host), mountPoint);
}

test('parts are opened from below to above, and closed from above to below after what is pending was published', async () => {
  const mount = await startMount(parts.request(directory, log.log()), parts.makers);
  assert.deepEqual(parts.steps, ['+store', '+cache', '+filestore', '+driver']);
  assert.ok(existsSync(`${directory}/spool/lock`) && existsSync(`${directory}/cache/lock`));
  assert.equal(await mount.stop('refuse'), 0);
  await mount.ended;
  assert.deepEqual(parts.steps.slice(4), ['drain', ...ENDS_IN_ORDER]);
  assert.ok(!existsSync(`${directory}/spool/lock`) && !existsSync(`${directory}/cache/lock`) && !existsSync(socketOf()));
  log.assertQuiet();
});

test('the control socket tells the status and ends the mount', async () => {
  const mount = await startMount(parts.request(directory), parts.makers);
  const status = await requestStatus(socketOf());
  assert.deepEqual(
    [status.mountPoint, status.pid, status.state, status.safeToLoseThisMachine],
    [`${directory}/mnt`, process.pid, 'serving', true],
  );
  assert.equal(await requestUnmount(socketOf(), false), 0);
  await mount.ended;
});

test('a machine with pending writes, or with a database it cannot open, may not be lost, and one that cannot ask Swift is degraded', async () => {
  const mount = await startMount(parts.request(directory), parts.makers);
  parts.database = databaseStatus({ state: 'refused' });
  assert.deepEqual([mount.status().state, mount.status().safeToLoseThisMachine], ['degraded', false]);
  parts.database = databaseStatus({ state: 'degraded', reason: 'away', pendingWrites: 2, pendingDeletes: 1 });
  const { state, safeToLoseThisMachine } = mount.status();
  assert.deepEqual([state, safeToLoseThisMachine], ['degraded', false]);
  assert.equal(await mount.stop('detach'), 3, 'what stays in the spool is counted');
});

test('the status says that a stop is under way while it drains', async () => {
  const mount = await startMount(parts.request(directory), parts.makers);
  let drained = (): void => undefined;
  parts.onDrain = () => new Promise((resolve) => (drained = resolve));
  const stopping = mount.stop('detach');
  assert.equal((await requestStatus(socketOf())).state, 'stopping');
  parts.onDrain = () => Promise.resolve();
  drained();
  await stopping;
});

test('a busy mount goes on serving when it would rather be refused, and is detached by a signal', async () => {
  const mount = await startMount(parts.request(directory, log.log()), parts.makers);
  const file = await parts.mounted?.client.open('held', 'w+');
  assert.ok(file !== undefined);
  await assert.rejects(requestUnmount(socketOf(), false), { kind: 'busy' });
  assert.equal((await requestStatus(socketOf())).state, 'serving');
  log.expect(/^WARN unmount-busy .*1 open files/);
  await mount.stop('detach');
  await mount.ended;
  log.assertQuiet();
});

test('an unmount by another hand is the orderly end too', async () => {
  const mount = await startMount(parts.request(directory), parts.makers);
  await parts.mounted?.unmount('clean');
  await mount.ended;
  assert.deepEqual(parts.steps.slice(4), ['-driver', 'drain', ...ENDS_IN_ORDER.slice(1)]);
});

test('a start that fails undoes what was done before, whichever part fails', async () => {
  for (const part of ['store', 'cache', 'filestore', 'driver']) {
    parts = new MemoryParts();
    parts.failing.set(part, new FilestoreError('unavailable', `no ${part}`));
    await assert.rejects(startMount(parts.request(directory, log.log()), parts.makers), { kind: 'unavailable', message: `no ${part}` });
    const opened = parts.steps.filter((step) => step.startsWith('+')).map((step) => step.slice(1));
    const closed = parts.steps.filter((step) => step.startsWith('-')).map((step) => step.slice(1));
    assert.deepEqual(closed, [...opened].reverse());
    assert.ok(!existsSync(`${directory}/spool/lock`) && !existsSync(socketOf()));
  }
  log.assertQuiet();
});

test('a second daemon on a spool or on a mount point is refused, and the first goes on', async () => {
  const mount = await startMount(parts.request(directory), parts.makers);
  const second = new MemoryParts();
  await assert.rejects(startMount(second.request(directory), second.makers), {
    kind: 'busy',
    message: /is mounted already by odoo-swiftfs \(pid \d+\)/,
  });
  mkdirSync(`${directory}/other`);
  const elsewhere = { ...second.request(directory), mountPoint: `${directory}/other` };
  await assert.rejects(startMount(elsewhere, second.makers), { kind: 'busy', message: /^spool_dir .* is used by another odoo-swiftfs/ });
  assert.deepEqual(second.steps, []);
  assert.equal(mount.status().state, 'serving');
  await mount.stop('detach');
});

test('files that the mount hides are warned of, unless an origin was named', async () => {
  writeFileSync(`${directory}/mnt/old`, '');
  log.expect(/^WARN mount-hides-files .*--origin/);
  const mount = await startMount(parts.request(directory, log.log()), parts.makers);
  assert.ok(log.has(/^WARN mount-hides-files/));
  assert.match(mount.status().recentErrors[0]?.message ?? '', /^mount-hides-files/);
  await mount.stop('detach');
  log.assertQuiet();
});

test('a mount point that is missing or no directory is refused with the remedy', async () => {
  const request = parts.request(directory);
  await assert.rejects(startMount({ ...request, mountPoint: `${directory}/none` }, parts.makers), {
    kind: 'bad-config',
    message: /does not exist.*mkdir/,
  });
  writeFileSync(`${directory}/file`, '');
  await assert.rejects(startMount({ ...request, mountPoint: `${directory}/file` }, parts.makers), {
    kind: 'bad-config',
    message: /not a directory/,
  });
  assert.deepEqual(parts.steps, []);
});
