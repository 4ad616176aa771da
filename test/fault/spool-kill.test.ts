/** SIGKILL while several write: what the spool answered before is there after, and what it said is deleted stays so. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { blobOf } from '../helpers/blobs.js';
import { LogGuard } from '../helpers/log-guard.js';
import { tempDir } from '../helpers/temp-dir.js';
import { open } from '../unit/spool/spools.js';

/** Runs the writer until it has answered so often, kills it, and returns every line it got out. */
async function killAfter(directory: string, life: number, answers: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'spool-writer.js'), directory, String(life)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === answers) child.kill('SIGKILL');
  }
  return lines;
}

test('After a SIGKILL every answered write is pending with its bytes, and every answered delete still holds.', async () => {
  const directory = tempDir('kill');
  const log = new LogGuard();
  const sealed = new Set<string>();
  const buried = new Set<string>();
  for (const [life, answers] of [30, 7, 61].entries()) {
    const burying = new Set<string>();
    for (const line of await killAfter(directory, life, answers)) {
      const [what, name = ''] = line.split(' ');
      if (what === 'sealed') sealed.add(name);
      if (what === 'burying') burying.add(name);
      if (what === 'buried') buried.add(name);
    }
    const spool = await open(directory, log.log());
    assert.ok(spool.pending.size > 0, 'something was pending at the kill');
    for (const name of sealed) {
      if (buried.has(name)) {
        assert.ok(spool.tombstones.has(name) && !spool.pending.has(name), `${name} came back`);
        continue;
      }
      const pending = spool.pending.get(name);
      if (pending === undefined && burying.has(name)) buried.add(name);
      else assert.equal(pending && blobOf(readFileSync(pending.file)).name, name);
    }
    await spool.close();
  }
  log.assertQuiet();
});
