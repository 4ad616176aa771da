/**
 * The contract of an ordinary file system, run over any directory: a plain one (the oracle), the kernel mount of a vfs, the whole product.
 * Most of it is a Python program, because Odoo is one and because Node has no mapping, rewinddir or fork; then a Node program. Both are processes of their own: the event loop that serves
 * a mount must never wait for it.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';

export interface PosixRoot {
  /** An empty directory that is written below. */
  readonly path: string;
  close(): Promise<void>;
}

interface PosixContractOptions {
  /** Sentences that do not hold here, each with the reason. One that does hold nevertheless fails, so that the list stays true. */
  readonly differences?: Readonly<Record<string, string>>;
  /** Sentences that hold or not by the moment (what the kernel still has in its caches), each with the reason. */
  readonly unsteady?: Readonly<Record<string, string>>;
  /** For all checks together; a file system that stores some thousand files at a distance takes its time. */
  readonly limitMs?: number;
}

const SCRIPT = path.join(projectRoot, 'test/contract/posix/run.py');

const NODE_PROGRAM = path.join(import.meta.dirname, 'posix-node-program.js');

/** Declares the suite. @param makeRoot called once, before the first check */
export function posixContract(title: string, makeRoot: () => Promise<PosixRoot>, options: PosixContractOptions = {}): void {
  describe(title, () => {
    let root: PosixRoot | undefined;
    const rootPath = (): string => {
      assert.ok(root !== undefined, 'the directory could not be made');
      return root.path;
    };
    before(async () => {
      root = await makeRoot();
    });
    after(async () => {
      await root?.close();
    });

    it('behaves as an ordinary file system to system calls', { timeout: (options.limitMs ?? 110_000) + 10_000 }, async (t) => {
      const results = await runChecks(rootPath(), options.limitMs ?? 110_000);
      assert.ok(results.size > 40, 'the checks ran');
      for (const [sentence, failure] of results) {
        if (options.unsteady?.[sentence] !== undefined) continue;
        const difference = options.differences?.[sentence];
        await t.test(difference === undefined ? sentence : `differs (${difference}): ${sentence}`, () => {
          if (difference === undefined) assert.equal(failure, null, failure ?? '');
          else assert.notEqual(failure, null, 'holds: take it off the list of differences');
        });
      }
      for (const sentence of Object.keys({ ...options.differences, ...options.unsteady }))
        assert.ok(results.has(sentence), `no check is called "${sentence}"`);
    });

    it('serves what Node programs do', { timeout: 60_000 }, async () => {
      const finished = await run(process.execPath, [NODE_PROGRAM, path.join(rootPath(), 'node')], { timeoutMs: 50_000 });
      assert.equal(finished.code, 0, finished.stderr);
    });
  });
}

async function runChecks(directory: string, limitMs: number): Promise<Map<string, string | null>> {
  const finished = await run('python3', ['-B', SCRIPT, directory], { timeoutMs: limitMs });
  assert.equal(finished.code, 0, finished.stderr);
  const results = new Map<string, string | null>();
  for (const line of finished.stdout.split('\n')) {
    if (line === '') continue;
    const [sentence, failure] = JSON.parse(line) as [string, string | null];
    results.set(sentence, failure);
  }
  return results;
}
