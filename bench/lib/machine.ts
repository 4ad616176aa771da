/** What is asked of the machine itself: CPU time of a process, the caches of the kernel, and facts for the report. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** CPU time of all threads of a process that live now, in microseconds (sched(7): /proc/PID/task/TID/schedstat, nanoseconds). */
export function cpuUs(pid: number): number {
  let totalNs = 0;
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    totalNs += Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return totalNs / 1000;
}

/** Dentries and inodes of the whole machine; page caches stay. Root only. */
export function dropDentries(): void {
  fs.writeFileSync('/proc/sys/vm/drop_caches', '2');
}

export function machineFacts(directory: string): Record<string, string | number> {
  const [source = '', type = ''] = execFileSync('df', ['--output=source,fstype', directory], { encoding: 'utf8' })
    .split('\n')[1]
    ?.split(/\s+/) ?? ['', ''];
  return {
    'work directory': `${directory} on ${source} (${type}${type === 'ext4' ? ` with${hasJournal(source) ? '' : 'out'} a journal` : ''})`,
    processors: `${os.cpus().length} x ${os.cpus()[0]?.model ?? 'unknown'}`,
    kernel: os.release(),
    node: process.version,
    'load before the run': os
      .loadavg()
      .map((load) => load.toFixed(1))
      .join(' '),
  };
}

/** jbd2 is the journal of ext4, which knows a logical volume by its real name (dm-0); 8 is the inode that holds one of the file system's own. */
function hasJournal(device: string): boolean {
  return fs.existsSync(`/proc/fs/jbd2/${path.basename(fs.existsSync(device) ? fs.realpathSync(device) : device)}-8`);
}
