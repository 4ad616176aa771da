/**
 * The contract of an ordinary file system, run over any directory: a plain one (the oracle), the kernel mount of a vfs, the whole product.
 * Most of it is a Python program, because Odoo is one and because Node has no O_EXCL race, mapping, rewinddir or fork; Node's own calls
 * follow. All calls are made from outside the event loop that serves the mount.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { run } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';

export interface PosixRoot {
  /** An empty directory that is written below. */
  readonly path: string;
  close(): Promise<void>;
}

export interface PosixContractOptions {
  /** Sentences that do not hold here, each with the reason. One that does hold nevertheless fails, so that the list stays true. */
  readonly differences?: Readonly<Record<string, string>>;
}

const SCRIPT = path.join(projectRoot, 'test/contract/posix-checks.py');

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

    it('behaves as an ordinary file system to system calls', { timeout: 120_000 }, async (t) => {
      const results = await runChecks(rootPath());
      assert.ok(results.size > 40, 'the checks ran');
      for (const [sentence, failure] of results) {
        const difference = options.differences?.[sentence];
        await t.test(difference === undefined ? sentence : `differs (${difference}): ${sentence}`, () => {
          if (difference === undefined) assert.equal(failure, null, failure ?? '');
          else assert.notEqual(failure, null, 'holds: take it off the list of differences');
        });
      }
      for (const sentence of Object.keys(options.differences ?? {})) assert.ok(results.has(sentence), `no check is called "${sentence}"`);
    });

    it('serves what Node programs do', { timeout: 60_000 }, async () => {
      await nodeProgram(path.join(rootPath(), 'node'));
    });
  });
}

async function runChecks(directory: string): Promise<Map<string, string | null>> {
  const finished = await run('python3', [SCRIPT, directory], { timeoutMs: 110_000 });
  assert.equal(finished.code, 0, finished.stderr);
  const results = new Map<string, string | null>();
  for (const line of finished.stdout.split('\n')) {
    if (line === '') continue;
    const [sentence, failure] = JSON.parse(line) as [string, string | null];
    results.set(sentence, failure);
  }
  return results;
}

/** fs/promises only: a synchronous call would stand in the way of the loop that answers it. */
async function nodeProgram(directory: string): Promise<void> {
  await fs.mkdir(path.join(directory, 'a/b/c'), { recursive: true });
  const file = path.join(directory, 'a/b/c/x');
  await fs.writeFile(file, 'one', { flag: 'wx' });
  await assert.rejects(fs.writeFile(file, 'two', { flag: 'wx' }), { code: 'EEXIST' });
  await fs.appendFile(file, ' two');
  assert.equal(await fs.readFile(file, 'utf8'), 'one two');
  await fs.copyFile(file, `${file}.copy`);
  await fs.rename(`${file}.copy`, path.join(directory, 'y'));
  assert.equal(await fs.readFile(path.join(directory, 'y'), 'utf8'), 'one two');
  const handle = await fs.open(path.join(directory, 'y'), 'r+');
  try {
    await handle.write(Buffer.from('THREE'), 0, 5, 4);
    assert.equal((await handle.stat()).size, 9);
    await handle.truncate(3);
    await handle.utimes(1_000, 1_000);
    assert.equal((await handle.readFile('utf8')).length, 3);
  } finally {
    await handle.close();
  }
  assert.equal((await fs.stat(path.join(directory, 'y'))).mtimeMs, 1_000_000);
  assert.deepEqual((await fs.readdir(directory, { recursive: true })).sort(), ['a', 'a/b', 'a/b/c', 'a/b/c/x', 'y']);
  await fs.access(file, fs.constants.R_OK | fs.constants.W_OK);
  await assert.rejects(fs.rmdir(directory), { code: 'ENOTEMPTY' });
  await fs.rm(directory, { recursive: true });
  await assert.rejects(fs.stat(directory), { code: 'ENOENT' });
}
