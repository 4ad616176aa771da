/** The unit tests, and the program over a real mount and a real Swift, with the Node after the oldest we support. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { run } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';

const node = path.join(projectRoot, '.state/node-next/node_modules', `node-linux-${process.arch}`, 'bin/node');
const tests = path.resolve(import.meta.dirname, '..');

async function runWith(files: readonly string[]): Promise<void> {
  // A runner inside of a runner would do nothing while this variable is set.
  const command = ['-u', 'NODE_TEST_CONTEXT', node, '--test', '--test-reporter=tap', '--test-concurrency=2', ...files];
  const { code, stdout } = await run('env', command, { timeoutMs: 300_000 });
  // Each with the block that says why.
  const failures = stdout.match(/^( *)not ok .*\n\1 {2}---\n[^]*?^\1 {2}\.\.\.$/gm) ?? [];
  assert.equal(code, 0, failures.join('\n') || stdout.slice(-3000));
  const [, passed] = /^# pass (\d+)$/m.exec(stdout) ?? [];
  assert.ok(Number(passed) > 0, 'tests were run');
}

it('is there, and is another one than this', () => {
  assert.ok(fs.existsSync(node), `${node} is missing: scripts/install-deps test`);
  assert.doesNotMatch(path.basename(fs.realpathSync(process.execPath)), /^v24\./);
});

it('the unit tests pass', async () => {
  const folder = path.join(tests, 'unit');
  const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.js'));
  assert.ok(files.length > 20);
  await runWith(files.map((name) => path.join(folder, name)));
});

it('a mount over a real Swift stores and serves', async () => {
  await runWith([path.join(tests, 'mount/smoke.test.js')]);
});
