/** The four ways to speak to the kernel, over a small tree: what every one of them must do. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test } from 'node:test';
import { eventually } from '../helpers/processes.js';
import type { Transport } from './fuse-tree-server.js';
import { isMounted, python, shell, TreeServer } from './fuse-tree-server.js';

const TRANSPORTS: readonly Transport[] = ['ring', 'device', 'pure', 'fuse-native'];

for (const transport of TRANSPORTS) {
  test(`${transport}: files are read, written, copied, renamed and removed`, async (t) => {
    const server = await TreeServer.start(t, transport);
    await server.line(/^mounted /);
    const outcome = await shell(
      server.path,
      `set -e
       cat hello; cmp big big; cp big copy; cmp big copy
       mkdir d; echo one > d/a; mv d/a d/b; echo two >> d/b; cat d/b; rm d/b; rmdir d
       cp -a hello h2; ls many | wc -l; rm copy h2; test ! -e copy
       ! ln hello h3 2>/dev/null; tail -c 3 backed`,
    );
    assert.equal(outcome.out, 'hello, world\none\ntwo\n2000\n789');
    assert.equal(outcome.code, 0);
    await server.stop();
    assert.equal(isMounted(server.path), false);
  });
}

for (const transport of ['ring', 'device'] as const) {
  test(`${transport}: the table of descriptors does not grow while requests are served, which would hold all of them up`, async (t) => {
    const server = await TreeServer.start(t, transport);
    await server.line(/^mounted /);
    const of = (what: string, pattern: RegExp): number =>
      Number(pattern.exec(fs.readFileSync(`/proc/${String(server.child.pid)}/${what}`, 'latin1'))?.[1]);
    const limit = of('limits', /^Max open files +(\d+)/m);
    await eventually('the table has its size', () => of('status', /^FDSize:\s+(\d+)/m) >= Math.min(8192, limit));
    await server.stop();
  });
}

for (const transport of ['ring', 'device', 'pure'] as const) {
  test(`${transport}: mmap, sparse seeks, allocation, exact times and bytes in names work`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const outcome = await python(
      server.path,
      `
import mmap
with open('hello', 'r+b') as f:
    with mmap.mmap(f.fileno(), 0) as m:
        m[0:1] = b'J'; m.flush()
print(open('hello').read().strip())
fd = os.open('a', os.O_RDWR | os.O_CREAT)
os.posix_fallocate(fd, 0, 1000)
print(os.fstat(fd).st_size, os.lseek(fd, 10, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE))
os.close(fd)
os.utime('a', ns=(-1_500_000_000, 1_234_567_891_500_000_000))
s = os.stat('a'); print(s.st_atime_ns, s.st_mtime_ns)
open(b'n\\xff\\xfe', 'w').close(); print([n for n in os.listdir(b'.') if n.startswith(b'n')])
print(os.listxattr('a'))
try: os.getxattr('a', 'user.x')
except OSError as e: print(e.errno)
fd = os.open('a', os.O_RDONLY); os.unlink('a'); print(os.fstat(fd).st_size, os.pread(fd, 4, 0)); os.close(fd)
print(os.stat('hello').st_blksize >= 131072)
`,
    );
    assert.equal(
      outcome.out,
      "Jello, world\n1000 10 1000\n-1500000000 1234567891500000000\n[b'n\\xff\\xfe']\n[]\n95\n1000 b'\\x00\\x00\\x00\\x00'\nTrue\n",
    );
    await server.stop();
  });

  test(`${transport}: an unmount while busy fails and names who holds it`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const holding = python(
      server.path,
      `f = open('big')\nopen('held', 'w').close()\nimport time\nwhile not os.path.exists('go'): time.sleep(0.05)`,
    );
    for (;;) if ((await shell(server.path, 'test -e held')).code === 0) break;
    const refused = await server.ask('unmount', /^(failed|unmounted)/);
    assert.match(refused, /^failed .* is busy: held by \d+ \(python3, (cwd|fd \d+) on /);
    await shell(server.path, 'touch go');
    await holding;
    await server.stop();
  });

  test(`${transport}: a killed client is let go although its request is never answered`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const started = Date.now();
    // `timeout` kills with SIGKILL after 1 s; the request itself would wait for its deadline of 20 s.
    const outcome = await shell(server.path, 'timeout -s KILL 1 cat stalls2; echo "ended $?"');
    assert.match(outcome.out, /ended 137/);
    assert.ok(Date.now() - started < 15_000, 'the client waited for the deadline');
    assert.equal((await shell(server.path, 'cat hello')).out, 'hello, world\n', 'the mount goes on');
  });

  test(`${transport}: a signal that kills later is noticed although the kernel tells the first signal only`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const outcome = await python(
      server.path,
      `
import signal, subprocess, time
child = subprocess.Popen(['python3', '-c', 'import signal, os; signal.signal(signal.SIGALRM, lambda *a: None); signal.setitimer(signal.ITIMER_REAL, 0.3); os.stat("stalls3")'])
time.sleep(2)
print(child.poll()); t = time.time(); child.kill(); print(child.wait(), time.time() - t < 10)
`,
    );
    assert.equal(outcome.out, 'None\n-9 True\n');
  });

  test(`${transport}: a handler that throws is EIO at the client and nothing else`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const outcome = await shell(server.path, 'cat throws; cat hello');
    assert.match(outcome.out, /hello, world/);
    assert.match(outcome.out, /Input\/output error/);
    await server.line(/^log ERROR request-failed operation=lookup kind=internal/);
  });

  test(`${transport}: process.exit() while serving leaves no mount`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const exited = new Promise<number | null>((resolve) => server.child.once('exit', resolve));
    server.child.stdin?.write('exit\n');
    assert.equal(await exited, 3);
    assert.equal(isMounted(server.path), false);
  });

  test(`${transport}: process.exit() ends although files were closed that it has not heard of`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const client = spawn('sh', ['-c', 'exec 3< hello 4< popular 5< popular; echo; read line'], { cwd: server.path });
    await once(client.stdout, 'data');
    const exited = once(server.child, 'exit');
    await server.ask('exit-late 1', /^busy$/);
    client.kill('SIGKILL');
    assert.deepEqual(await exited, [3, null]);
    assert.equal(isMounted(server.path), false);
  });

  test(`${transport}: the dead mount of a killed daemon is cleared by the next start`, async (t) => {
    const first = await TreeServer.start(t, transport);
    first.child.kill('SIGKILL');
    await new Promise((resolve) => first.child.once('exit', resolve));
    while (/abort|canceled/.test((await shell('/', `ls '${first.path}'`)).out));
    assert.match((await shell('/', `ls '${first.path}'`)).out, /not connected/);
    const second = await TreeServer.start(t, transport, first.path);
    await second.line(/^log WARN dead-mount-cleared/);
    assert.equal((await shell(second.path, 'cat hello')).out, 'hello, world\n');
    await second.stop();
    assert.equal(isMounted(first.path), false);
  });

  test(`${transport}: a directory that is served already is refused`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const second = await TreeServer.start(t, transport, server.path);
    assert.match(second.lines.join('\n'), /^refused .* is mounted already/m);
    assert.equal((await shell(server.path, 'cat hello')).out, 'hello, world\n');
  });

  test(`${transport}: an invalidated name is looked up anew`, async (t) => {
    const server = await TreeServer.start(t, transport);
    assert.equal((await shell(server.path, 'cat hello')).out, 'hello, world\n');
    await server.ask('replace hello other', /^replaced$/);
    for (let i = 0; i < 50; i++) if ((await shell(server.path, 'cat hello')).out === 'other') return;
    assert.fail('the old file is still served');
  });
}

for (const transport of ['ring', 'device'] as const) {
  test(`${transport}: a whole local file is read by the kernel itself, and later opens of it agree`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const mounted = await server.line(/^mounted /);
    assert.match(mounted, /passthrough=true/);
    const isRing = /io_uring/.test(mounted);
    if (transport === 'device') assert.equal(isRing, false);
    else if (!isRing) t.diagnostic('this system gives no io_uring: its place is taken by the device');
    const outcome = await python(
      server.path,
      `
a = open('backed', 'rb'); b = open('backed', 'rb')
print(len(a.read()), len(b.read()))
w = open('backed', 'r+b', buffering=0); a.seek(0)
print(len(a.read(10)))
w.close(); a.close(); b.close()
print(open('backed', 'rb').read(10))
`,
    );
    assert.equal(outcome.out, "5000000 5000000\n10\nb'0123456789'\n");
    assert.equal(await server.ask('asked read', /^asked/), 'asked 0');
  });
}

for (const transport of ['ring', 'device'] as const) {
  test(`${transport}: hundreds of requests that wait do not hold up another one`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const outcome = await python(
      server.path,
      `
import threading, time
def ask(i):
    try: os.stat('stalls-%d' % i)
    except OSError: pass
waiting = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(300)]
for one in waiting: one.start()
time.sleep(1)
slowest = 0
for i in range(40):
    os.sched_setaffinity(0, {i % os.cpu_count()})
    began = time.time()
    open('hello').read()
    slowest = max(slowest, time.time() - began)
print(sum(one.is_alive() for one in waiting), slowest < 2, flush=True)
os._exit(0)
`,
    );
    assert.equal(outcome.out, '300 True\n');
    assert.equal((await shell(server.path, 'cat hello')).out, 'hello, world\n');
  });
}

for (const transport of ['ring', 'device'] as const) {
  test(`${transport}: nor do they where all came at once on one processor, before the daemon saw the first`, async (t) => {
    const server = await TreeServer.start(t, transport);
    const outcome = await python(
      server.path,
      `
import signal, threading, time
daemon = ${String(server.child.pid)}
one_processor = {min(os.sched_getaffinity(0))}
os.sched_setaffinity(0, one_processor)
def ask(i):
    try: os.stat('stalls-%d' % i)
    except OSError: pass
waiting = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(900)]
os.kill(daemon, signal.SIGSTOP)
for one in waiting: one.start()
time.sleep(1)
os.kill(daemon, signal.SIGCONT)
began = time.time()
open('hello').read()
print(sum(one.is_alive() for one in waiting), time.time() - began < 2, flush=True)
os._exit(0)
`,
    );
    assert.equal(outcome.out, '900 True\n');
  });
}

test('ring: a file that is opened again and again is one open file to the file system, until nobody opens it', async (t) => {
  const server = await TreeServer.start(t, 'ring');
  const isRing = /io_uring/.test(await server.line(/^mounted /));
  const outcome = await python(
    server.path,
    `
for i in range(100): assert open('popular').read() == 'often read'
held = open('popular'); os.fstat(held.fileno())
others = [open('popular') for i in range(50)]
for other in others: other.close()
print(held.read())
`,
  );
  assert.equal(outcome.out, 'often read\n');
  assert.equal(await server.ask('asked open', /^asked/), isRing ? 'asked 1' : 'asked 151');
  if (isRing) assert.equal(await server.ask('handles', /^handles/), 'handles 1 active 0');
  for (let i = 0; i < 60; i++) {
    if ((await server.ask('handles', /^handles/)) === 'handles 0 active 0') break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(await server.ask('handles', /^handles/), 'handles 0 active 0', 'released once nobody opens it');
  assert.equal(await server.ask('asked release', /^asked/), isRing ? 'asked 1' : 'asked 151');
});

test('ring: a shared open ends when the file is opened to write, and who has it keeps it', async (t) => {
  const server = await TreeServer.start(t, 'ring');
  const isRing = /io_uring/.test(await server.line(/^mounted /));
  const outcome = await python(
    server.path,
    `
reader = open('popular'); second = open('popular')
writer = open('popular', 'r+b', buffering=0); writer.write(b'soon'); writer.close()
third = open('popular')
print(reader.fileno() != third.fileno(), os.pread(third.fileno(), 20, 0))
reader.close(); second.close(); third.close()
`,
  );
  assert.equal(outcome.out, "True b'soonn read'\n");
  assert.equal(await server.ask('asked open', /^asked/), isRing ? 'asked 3' : 'asked 4', 'the first, the writer, the third');
  for (let i = 0; i < 60; i++) {
    if ((await server.ask('handles', /^handles/)) === 'handles 0 active 0') return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail('a handle is left open');
});
