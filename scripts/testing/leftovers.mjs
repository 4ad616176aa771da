// What tests left behind: processes that carry the mark of this run in their environment, and the mounts in the
// temporary directory of this run. Found for the report, then cleaned by process id.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const MARK_VARIABLE = 'SWIFTFS_TEST_MARK';

function read(file) {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** Processes whose mark begins with this one, but for ourselves: [{ pid, command }]. */
export function markedProcesses(mark) {
  const wanted = `${MARK_VARIABLE}=${mark}`;
  const found = [];
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    if (
      !read(`/proc/${name}/environ`)
        .split('\0')
        .some((variable) => variable.startsWith(wanted))
    )
      continue;
    if (/^State:\s+Z/m.test(read(`/proc/${name}/status`))) continue;
    found.push({ pid: Number(name), command: read(`/proc/${name}/cmdline`).split('\0').join(' ').trim().slice(0, 200) });
  }
  return found;
}

/** Mount points below a directory. */
function mountsBelow(directory) {
  return read('/proc/mounts')
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))))
    .filter((mountPoint) => mountPoint.startsWith(`${directory}/`));
}

/** Waits a little for what is on its way out, then says what is left. */
export async function findLeftovers(mark, directory, patienceMs = 5000) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const processes = markedProcesses(mark);
    const mounts = mountsBelow(directory);
    if ((processes.length === 0 && mounts.length === 0) || Date.now() > deadline) return { processes, mounts };
    await sleep(200);
  }
}

/** Ends what was left: mounts are detached first, so that nobody hangs in one; then the processes, asked and then made. */
export async function clean({ processes, mounts }) {
  for (const mountPoint of mounts) spawnSync('umount', ['-l', mountPoint], { stdio: 'ignore', timeout: 10_000 });
  for (const signal of ['SIGCONT', 'SIGTERM', 'SIGKILL']) {
    for (const { pid } of processes) {
      try {
        process.kill(pid, signal);
      } catch {
        // gone already
      }
    }
    if (signal === 'SIGTERM' && processes.length > 0) await sleep(1000);
  }
}
