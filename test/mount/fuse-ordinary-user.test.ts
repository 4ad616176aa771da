/** Serving without root's rights: through fusermount3, and from fstab through mount.fuse3 with drop_privileges. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { freshDirectory, isMounted, run } from './fuse-tree-server.js';

const NOBODY = 65534;

/** The server and what it imports, where an ordinary user can read it. */
function readableCopy(t: TestContext): { directory: string; server: string } {
  const directory = mkdtempSync(join(tmpdir(), 'fuse-user-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const built = dirname(dirname(import.meta.dirname));
  for (const part of ['src/base', 'src/fuse', 'test/mount', 'test/unit/fuse'])
    cpSync(join(built, part), join(directory, part), { recursive: true });
  let root = built;
  while (!existsSync(join(root, 'native/build/fuse-device.node'))) root = dirname(root);
  cpSync(join(root, 'native/build/fuse-device.node'), join(directory, 'native/build/fuse-device.node'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  chmodSync(directory, 0o755);
  return { directory, server: join(directory, 'test/mount/fuse-server.js') };
}

/**
 * The beginning of a shell script. A mount namespace of its own has /dev/fuse and fuse.conf as a distribution ships them for users, whatever this
 * machine has. It defines `as_user`, which serves until it hears commands, and `await PATTERN`, which looks for a line in `log`.
 */
function asUser(directory: string, server: string, path: string): string {
  return `set -e
chown ${NOBODY} '${path}'; cd '${directory}'
mknod -m 666 device c 10 229; echo user_allow_other > conf; touch /etc/fuse.conf
mount --bind device /dev/fuse; mount --bind conf /etc/fuse.conf; mkfifo commands
as_user() { exec setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups '${process.execPath}' '${server}' '${path}' device; }
await() { for i in $(seq 600); do grep -qE "$1" log && break; sleep 0.05; done; }`;
}

test('an ordinary user mounts through fusermount3 and unmounts again', async (t) => {
  const { directory, server } = readableCopy(t);
  const path = freshDirectory(t);
  const script = `${asUser(directory, server, path)}
(as_user) < commands > log & daemon=$!
exec 9> commands; await '^(mounted|refused)'
cat log; cat '${path}/hello'; grep '${path}' /proc/self/mounts
echo unmount >&9; await '^(unmounted|failed)'
echo close >&9; exec 9>&-; wait $daemon; tail -n 1 log; ! grep '${path}' /proc/self/mounts`;
  const outcome = await run('unshare', ['-m', '--propagation', 'private', 'bash', '-c', script], 60_000);
  assert.match(
    outcome.out,
    /^mounted kernel \(addon\)[^\n]*\nhello, world\ntest:tree [^\n]*user_id=65534[^\n]*allow_other[^\n]*\nunmounted\n$/,
  );
  assert.equal(outcome.code, 0);
});

test('an ordinary user mounts anew where a killed daemon left a dead mount', async (t) => {
  const { directory, server } = readableCopy(t);
  const path = freshDirectory(t);
  const script = `${asUser(directory, server, path)}
(as_user) < commands > log & daemon=$!
exec 9> commands; await '^(mounted|refused)'; kill -9 $daemon; exec 9>&-; wait $daemon || true
cat '${path}/hello' 2>&1 || true
(as_user) < commands > log & daemon=$!
exec 9> commands; await '^(mounted|refused)'; grep -E '^(mounted|refused)' log; cat '${path}/hello'
echo unmount >&9; await '^(unmounted|failed)'; echo close >&9; exec 9>&-; wait $daemon; ! grep '${path}' /proc/self/mounts`;
  const outcome = await run('unshare', ['-m', '--propagation', 'private', 'bash', '-c', script], 120_000);
  assert.match(outcome.out, /not connected\nmounted kernel \(addon\)[^\n]*\nhello, world\n/);
  assert.equal(outcome.code, 0);
});

test('mount.fuse3 with drop_privileges hands its device to a daemon without rights, which ends with umount', async (t) => {
  const { directory, server } = readableCopy(t);
  const path = freshDirectory(t);
  const scratch = join(directory, 'scratch');
  mkdirSync(scratch);
  chmodSync(scratch, 0o777);
  const log = join(scratch, 'log');
  const program = join(directory, 'program');
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${server}' "$2" device close-input > '${log}' 2>&1\n`, { mode: 0o755 });
  const mounting = run('mount.fuse3', [`${program}#source`, path, '-o', 'setuid=nobody,drop_privileges,allow_other'], 90_000);
  t.after(() => run('umount', ['-l', path]));
  const readLog = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  const until = async (pattern: RegExp): Promise<void> => {
    for (let i = 0; i < 400 && !pattern.test(readLog()); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await until(/^(mounted|refused)/m);
  assert.match(readLog(), /^mounted kernel \(addon\)/);
  assert.equal((await run('cat', [join(path, 'hello')])).out, 'hello, world\n');
  assert.equal((await run('umount', [path])).code, 0);
  await until(/^ended$/m);
  assert.match(readLog(), /^ended$/m);
  assert.equal(isMounted(path), false);
  await mounting;
});
