/** A disk of the spool that turns read-only under open files: node:fs is wrapped before the filestore is loaded. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { makeBlob, makeBlobs } from '../../helpers/blobs.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { bodyOf } from '../../helpers/store-bytes.js';
import { tempDir } from '../../helpers/temp-dir.js';

type OnFile = (fd: number, ...rest: unknown[]) => unknown;

/** The disk has turned read-only under the open journal and the open list of names. */
let isReadOnly = false;
/** A write has half of its effect before it is refused. */
let isHalfDone = false;
const table = fs as unknown as Record<string, OnFile>;
for (const name of ['writeSync', 'ftruncateSync']) {
  const original = table[name] ?? assert.fail();
  table[name] = (fd, ...rest) => {
    if (isReadOnly && /\/(journal|names-1)(\.new)?$/.test(fs.readlinkSync(`/proc/self/fd/${fd}`))) {
      const [data] = rest;
      if (isHalfDone && data instanceof Uint8Array) original(fd, data.subarray(0, data.length / 2 - 5));
      isHalfDone = false;
      throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
    }
    return original(fd, ...rest);
  };
}
const { openSync } = fs;
fs.openSync = (file, ...rest) => {
  if (isReadOnly && /\/journal\.new$/.test(String(file))) throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
  return openSync(file, ...rest);
};
syncBuiltinESMExports();
const { Catalog } = await import('../../../src/filestore/catalog.js');
const { NamesFile } = await import('../../../src/filestore/names-file.js');
const { mountInMemory } = await import('../../helpers/filestore-in-memory.js');

const [DOOMED, ELSEWHERE] = [makeBlob(1, 1000), makeBlob(2, 1000)] as const;

test('A disk of the spool that fails is no outage of Swift: what only Swift has is found.', async () => {
  const log = new LogGuard();
  const store = new MemoryStore();
  const { filestore, client, close } = await mountInMemory(store, log.log(), { deleteBoundMs: 60_000 });
  try {
    await client.mkdir(DOOMED.sha1.slice(0, 2));
    await client.writeFile(DOOMED.name, DOOMED.content);
    // Swift deletes it while the disk turns read-only, and the journal cannot say so.
    store.before = ({ method }) => {
      isReadOnly ||= method === 'delete';
    };
    await client.unlink(DOOMED.name);
    await eventually('Swift was told', () => (store.counts.delete ?? 0) > 0);
    await store.put('odoo-db', ELSEWHERE.name, bodyOf(ELSEWHERE.content));
    for (let look = 0; look < 5; look++) {
      assert.equal(await client.exists(ELSEWHERE.name), true, 'a blob of another hand');
      assert.equal(await client.exists(DOOMED.name), false);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.match(filestore.databases[0]?.reason ?? '', /disk of spool_dir/);
    assert.equal(log.has(/swift\.away/), false);
    store.before = undefined;
    isReadOnly = false;
    assert.equal(await filestore.drain(20_000), true);
    assert.deepEqual(store.names('odoo-db'), [ELSEWHERE.name]);
  } finally {
    isReadOnly = false;
    await close();
  }
});

test('A list of names that can neither be written nor cut back fails nobody, and is whole once the disk is.', async () => {
  const directory = tempDir('failing-names');
  const log = new LogGuard();
  log.expect(/^WARN names\.not-written/);
  const names = new NamesFile(directory, log.log());
  await names.load(new Catalog());
  // More than are held back for a moment.
  const blobs = makeBlobs(5000, 10);
  try {
    isReadOnly = isHalfDone = true;
    for (const { name } of blobs.slice(1)) names.added(name, 10);
    names.flush();
    names.flush();
    // A kill here finds half a record at the end of the file, which a start cuts off.
    assert.ok(fs.statSync(path.join(directory, 'names-1')).size % 29 > 0);
  } finally {
    isReadOnly = isHalfDone = false;
  }
  // Nobody comes with anything new.
  const list = path.join(directory, 'names-1');
  await eventually('it is written', () => fs.statSync(list).size === 29 * (blobs.length - 1));
  names.added(blobs[0]?.name ?? '', 10);
  await names.close();
  const catalog = new Catalog();
  const reopened = new NamesFile(directory, log.log());
  await reopened.load(catalog);
  await reopened.close();
  assert.deepEqual(
    blobs.filter(({ name }) => catalog.sizeOf(name) !== 10),
    [],
  );
  log.assertQuiet();
});
