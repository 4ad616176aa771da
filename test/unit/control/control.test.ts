import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { after, beforeEach, test } from 'node:test';
import { FilestoreError } from '../../../src/base/errors.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { NobodyListens, requestStatus, requestUnmount } from '../../../src/control/control-client.js';
import { openControlServer, type ControlHandlers, type ControlServer } from '../../../src/control/control-server.js';
import { findMounts } from '../../../src/control/find-mounts.js';
import { controlDirectories, ensureControlDirectory, socketPath } from '../../../src/control/socket-path.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { databaseStatus, mountStatus } from '../cli/status-of.js';
import { hostWith } from '../config/host.js';

const base = tempDir('control');
let directory = base;
let serial = 0;
const open: ControlServer[] = [];

beforeEach(() => {
  directory = `${base}/${serial++}`;
  ensureControlDirectory(directory, process.geteuid?.() ?? 0);
});
after(() => {
  for (const server of open) server.close();
  removeDir(base);
});

async function serve(mountPoint: string, changed: Partial<ControlHandlers> = {}): Promise<string> {
  const path = socketPath(directory, mountPoint);
  const handlers = { status: () => mountStatus({ mountPoint }), unmount: () => Promise.resolve(0), ...changed };
  open.push(await openControlServer(path, handlers, SILENT_LOG));
  return path;
}

/** A socket file that nobody listens at, as a killed daemon leaves it: bound under another name, so that closing does not remove it. */
async function staleSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.bound`, resolve));
  const { renameSync } = await import('node:fs');
  renameSync(`${path}.bound`, path);
  await new Promise((resolve) => server.close(resolve));
}

function say(path: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = createConnection(path, () => socket.write(bytes));
    socket.on('data', (chunk) => (received += String(chunk)));
    socket.on('end', () => resolve(received));
    socket.on('error', reject);
  });
}

test('a status travels whole over the socket, which only its user may open', async () => {
  const status = mountStatus({
    mountPoint: '/m',
    databases: [databaseStatus({ degradedSinceMs: 5, reason: 'away' })],
    recentErrors: [{ atMs: 1, message: 'x' }],
  });
  const path = await serve('/m', { status: () => status });
  assert.deepEqual(await requestStatus(path), JSON.parse(JSON.stringify(status)));
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a socket that somebody removed, or its whole directory, is made anew, and is gone after the end', async () => {
  const path = await serve('/m');
  rmSync(directory, { recursive: true });
  await assert.rejects(requestStatus(path), NobodyListens);
  await eventually('it answers', () => existsSync(path), 5_000);
  assert.equal((await requestStatus(path)).mountPoint, '/m');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  open.pop()?.close();
  assert.equal(existsSync(path), false);
});

test('an unmount answers when the mount has ended, with what stays pending', async () => {
  const asked: boolean[] = [];
  const path = await serve('/m', { unmount: async ({ detach }) => (asked.push(detach), 7) });
  assert.equal(await requestUnmount(path, true), 7);
  assert.deepEqual(asked, [true]);
});

test('a busy mount is a refusal of its own kind, and the status still answers', async () => {
  const path = await serve('/m', { unmount: () => Promise.reject(new FilestoreError('busy', 'held by bash (pid 12)')) });
  await assert.rejects(requestUnmount(path, false), { kind: 'busy', message: 'held by bash (pid 12)' });
  assert.equal((await requestStatus(path)).mountPoint, '/m');
});

test('a status answers while an unmount hangs', async () => {
  let finish = (_: number): void => undefined;
  const path = await serve('/m', { unmount: () => new Promise<number>((resolve) => (finish = resolve)) });
  const unmounting = requestUnmount(path, false);
  assert.equal((await requestStatus(path)).pid, 4711);
  finish(0);
  assert.equal(await unmounting, 0);
});

test('nonsense is answered with a refusal and the daemon goes on', async () => {
  const path = await serve('/m');
  for (const nonsense of ['\n', 'hello\n', '{"request":"format-disk"}\n', `${'x'.repeat(10_000)}`]) {
    assert.match(await say(path, nonsense), /"ok":false,"kind":"invalid-argument"/);
  }
  assert.equal((await requestStatus(path)).pid, 4711);
});

test('mounts are found; sockets of dead daemons are removed; what the kernel lists and nobody serves is dead', async () => {
  await serve('/alive');
  const stale = socketPath(directory, '/killed');
  await staleSocket(stale);
  writeFileSync(`${directory}/notes.txt`, 'not a socket');
  const table = ['/alive', '/killed'].map((mountPoint) => ({
    device: '0:45',
    mountPoint,
    type: 'fuse.odoo-swiftfs',
    source: 'swift:odoo',
  }));
  const probe = (): Promise<'dead'> => Promise.resolve('dead');
  const found = await findMounts(
    [directory],
    [...table, { device: '8:1', mountPoint: '/other', type: 'ext4', source: '/dev/sda1' }],
    probe,
  );
  assert.deepEqual(
    found.map((mount) => [mount.state, mount.mountPoint]),
    [
      ['alive', '/alive'],
      ['dead', '/killed'],
    ],
  );
  assert.equal(existsSync(stale), false);
});

test("another user's mount is not called dead, and a daemon that hangs is named with what helps", async () => {
  const silent = socketPath(directory, '/hangs');
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(silent, resolve));
  const table = ['/hangs', '/theirs', '/gone'].map((mountPoint) => ({
    device: '0:45',
    mountPoint,
    type: 'fuse.odoo-swiftfs',
    source: 'swift:odoo',
  }));
  const probe = (mountPoint: string): Promise<'dead' | 'closed'> => Promise.resolve(mountPoint === '/theirs' ? 'closed' : 'dead');
  try {
    const [hanging, theirs, gone] = await findMounts([directory], table, probe);
    assert.ok(hanging?.state === 'silent' && theirs?.state === 'silent');
    assert.equal(hanging.mountPoint, '/hangs');
    assert.match(
      hanging.reason,
      new RegExp(
        `does not answer \\(pid ${process.pid}\\); if it hangs: kill -9 ${process.pid}, then run umount -f /hangs; umount -l /hangs`,
      ),
    );
    assert.equal(theirs.mountPoint, '/theirs');
    assert.match(theirs.reason, /this user may neither enter it nor ask/);
    assert.deepEqual(gone, { state: 'dead', mountPoint: '/gone' });
  } finally {
    server.close();
  }
});

test('a user is asked for the mounts of a session and of a service, and no directory of somebody else in /tmp is trusted', (t) => {
  const mayGive = process.geteuid?.() === 0;
  const uid = mayGive ? 54_321 : (process.geteuid?.() ?? 0);
  const ofService = `/tmp/odoo-swiftfs-${uid}`;
  if (!existsSync(ofService)) {
    mkdirSync(ofService, 0o700);
    t.after(() => rmdirSync(ofService));
  }
  if (mayGive) chownSync(ofService, uid, uid);
  const inSession = (): readonly string[] => controlDirectories(hostWith({ XDG_RUNTIME_DIR: '/run/session' }, { uid, gid: uid }));
  assert.ok(inSession().includes(ofService));
  if (!mayGive) return;
  chownSync(ofService, uid + 1, uid);
  assert.deepEqual(inSession(), ['/run/session/odoo-swiftfs', '/run/odoo-swiftfs']);
});

test('a missing socket means that nobody listens', async () => {
  await assert.rejects(requestStatus(socketPath(directory, '/none')), (error) => error instanceof NobodyListens && !error.stale);
});

test('a control directory that others may write to is refused', () => {
  const shared = `${directory}/shared`;
  mkdirSync(shared);
  chmodSync(shared, 0o777);
  assert.throws(() => ensureControlDirectory(shared, process.geteuid?.() ?? 0), { kind: 'not-permitted' });
  assert.throws(() => ensureControlDirectory(directory, 12_345), { kind: 'not-permitted' });
});

const ACCEPT_AND_CLOSE = `
import socket, sys
server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1]); server.listen(128); print('ready', flush=True)
while True: server.accept()[0].close()`;

test('a daemon that closes each connection, as one without a descriptor left does, is told as one that does not answer', async () => {
  const path = socketPath(directory, '/full');
  const daemon = spawn('python3', ['-c', ACCEPT_AND_CLOSE, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(daemon.stdout, 'data');
    // Often: which of two errors comes first, and whether the end does, is chance.
    for (let attempt = 0; attempt < 200; attempt++)
      await assert.rejects(requestStatus(path), (error) => error instanceof FilestoreError && error.kind === 'unavailable');
  } finally {
    daemon.kill('SIGKILL');
    await once(daemon, 'close');
  }
});
