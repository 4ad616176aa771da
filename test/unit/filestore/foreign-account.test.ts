/**
 * A login that leads to the account of a stranger, who has containers of the same names (a copy of the installation): nothing of his is served,
 * changed or removed, over a store in memory.
 */
import assert from 'node:assert/strict';
import { renameSync, mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { FilestoreSettings } from '../../../src/filestore/filestore-options.js';
import { makeBlob, type Blob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import type { MemoryMount } from '../../helpers/memory-driver.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const [KNOWN, LATE] = [makeBlob(1, 1000), makeBlob(2, 1000)] as const;
const [OURS, THEIRS] = ['/v1/AUTH_memory', '/v1/AUTH_stranger'] as const;

describe('the account of a stranger', () => {
  let store: MemoryStore;
  let spoolDirectory: string;
  let log: LogGuard;
  let life: FilestoreInMemory | undefined;
  beforeEach(() => {
    store = new MemoryStore();
    spoolDirectory = tempDir('foreign');
  });
  afterEach(async () => {
    await stop();
    removeDir(spoolDirectory);
  });

  const start = async (changed: Partial<FilestoreSettings> = {}): Promise<MemoryMount['client']> => {
    log = new LogGuard();
    life = await mountInMemory(store, log.log(), {
      database: undefined,
      spoolDirectory,
      readTimeoutMs: 500,
      lookupWaitMs: 100,
      deleteBoundMs: 60_000,
      ...changed,
    });
    return life.client;
  };
  const stop = async (): Promise<void> => {
    await life?.close();
    life = undefined;
  };
  const write = async (client: MemoryMount['client'], database: string, blob: Blob): Promise<void> => {
    const shard = `${database}/${blob.sha1.slice(0, 2)}`;
    if (!(await client.exists(shard))) await client.mkdir(shard);
    await client.writeFile(`${database}/${blob.name}`, blob.content);
  };
  const drained = async (): Promise<void> => assert.equal(await life?.filestore.drain(20_000), true);
  const reasonOf = (database: string): string => life?.filestore.databases.find((status) => status.database === database)?.reason ?? '';
  /** What the login leads to from now on: containers of a stranger under the names of ours. @returns the way back */
  const goAstray = (theirs: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>): (() => void) => {
    const bringBack = Object.keys(theirs).map((container) => store.takeAway(container));
    for (const [container, files] of Object.entries(theirs))
      for (const [name, bytes] of Object.entries(files)) store.plant(container, name, bytes);
    store.accountName = THEIRS;
    store.clearRequests();
    return () => {
      for (const each of bringBack) each();
      store.accountName = OURS;
    };
  };

  it('What is still to be removed of a dropped database is not removed from the account of another.', async () => {
    for (const nodes of ['one', 'many'] as const) {
      store = new MemoryStore();
      const client = await start({ nodes });
      await client.mkdir('gone');
      await write(client, 'gone', KNOWN);
      await drained();
      store.down = true;
      await assert.rejects(store.probe());
      await client.unlink(`gone/${KNOWN.name}`);
      await client.rmdir(`gone/${KNOWN.sha1.slice(0, 2)}`);
      await client.rmdir('gone');
      await stop();
      const comeBack = goAstray({ 'odoo-gone': { [KNOWN.name]: KNOWN.content, [LATE.name]: LATE.content } });
      await start({ nodes });
      store.down = false;
      await eventually('Swift was asked', () => /was in account/.test(reasonOf('gone')), 20_000);
      assert.deepEqual(store.names('odoo-gone'), [KNOWN.name, LATE.name].sort());
      await stop();
      await assert.rejects(start({ nodes }), { kind: 'bad-config' });
      assert.deepEqual(store.names('odoo-gone'), [KNOWN.name, LATE.name].sort());
      store.down = true;
      await start({ nodes });
      comeBack();
      store.down = false;
      await eventually('its container is removed', () => store.names('odoo-gone') === undefined, 20_000);
      await stop();
      removeDir(spoolDirectory);
    }
  });

  it('Nothing is read, listed or copied in the account of another, also where a container has the same name.', async () => {
    const client = await start();
    await client.mkdir('ours');
    await write(client, 'ours', KNOWN);
    await client.writeFile('ours/notes', Buffer.from('of ours'));
    await drained();
    await stop();
    store.down = true;
    const again = await start();
    const comeBack = goAstray({
      'odoo-ours': { notes: Buffer.from('theirs!'), others: Buffer.from('theirs!'), [LATE.name]: LATE.content },
    });
    store.before = ({ container, method }) => {
      if (container === 'odoo-ours' && method !== 'headContainer') assert.fail(`${method} was asked of the stranger's container`);
    };
    store.down = false;
    await eventually('Swift is back', () => !/refused|cannot be reached/.test(reasonOf('ours')), 20_000);
    await assert.rejects(again.readFile('ours/notes'), { kind: 'unavailable' });
    await assert.rejects(again.stat('ours/others'), { kind: 'unavailable' });
    await assert.rejects(again.readFile(`ours/${KNOWN.name}`), { kind: 'unavailable' });
    assert.deepEqual((await again.readdir('ours')).filter((name) => name !== 'checklist').sort(), [KNOWN.sha1.slice(0, 2), 'notes'].sort());
    await assert.rejects(again.rename('ours/notes', 'ours/copied'));
    assert.equal(
      store.requests.some(({ container, method }) => container === 'odoo-ours' && ['get', 'copy', 'list'].includes(method)),
      false,
    );
    store.before = undefined;
    comeBack();
    assert.deepEqual(await again.readFile('ours/notes'), Buffer.from('of ours'));
    assert.equal(await again.exists('ours/others'), false);
  });

  it('No database is looked for, or begun, in another account than that of one that cannot be opened.', async () => {
    const client = await start();
    await client.mkdir('ours');
    await write(client, 'ours', KNOWN);
    await client.mkdir('empty');
    await drained();
    await stop();
    const [journal, kept] = ['journal', 'kept'].map((name) => path.join(spoolDirectory, 'v1', 'ours', name)) as [string, string];
    renameSync(journal, kept);
    mkdirSync(journal);
    store.down = true;
    const again = await start();
    await again.mkdir('new');
    await write(again, 'new', LATE);
    const comeBack = goAstray({ 'odoo-ours': {} });
    store.down = false;
    await store.createContainer('odoo-theirs', { 'osf-database': 'theirs' });
    await eventually('new is told why', () => /was in account/.test(reasonOf('new')), 20_000);
    assert.equal(store.names('odoo-new'), undefined);
    assert.deepEqual((await again.readdir('')).sort(), ['empty', 'new', 'ours']);
    comeBack();
    await drained();
    assert.deepEqual(store.peek('odoo-new', LATE.name), LATE.content);
    await stop();
    rmdirSync(journal);
    renameSync(kept, journal);
    assert.deepEqual(await (await start()).readFile(`ours/${KNOWN.name}`), KNOWN.content);
  });
});
