/**
 * SIGKILL at every named step of a write, a publication and a delete, before the step and right after it. One life follows another on the
 * same spool and cache; each first finds all that its predecessors acknowledged. `OSF_KILLS=n` kills n times instead of once at each step.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { differences, readManifest } from '../helpers/manifest.js';
import { run } from '../helpers/processes.js';
import { tempDir } from '../helpers/temp-dir.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';
import { CHECK_FAILED, STEP_NEVER_CAME, STEPS, type CrashPlan, type Step } from './crash-child.js';

interface Death {
  readonly step: Step;
  readonly when: 'before' | 'after';
  readonly writeMode: 'back' | 'through';
}

/** With `back` a write goes through every step there is; with `through` what matters is what Swift was told. */
const DEATHS: readonly Death[] = (['before', 'after'] as const).flatMap((when) => [
  ...STEPS.map((step): Death => ({ step, when, writeMode: 'back' })),
  ...(['PUT', 'DELETE', 'append to the journal'] as const).map((step): Death => ({ step, when, writeMode: 'through' })),
]);
const KILLS = Number(process.env['OSF_KILLS'] ?? DEATHS.length);
/** Two at once, each with a container of its own. */
const LANES = 2;

describe('a filestore that dies at a named step', () => {
  let swift: Swift;
  before(async () => {
    swift = await withSwift();
  });
  after(() => swift.stop());

  const live = async (plan: CrashPlan): Promise<{ signal: NodeJS.Signals | null; code: number | null; stderr: string }> =>
    run(process.execPath, [path.join(import.meta.dirname, 'crash-child.js'), JSON.stringify(plan)], { timeoutMs: 120_000 });

  it('What was acknowledged is there after a kill before or after any step of a write, a publication or a delete.', async () => {
    const deaths = Array.from({ length: KILLS }, (_, index) => [index, DEATHS[index % DEATHS.length]] as const);
    let killsWithPending = 0;
    let [written, deleted] = [0, 0];
    const lane = async (number: number): Promise<void> => {
      const directory = tempDir('crash');
      const database = `lane${number}`;
      const common = { directory, authUrl: swift.authUrl, database, manifest: path.join(directory, 'names') };
      for (let next = deaths.shift(); next !== undefined; next = deaths.shift()) {
        const [index, death] = next;
        assert.ok(death !== undefined);
        // late enough that something was acknowledged in this life; deletes are told in bulk, so there are few of them
        const nth = death.step === 'DELETE' ? 1 + (index % 2) : 1 + ((index * 7) % 16);
        const title = `killed ${death.when} "${death.step}" (${death.writeMode}, no. ${nth})`;
        const { signal, code, stderr } = await live({ ...common, ...death, nth, seed: index });
        assert.notEqual(code, CHECK_FAILED, `what was acknowledged is not there (before it was ${title}):\n${stderr}`);
        assert.notEqual(code, STEP_NEVER_CAME, `the step never came: ${title}\n${stderr}`);
        assert.equal(signal, 'SIGKILL', `${title}: exit ${String(code)}\n${stderr}`);
        if (fs.readdirSync(path.join(directory, 'spool/v1', database, 'sealed')).length > 0) killsWithPending += 1;
      }
      // The last life has no cache, and drains.
      fs.rmSync(path.join(directory, 'cache'), { recursive: true });
      const last = await live({ ...common, writeMode: 'back', step: undefined, when: 'before', nth: 0, seed: 0 });
      assert.equal(last.code, 0, last.stderr);
      const acknowledged = readManifest(common.manifest);
      written += acknowledged.written.size;
      deleted += acknowledged.deleted.size;
      const client = await swift.client();
      assert.deepEqual(await differences(acknowledged, (name) => client.get(`odoo-${database}`, name)), [], 'in Swift');
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    assert.ok(written > KILLS && deleted > 0, `${written} were written and ${deleted} deleted`);
    assert.ok(killsWithPending > KILLS / 3, `something was pending at only ${killsWithPending} of ${KILLS} kills`);
  });
});
