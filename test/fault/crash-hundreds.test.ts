/**
 * Hundreds of kills in a few minutes: the same lives as crash-steps.test.ts, over a store that the test itself keeps (store-over-ipc.ts) and without
 * the kernel, so that a kill costs half a second. Every other one is killed at a named step, the rest at any moment, some with Swift away. What the
 * kernel and a real Swift add to it is in crash-manifest.test.ts and crash-steps.test.ts, with fewer kills.
 * `OSF_KILLS=n` kills n times.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { differences, readManifest } from '../helpers/manifest.js';
import { MemoryStore } from '../helpers/memory-store.js';
import { tempDir } from '../helpers/temp-dir.js';
import { CHECK_FAILED, STEPS, type CrashPlan, type Step } from './crash-child.js';
import { serveStore } from './store-over-ipc.js';

const KILLS = Number(process.env['OSF_KILLS'] ?? 200);
const LANES = 2;
const LIFE_LIMIT_MS = 120_000;

interface Death {
  readonly step: Step | 'any moment';
  readonly when: 'before' | 'after';
  readonly writeMode: 'back' | 'through';
  readonly isAway: boolean;
}

const AT_STEPS: readonly Death[] = (['before', 'after'] as const).flatMap((when) => [
  ...STEPS.map((step): Death => ({ step, when, writeMode: 'back', isAway: false })),
  ...(['PUT', 'DELETE', 'append to the journal'] as const).map((step): Death => ({ step, when, writeMode: 'through', isAway: false })),
]);
const AT_ANY_MOMENT: readonly Death[] = (['through', 'back'] as const).flatMap((writeMode) =>
  [false, true].map((isAway): Death => ({ step: 'any moment', when: 'before', writeMode, isAway })),
);

function deathOf(index: number): Death {
  const table = index % 2 === 0 ? AT_STEPS : AT_ANY_MOMENT;
  return table[(index >> 1) % table.length] ?? assert.fail();
}

interface End {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stderr: string;
}

class Lane {
  readonly #store = new MemoryStore();
  readonly #directory = tempDir('crash');
  readonly #database: string;
  readonly manifest = path.join(this.#directory, 'names');

  constructor(database: string) {
    this.#database = database;
  }

  get sealedFiles(): number {
    return fs.readdirSync(path.join(this.#directory, 'spool/v1', this.#database, 'sealed')).length;
  }

  /** @param afterMs how long after its nth answer a life that is killed from outside goes on */
  async live(death: Death | undefined, nth: number, seed: number, afterMs = 0): Promise<End> {
    const { step, when, writeMode } = death ?? { step: undefined, when: 'before', writeMode: 'back' };
    const common = { directory: this.#directory, authUrl: undefined, database: this.#database, manifest: this.manifest };
    const plan: CrashPlan = { ...common, step, when, writeMode, nth, seed, ...(death === undefined ? {} : { checkAtMost: 60 }) };
    const child = fork(path.join(import.meta.dirname, 'crash-child.js'), [JSON.stringify(plan)], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const limit = setTimeout(() => child.kill('SIGABRT'), LIFE_LIMIT_MS);
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    serveStore(child, this.#store, () => Math.random() * 4);
    let told = 0;
    child.on('message', (message: unknown) => {
      if (message === 'checked') {
        this.#store.down = death?.isAway === true;
        child.send('go', () => undefined);
      }
      if (message === 'told' && ++told === nth && step === 'any moment') setTimeout(() => child.kill('SIGKILL'), afterMs);
    });
    try {
      return await new Promise<End>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => resolve({ code, signal, stderr }));
      });
    } finally {
      clearTimeout(limit);
      this.#store.down = false;
    }
  }

  /** One without a cache, which checks all and drains. @returns what Swift lacks or has in the end */
  async end(): Promise<string[]> {
    fs.rmSync(path.join(this.#directory, 'cache'), { recursive: true });
    const last = await this.live(undefined, 0, 0);
    assert.equal(last.code, 0, last.stderr);
    return differences(readManifest(this.manifest), (name) => Promise.resolve(this.#store.peek(`odoo-${this.#database}`, name)));
  }
}

test(
  'A filestore that is killed hundreds of times, at named steps and at any moment, loses nothing that was acknowledged.',
  { timeout: 900_000 },
  async (t) => {
    const next = Array.from({ length: KILLS }, (_, index) => index);
    let [withPending, written, deleted] = [0, 0, 0];
    const lane = async (number: number): Promise<void> => {
      const lives = new Lane(`lane${number}`);
      for (let index = next.shift(); index !== undefined; index = next.shift()) {
        const death = deathOf(index);
        // Late enough that something was acknowledged in this life; deletes are told in bulk, so there are few of them.
        const nth = death.step === 'DELETE' ? 1 + ((index >> 1) % 2) : 1 + ((index * 7) % 16);
        const title = `killed ${death.when} "${death.step}" (${death.writeMode}${death.isAway ? ', Swift away' : ''}, no. ${nth})`;
        const { signal, code, stderr } = await lives.live(death, nth, index, Math.random() * 12);
        assert.notEqual(code, CHECK_FAILED, `what was acknowledged is not there (before it was ${title}):\n${stderr}`);
        assert.equal(signal, 'SIGKILL', `${title}: exit ${String(code)}\n${stderr}`);
        if (lives.sealedFiles > 0) withPending += 1;
      }
      assert.deepEqual(await lives.end(), [], 'in Swift');
      const acknowledged = readManifest(lives.manifest);
      written += acknowledged.written.size;
      deleted += acknowledged.deleted.size;
    };
    await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
    t.diagnostic(`${KILLS} kills, ${withPending} with something pending; ${written} written, ${deleted} deleted`);
    assert.ok(written > KILLS && deleted > 0, `${written} were written and ${deleted} deleted`);
    assert.ok(withPending > KILLS / 3, `something was pending at only ${withPending} of ${KILLS} kills`);
  },
);
