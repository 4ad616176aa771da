/** Databases of a whole filestore that cannot be opened on this machine, beside others that can, over a store in memory. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import { makeBlob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { eventually } from '../../helpers/processes.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const BLOB = makeBlob(1, 1000);

describe('databases that cannot be opened', () => {
  let store: MemoryStore;
  let spoolDirectory: string;
  let log: LogGuard;
  let life: FilestoreInMemory | undefined;
  beforeEach(() => {
    store = new MemoryStore();
    spoolDirectory = tempDir('refused');
  });
  afterEach(async () => {
    await life?.close();
    life = undefined;
    removeDir(spoolDirectory);
  });

  const start = async (): Promise<FilestoreInMemory> => {
    await life?.close();
    life = undefined;
    log = new LogGuard();
    life = await mountInMemory(store, log.log(), { database: undefined, spoolDirectory });
    return life;
  };
  const inSpool = (database: string, name: string): string => path.join(spoolDirectory, 'v1', database, name);
  const make = async ({ client }: Pick<FilestoreInMemory, 'client'>, database: string): Promise<void> => {
    await client.mkdir(database);
    await client.mkdir(`${database}/${BLOB.sha1.slice(0, 2)}`);
    await client.writeFile(`${database}/${BLOB.name}`, BLOB.content);
  };
  const states = ({ filestore }: Pick<FilestoreInMemory, 'filestore'>): Record<string, string> =>
    Object.fromEntries(filestore.databases.map(({ database, state }) => [database, state]));
  /** No journal can be read there. */
  const breakSpool = (database: string): void => {
    renameSync(inSpool(database, 'journal'), inSpool(database, 'kept'));
    mkdirSync(inSpool(database, 'journal'));
  };

  const mendSpool = (database: string): void => {
    rmdirSync(inSpool(database, 'journal'));
    renameSync(inSpool(database, 'kept'), inSpool(database, 'journal'));
  };

  it('A database that this machine cannot open is EIO and told by `status`, and the others are served.', async () => {
    const first = await start();
    for (const database of ['sound', 'unread', 'unrecorded']) await make(first, database);
    assert.equal(await first.filestore.drain(20_000), true);
    await first.close();
    life = undefined;
    breakSpool('unread');
    const record = readFileSync(inSpool('unrecorded', 'record.json'));
    writeFileSync(inSpool('unrecorded', 'record.json'), '{');
    const { client, filestore } = await start();
    assert.deepEqual(await client.readFile(`sound/${BLOB.name}`), BLOB.content);
    assert.deepEqual((await client.readdir('')).sort(), ['sound', 'unread', 'unrecorded']);
    for (const database of ['unread', 'unrecorded']) {
      await assert.rejects(client.stat(database), { kind: 'unavailable' });
      await assert.rejects(client.stat(`${database}/${BLOB.name}`), { kind: 'unavailable' });
      await assert.rejects(client.mkdir(database), { kind: 'unavailable' });
      await assert.rejects(client.mkdir(database.toUpperCase()), { kind: 'unavailable' }, 'it would have the same container');
      assert.ok(log.has(new RegExp(`^ERROR database\\.not-opened database=${database} `)));
    }
    assert.deepEqual(states({ filestore }), { sound: 'serving', unread: 'refused', unrecorded: 'refused' });
    const reasons = filestore.databases.map(({ reason }) => reason ?? '').join('\n');
    assert.match(reasons, /"unread" cannot be opened, .*v1\/unread.*tried again/);
    assert.match(reasons, /"unrecorded" cannot be opened, .*record\.json is damaged/);
    await make({ client }, 'later');

    mendSpool('unread');
    writeFileSync(inSpool('unrecorded', 'record.json'), record);
    const mended = await start();
    for (const database of ['sound', 'unread', 'unrecorded', 'later'])
      assert.deepEqual(await mended.client.readFile(`${database}/${BLOB.name}`), BLOB.content);
    assert.equal(log.has(/^ERROR /), false);
  });

  it('A database that could not be opened is served once it can be, without a restart, and what waits in it goes to Swift.', async () => {
    const first = await start();
    for (const database of ['sound', 'late', 'dropped', 'damaged']) await make(first, database);
    assert.equal(await first.filestore.drain(20_000), true);
    store.down = true;
    const later = makeBlob(2, 1000);
    await first.client.mkdir(`late/${later.name.slice(0, 2)}`).catch(() => undefined);
    await first.client.writeFile(`late/${later.name}`, later.content);
    await first.client.unlink(`dropped/${BLOB.name}`);
    await first.client.rmdir(`dropped/${BLOB.name.slice(0, 2)}`);
    await first.client.rmdir('dropped');
    await first.close();
    life = undefined;
    store.down = false;
    for (const database of ['late', 'dropped']) breakSpool(database);
    writeFileSync(inSpool('damaged', 'record.json'), '{');

    const { client, filestore, close } = await start();
    const now = { client, filestore, close };
    await assert.rejects(client.stat('late'), { kind: 'unavailable' });
    assert.deepEqual(states(now), { sound: 'serving', late: 'refused', dropped: 'refused', damaged: 'refused' });
    const told = log.lines.length;
    for (const database of ['late', 'dropped']) mendSpool(database);
    await eventually('it is opened', () => states(now).late === 'serving' && states(now).dropped !== 'refused');
    assert.deepEqual(await client.readFile(`late/${BLOB.name}`), BLOB.content);
    assert.deepEqual(await client.readFile(`late/${later.name}`), later.content);
    assert.deepEqual((await client.readdir('')).sort(), ['damaged', 'late', 'sound']);
    await eventually('what waited is in Swift', () => store.peek('odoo-late', later.name) !== undefined);
    await eventually('the drop has ended', () => store.names('odoo-dropped') === undefined);
    assert.deepEqual(states(now), { sound: 'serving', late: 'serving', damaged: 'refused' });
    await assert.rejects(client.stat('damaged'), { kind: 'unavailable', message: /record\.json is damaged/ });
    assert.deepEqual(
      log.lines.slice(told).filter((line) => /^(WARN|ERROR) /.test(line)),
      [],
      'the same is not told again',
    );
  });

  it('a database whose damaged record is moved away is found again by its container, and is not said to be absent before', async () => {
    const first = await start();
    for (const database of ['sound', 'moved']) await make(first, database);
    assert.equal(await first.filestore.drain(20_000), true);
    await first.close();
    life = undefined;
    writeFileSync(inSpool('moved', 'record.json'), '{');
    const { client } = await start();
    await assert.rejects(client.stat('moved'), { kind: 'unavailable' });
    renameSync(inSpool('moved', 'record.json'), inSpool('moved', 'record.kept'));
    let isThere = false;
    await eventually('it is found', async () => {
      isThere =
        (await client.exists('moved').catch((error: unknown) => {
          assert.equal(kindOf(error), 'unavailable');
          return undefined;
        })) ?? false;
      return isThere;
    });
    assert.deepEqual(await client.readFile(`moved/${BLOB.name}`), BLOB.content);
  });

  for (const when of ['while it is refused', 'before the start'])
    it(`a database whose record is moved away ${when}, and of which Swift knows nothing, is served with what waits in it`, async () => {
      const first = await start();
      await make(first, 'sound');
      assert.equal(await first.filestore.drain(20_000), true);
      store.down = true;
      await make(first, 'new');
      await first.close();
      life = undefined;
      writeFileSync(inSpool('new', 'record.json'), '{');
      const moveAway = (): void => rmSync(inSpool('new', 'record.json'));
      if (when === 'before the start') moveAway();
      const { client, filestore } = await start();
      if (when === 'while it is refused') {
        await assert.rejects(client.stat('new'), { kind: 'unavailable' });
        moveAway();
      }
      await eventually('it is served', async () => await client.exists('new').catch(() => false), 20_000);
      assert.deepEqual(await client.readFile(`new/${BLOB.name}`), BLOB.content);
      assert.equal(filestore.databases.find(({ database }) => database === 'new')?.pendingWrites, 1);
      store.down = false;
      await eventually('what waited is in Swift', () => store.names('odoo-new')?.includes(BLOB.name), 20_000);
    });

  it('a start that could open none of them is refused with the reason', async () => {
    await make(await start(), 'only');
    await life?.close();
    life = undefined;
    breakSpool('only');
    await assert.rejects(start(), (error) => kindOf(error) !== 'internal' && /v1\/only/.test(messageOf(error)));
  });

  it('a database that Swift has, and whose spool cannot be made, is not said to be absent', async () => {
    const { client } = await start();
    await store.createContainer('odoo-theirs', { 'osf-database': 'theirs' });
    mkdirSync(inSpool('theirs', ''), { recursive: true });
    writeFileSync(inSpool('theirs', 'sealed'), '');
    for (const name of ['theirs', `theirs/${BLOB.name}`])
      await assert.rejects(client.stat(name), (error) => kindOf(error) !== 'not-found' && /v1\/theirs/.test(messageOf(error)));
    rmSync(inSpool('theirs', 'sealed'));
    assert.equal(await client.exists('theirs'), true);
  });

  it('a database whose spool cannot be made was not made, and the next start knows nothing of it', async () => {
    const { client } = await start();
    await make({ client }, 'sound');
    mkdirSync(inSpool('new', ''), { recursive: true });
    writeFileSync(inSpool('new', 'sealed'), '');
    await assert.rejects(client.mkdir('new'));
    assert.equal(await client.exists('new'), false);
    assert.equal(existsSync(inSpool('new', 'record.json')), false);
    const again = await start();
    assert.deepEqual(await again.client.readdir(''), ['sound']);
    rmSync(inSpool('new', 'sealed'));
    await make(again, 'new');
    assert.deepEqual(await again.client.readFile(`new/${BLOB.name}`), BLOB.content);
  });
});
