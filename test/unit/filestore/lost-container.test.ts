/** A container that is not where it was, and a blob that Swift has set aside: "not there" is then no word for the files, over a store in memory. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import type { FilestoreSettings } from '../../../src/filestore/filestore-options.js';
import { makeBlob, type Blob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import type { MemoryMount } from '../../helpers/memory-driver.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const CONTAINER = 'odoo-db';
const [KNOWN, SECOND, LATE] = [makeBlob(1, 1000), makeBlob(2, 1000), makeBlob(3, 1000)] as const;

describe('a container that is not where it was', () => {
  let store: MemoryStore;
  let directory: string;
  let life: (FilestoreInMemory & { readonly log: LogGuard }) | undefined;
  beforeEach(() => {
    store = new MemoryStore();
    directory = tempDir('lost');
  });
  afterEach(async () => {
    await stop();
    removeDir(directory);
  });

  const start = async (changed: Partial<FilestoreSettings> = {}): Promise<MemoryMount['client']> => {
    const log = new LogGuard();
    const spoolDirectory = path.join(directory, 'spool');
    const mounted = await mountInMemory(store, log.log(), { spoolDirectory, readTimeoutMs: 1_500, deleteBoundMs: 60_000, ...changed });
    life = { ...mounted, log };
    return life.client;
  };
  const stop = async (): Promise<void> => {
    await life?.close();
    life = undefined;
  };
  const write = async (client: MemoryMount['client'], blob: Blob, below = ''): Promise<void> => {
    const shard = `${below}${blob.sha1.slice(0, 2)}`;
    if (!(await client.exists(shard))) await client.mkdir(shard);
    await client.writeFile(below + blob.name, blob.content);
  };
  const drained = async (): Promise<void> => assert.equal(await life?.filestore.drain(20_000), true);
  const statusOf = (database = 'db') => life?.filestore.databases.find((status) => status.database === database);

  it('a start is refused when the container is missing, and goes on when a new one is accepted', async () => {
    await write(await start(), KNOWN);
    await drained();
    await stop();
    store.takeAway(CONTAINER);
    await assert.rejects(start(), (error) => {
      assert.equal(kindOf(error), 'bad-config');
      assert.match(
        messageOf(error),
        /odoo-db is missing in account \/v1\/AUTH_memory; 1 file is known to be in it: .*--accept-new-container/,
      );
      return true;
    });
    assert.equal(store.names(CONTAINER), undefined);
    const client = await start({ acceptNewContainer: true });
    assert.equal(statusOf()?.knownNames, 0);
    assert.equal(await client.exists(KNOWN.name), false);
    await write(client, KNOWN);
    await drained();
    await stop();
    // Once is enough.
    assert.deepEqual(await (await start()).readFile(KNOWN.name), KNOWN.content);
  });

  it('what is known is forgotten for a new container only once that one is ours, and only once in a life', async () => {
    await write(await start(), KNOWN);
    await drained();
    await stop();
    const bringBack = store.takeAway(CONTAINER);
    store.failNext('createContainer', 'forbidden');
    await start({ acceptNewContainer: true });
    await stop();
    // The evidence is still there, and so are the files when the container is back.
    await assert.rejects(start(), { kind: 'bad-config' });
    bringBack();
    assert.deepEqual(await (await start({ acceptNewContainer: true })).readFile(KNOWN.name), KNOWN.content);
    const client = life?.client ?? assert.fail();
    store.takeAway(CONTAINER);
    await write(client, LATE);
    await eventually('the loss is told', () => life?.log.has(/^ERROR container\.lost /) === true, 20_000);
    await eventually('it is said to be degraded', () => statusOf()?.state === 'degraded', 20_000);
    assert.equal(store.names(CONTAINER), undefined);
    assert.equal(statusOf()?.knownNames, 1);
  });

  it('a start with the credentials of another account is refused, also where a container of that name is there', async () => {
    for (const nodes of ['one', 'many'] as const) {
      store = new MemoryStore();
      const database = `db-${nodes}`;
      await write(await start({ nodes, database }), KNOWN);
      await drained();
      await stop();
      store.accountName = '/v1/AUTH_other';
      await assert.rejects(start({ nodes, database }), (error) => {
        assert.equal(kindOf(error), 'bad-config');
        assert.match(messageOf(error), /was in account \/v1\/AUTH_memory, and these credentials are for account \/v1\/AUTH_other/);
        return true;
      });
      store.accountName = '/v1/AUTH_memory';
      assert.deepEqual(await (await start({ nodes, database })).readFile(KNOWN.name), KNOWN.content);
      await stop();
    }
  });

  it('what waits is not sent to another account, and reaches its own when that is back', async () => {
    await write(await start(), KNOWN);
    await drained();
    store.down = true;
    await write(life?.client ?? assert.fail(), LATE);
    await stop();
    store.down = false;
    store.accountName = '/v1/AUTH_other';
    const bringBack = store.takeAway(CONTAINER);
    await assert.rejects(start(), { kind: 'bad-config' });
    assert.equal(store.names(CONTAINER), undefined);
    bringBack();
    store.accountName = '/v1/AUTH_memory';
    await start();
    await drained();
    assert.deepEqual(store.peek(CONTAINER, LATE.name), LATE.content);
  });

  it('when it vanishes under a mount, what is known is EIO and stays known, and writes and deletes wait', async () => {
    await write(await start(), KNOWN);
    await write(life?.client ?? assert.fail(), SECOND);
    await drained();
    await stop();
    const client = await start();
    const bringBack = store.takeAway(CONTAINER);
    await assert.rejects(client.readFile(KNOWN.name), { kind: 'unavailable' });
    assert.equal(await client.exists(KNOWN.name), true);
    await client.unlink(SECOND.name);
    await write(client, LATE);
    await eventually('it is said to be degraded', () => statusOf()?.state === 'degraded', 20_000);
    assert.match(statusOf()?.reason ?? '', /odoo-db is missing/);
    assert.deepEqual([statusOf()?.pendingWrites, statusOf()?.pendingDeletes, statusOf()?.knownNames], [1, 1, 1]);
    assert.equal(store.names(CONTAINER), undefined);
    assert.ok(life?.log.has(/^ERROR container\.lost /));
    bringBack();
    await drained();
    assert.deepEqual(await client.readFile(KNOWN.name), KNOWN.content);
    assert.deepEqual(store.names(CONTAINER), [KNOWN.name, LATE.name].sort());
    await eventually('all is well again', () => statusOf()?.state === 'serving', 60_000);
  });

  it('in a mount of the whole filestore only the database that lost its container is degraded', async () => {
    const whole = { database: undefined };
    const before = await start(whole);
    for (const database of ['a', 'b']) {
      await before.mkdir(database);
      await write(before, KNOWN, `${database}/`);
    }
    await drained();
    await stop();
    store.takeAway('odoo-a');
    const client = await start(whole);
    await eventually('its loss is seen', () => statusOf('a')?.state === 'degraded', 20_000);
    await assert.rejects(client.readFile(`a/${KNOWN.name}`), { kind: 'unavailable' });
    assert.deepEqual(await client.readFile(`b/${KNOWN.name}`), KNOWN.content);
    await write(client, LATE, 'a/');
    await write(client, LATE, 'b/');
    await eventually('b has its write', () => store.peek('odoo-b', LATE.name) !== undefined, 20_000);
    assert.equal(store.names('odoo-a'), undefined);
    assert.equal(statusOf('b')?.state, 'serving');
    await stop();
    store.accountName = '/v1/AUTH_other';
    await assert.rejects(start(whole), { kind: 'bad-config' });
  });

  it('a start that learns late that the account is another one serves no database of a stranger, and makes none there', async () => {
    const client = await start({ database: undefined });
    for (const database of ['ours', 'too']) {
      await client.mkdir(database);
      await write(client, KNOWN, `${database}/`);
    }
    await drained();
    await stop();
    // Of the stranger, whose account is found out once Swift answers.
    await store.createContainer('odoo-theirs');
    store.accountName = '/v1/AUTH_stranger';
    store.down = true;
    const again = await start({ database: undefined });
    store.down = false;
    for (const database of ['ours', 'too'])
      await eventually(`${database} is lost`, () => /was in account/.test(statusOf(database)?.reason ?? ''), 20_000);
    assert.deepEqual((await again.readdir('')).sort(), ['ours', 'too']);
    assert.equal(await again.exists('theirs'), false);
    await assert.rejects(again.mkdir('another'), { kind: 'unavailable' });
    assert.equal(store.names('odoo-another'), undefined);
  });

  it('a start whose first login is for the wrong account goes on once the login leads to the right one', async () => {
    const client = await start({ database: undefined });
    await client.mkdir('ours');
    await write(client, KNOWN, 'ours/');
    await drained();
    await stop();
    store.confirmedAccount = undefined;
    store.down = true;
    const again = await start({ database: undefined });
    // Made while nobody could tell: it is not to be begun in the account of another.
    await again.mkdir('new');
    await write(again, LATE, 'new/');
    store.accountName = '/v1/AUTH_stranger';
    store.down = false;
    await eventually('the account is doubted', () => store.doubtedAccounts.has('/v1/AUTH_stranger'), 20_000);
    await eventually('ours is lost', () => /was in account/.test(statusOf('ours')?.reason ?? ''), 20_000);
    await eventually('new is told why', () => /odoo-ours was in account/.test(statusOf('new')?.reason ?? ''), 20_000);
    assert.deepEqual([store.names('odoo-new'), store.confirmedAccount], [undefined, undefined]);
    store.accountName = '/v1/AUTH_memory';
    await drained();
    await eventually('ours is found', () => statusOf('ours')?.state === 'serving', 60_000);
    assert.equal(store.confirmedAccount, '/v1/AUTH_memory');
    assert.deepEqual(store.peek('odoo-new', LATE.name), LATE.content);
    assert.deepEqual(await again.readFile(`ours/${KNOWN.name}`), KNOWN.content);
  });

  it('a container with a copy of the metadata of another is nobody’s', async () => {
    await store.createContainer('odoo-copy', { 'osf-database': 'prod' });
    await store.createContainer('odoo-prod_trash', {});
    await store.createContainer('odoo-real', { 'osf-database': 'Real' });
    const client = await start({ database: undefined });
    assert.deepEqual(await client.readdir(''), ['Real']);
    await stop();
    assert.deepEqual(await (await start({ database: undefined, nodes: 'many' })).readdir(''), ['Real']);
  });

  it('a name that is not known costs one question, and none about the container', async () => {
    store.plant(CONTAINER, KNOWN.name, KNOWN.content);
    const client = await start();
    await eventually('the first listing', () => (store.counts.list ?? 0) > 1, 20_000);
    store.clearRequests();
    assert.equal(await client.exists(LATE.name.slice(0, 2)), false);
    store.clearRequests();
    for (let i = 0; i < 5; i++) {
      const shard = KNOWN.sha1.slice(0, 2);
      assert.equal(await client.exists(`${shard}/${shard}${LATE.sha1.slice(2, 39)}${i}`), false);
    }
    assert.deepEqual(store.counts, { head: 5 });
  });

  it('a database that was dropped here is made again without a question', async () => {
    const whole = { database: undefined };
    const client = await start(whole);
    await client.mkdir('a');
    await write(client, KNOWN, 'a/');
    await drained();
    await client.unlink(`a/${KNOWN.name}`);
    await client.rmdir(`a/${KNOWN.sha1.slice(0, 2)}`);
    await client.rmdir('a');
    await eventually('its container is removed', () => store.names('odoo-a') === undefined, 20_000);
    await client.mkdir('a');
    await write(client, SECOND, 'a/');
    await drained();
    assert.deepEqual(store.names('odoo-a'), [SECOND.name]);
  });

  it('a blob that came damaged and is then gone was set aside by Swift: EIO, never "no such file"', async () => {
    await write(await start(), KNOWN);
    await drained();
    await stop();
    store.plant(CONTAINER, KNOWN.name, Buffer.from('damaged'.padEnd(1000)));
    let gets = 0;
    store.before = ({ method }) => {
      if (method === 'get' && ++gets > 1) store.uproot(CONTAINER, KNOWN.name);
    };
    const client = await start();
    for (let i = 0; i < 2; i++) await assert.rejects(client.readFile(KNOWN.name), { kind: 'corrupt' });
    assert.equal(await client.exists(KNOWN.name), true);
    store.before = undefined;
    store.plant(CONTAINER, KNOWN.name, KNOWN.content);
    assert.deepEqual(await client.readFile(KNOWN.name), KNOWN.content);
  });
});
