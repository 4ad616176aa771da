/** Who looks at a marker, or makes one, is answered when the kernel has forgotten what it knew of the blob. Over a store in memory. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { makeBlob } from '../../helpers/blobs.js';
import { mountInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import type { FilestoreSettings } from '../../../src/filestore/filestore-options.js';

const BLOB = makeBlob(77);
const MARKER = `checklist/${BLOB.name}`;

type Mounted = Awaited<ReturnType<typeof mountInMemory>>;

/** A mount that knows the blob. @param work is told where a name of the database stands in it */
async function withBlob(
  changes: Partial<FilestoreSettings>,
  work: (mounted: Mounted, below: (name: string) => string) => Promise<void>,
): Promise<void> {
  const mounted = await mountInMemory(new MemoryStore(), new LogGuard().log(), { deleteBoundMs: 10_000, ...changes });
  const below = (name: string): string => ('database' in changes ? `db/${name}` : name);
  const { client } = mounted;
  try {
    if ('database' in changes) await client.mkdir('db');
    await client.mkdir(below(path.dirname(BLOB.name)));
    await client.writeFile(below(BLOB.name), BLOB.content);
    for (const directory of ['checklist', path.dirname(MARKER)])
      if (!(await client.exists(below(directory)))) await client.mkdir(below(directory));
    await work(mounted, below);
  } finally {
    await mounted.close();
  }
}

/** From now on the kernel forgets when it is let. */
function slowKernel({ filestore }: Mounted): { readonly doubted: string[]; forget: () => void } {
  const kernel = { doubted: new Array<string>(), forget: (): void => undefined };
  const held = new Promise<void>((resolve) => (kernel.forget = resolve));
  filestore.onChange((name) => {
    kernel.doubted.push(name);
    return () => held;
  });
  return kernel;
}

async function isAnswered(answer: Promise<unknown>): Promise<boolean> {
  const later = new Promise<'later'>((resolve) => setTimeout(() => resolve('later'), 50));
  return (await Promise.race([answer.catch(() => undefined), later])) !== 'later';
}

for (const [mount, changes] of [
  ['one database', {}],
  ['all databases', { database: undefined }],
] as const) {
  for (const [what, isThere, act] of [
    ['looks at a marker', true, ({ client }: Mounted, name: string) => client.stat(name)],
    ['opens a marker to write', true, ({ client }: Mounted, name: string) => client.writeFile(name, '', 'a')],
    ['makes a marker', false, ({ client }: Mounted, name: string) => client.writeFile(name, '')],
  ] as const) {
    test(`who ${what} waits until the kernel has forgotten the blob; a mount of ${mount}`, async () => {
      await withBlob({ nodes: 'many', ...changes }, async (mounted, below) => {
        if (isThere) await mounted.client.writeFile(below(MARKER), '');
        const kernel = slowKernel(mounted);
        const answer = act(mounted, below(MARKER));
        assert.equal(await isAnswered(answer), false);
        assert.equal(kernel.doubted[0], below(BLOB.name));
        kernel.forget();
        await answer;
        assert.equal(await mounted.client.exists(below(MARKER)), true);
      });
    });
  }
}

test('a marker that is removed while somebody who looks at it waits is not there', async () => {
  await withBlob({ nodes: 'many' }, async (mounted) => {
    await mounted.client.writeFile(MARKER, '');
    const requester = { pid: 1, signal: new AbortController().signal };
    const kernel = slowKernel(mounted);
    const answer = mounted.filestore.lookup(MARKER, requester);
    assert.ok(answer instanceof Promise);
    await mounted.filestore.unlink(MARKER, requester);
    kernel.forget();
    assert.equal(await answer, undefined);
  });
});

test('with one node no blob is doubted because of its marker, and nobody waits', async () => {
  await withBlob({ nodes: 'one' }, async (mounted) => {
    const kernel = slowKernel(mounted);
    await mounted.client.writeFile(MARKER, '');
    assert.equal((await mounted.client.stat(MARKER)).sizeBytes, 0);
    assert.deepEqual(kernel.doubted, []);
  });
});
