/** The first of the two commands of the README, as a newcomer runs it: twice, then stop. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, it } from 'node:test';
import { run } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { isMounted } from '../helpers/with-mount.js';

const script = path.join(projectRoot, 'scripts/quickstart');
const state = path.join(projectRoot, '.state/quickstart');

function processesOfQuickstart(): string[] {
  return fs.readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
      return command.includes(state) ? [`${pid} ${command}`] : [];
    } catch {
      return [];
    }
  });
}

after(async () => {
  await run(script, ['stop']);
});

it('quickstart mounts, writes, reads and shows the objects, also a second time, and stop leaves no process and no mount', async () => {
  for (const time of ['first', 'second']) {
    const { code, stdout, stderr } = await run(script, [], { timeoutMs: 240_000 });
    assert.equal(code, 0, `${time} time:\n${stdout}\n${stderr}`);
    assert.match(stdout, /read from the original directory: An invoice from before the move/);
    assert.match(stdout, /safe to lose this machine +yes/);
    assert.match(stdout, /ETag: [0-9a-f]{32}/);
    assert.match(stdout, /quickstart stop/);
    assert.equal(isMounted(path.join(state, 'filestore')), true);
  }
  const stopped = await run(script, ['stop']);
  assert.equal(stopped.code, 0, stopped.stderr);
  assert.equal(isMounted(path.join(state, 'filestore')), false);
  assert.deepEqual(processesOfQuickstart(), []);
});
