/** What may happen between two awaits, over a store in memory whose requests can be held: each test is a loss that was possible once. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, futimesSync, openSync, readdirSync, readlinkSync, rmSync, utimesSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FilestoreError } from '../../../src/base/errors.js';
import { createLog } from '../../../src/base/log.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import type { BlobCache } from '../../../src/cache/cache.js';
import { openFilestore } from '../../../src/filestore/open-filestore.js';
import type { FilestoreSettings, RunningFilestore } from '../../../src/filestore/filestore-options.js';
import { createMemoryDriver, type MemoryMount } from '../../helpers/memory-driver.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { blobOf, makeBlob } from '../../helpers/blobs.js';
import { filestoreSettings } from '../../helpers/filestore-settings.js';
import { MemoryStore, type StoreRequest } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const CONTAINER = 'odoo-db';

/** What this process has open, removed files too. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

describe('what may interleave', () => {
  let store: MemoryStore;
  let directory: string;
  let filestore: RunningFilestore;
  let cache: BlobCache;
  let mount: MemoryMount;
  let awake: NodeJS.Timeout;
  beforeEach(() => {
    // The product's own timers keep no process alive.
    awake = setInterval(() => undefined, 1000);
    store = new MemoryStore();
    directory = tempDir('interleavings');
  });
  afterEach(async () => {
    clearInterval(awake);
    store.before = undefined;
    await stop();
    removeDir(directory);
  });

  const start = async (changed: Partial<FilestoreSettings> = {}): Promise<MemoryMount['client']> => {
    const log = createLog('error', (line) => assert.fail(line));
    cache = await openCache({ directory: path.join(directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
    filestore = await openFilestore(
      filestoreSettings(path.join(directory, 'spool'), { writeTimeoutMs: 60_000, lookupWaitMs: 30_000, ...changed }),
      { store, cache, origin: undefined, log },
    );
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
    mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
    return mount.client;
  };
  const stop = async (): Promise<void> => {
    await mount.unmount('detach');
    await filestore.close();
    await cache.close();
  };
  /** Holds the first request that matches until `go` is called; `held` says that it has come. */
  const hold = (matches: (request: StoreRequest) => boolean): { held: Promise<void>; go: () => void } => {
    let go = (): void => undefined;
    let arrived = (): void => undefined;
    const released = new Promise<void>((resolve) => (go = resolve));
    const held = new Promise<void>((resolve) => (arrived = resolve));
    let used = false;
    store.before = async (request) => {
      if (used || !matches(request)) return;
      used = true;
      arrived();
      await released;
    };
    return { held, go };
  };
  const drained = async (): Promise<void> => assert.equal(await filestore.drain(20_000), true);
  /** Nothing that follows waits for the container to be made. */
  const startInContainer = async (): Promise<MemoryMount['client']> => {
    const client = await start({ nodes: 'many', writeMode: 'back' });
    await client.writeFile('first.txt', Buffer.from('the container is there'));
    await drained();
    return client;
  };

  it('what was written long ago is there, also in a container that holds only what this mount put there', async () => {
    const client = await start({ nodes: 'one', negativeTtlMs: 1_000 });
    const blob = makeBlob(7, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.writeFile('notes.txt', Buffer.from('old'));
    await drained();
    // An unknown name makes the mount count what is there.
    await assert.rejects(client.stat('unknown.txt'), /no such file/);
    const now = performance.now.bind(performance);
    const clock = mock.method(performance, 'now', () => now() + 1000 * 86_400_000);
    try {
      assert.equal((await client.stat('notes.txt')).sizeBytes, 3);
      assert.equal((await client.stat(blob.name)).sizeBytes, 1000);
      await client.unlink('notes.txt');
      await assert.rejects(client.stat('notes.txt'), /no such file/);
    } finally {
      clock.mock.restore();
    }
  });

  it('a blob that is hashed while it is opened is held by its readers alone', async () => {
    const client = await start();
    const blob = makeBlob(8, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await drained();
    await stop();
    await start();
    assert.deepEqual(await mount.client.readFile(blob.name), blob.content);
    const key = `sha1-${blob.sha1}` as const;
    cache.forget(key);
    await eventually('its last descriptor is closed', () => !openFiles().some((file) => file.includes(key)));
  });

  it('a directory that is known is listed with its attributes until it is removed, and nobody has to be asked for it', async () => {
    const client = await start({ nodes: 'one' });
    const requester = { pid: 1, signal: new AbortController().signal };
    const listed = async (): Promise<[string, string | undefined, number | undefined][]> =>
      (await filestore.list('', requester))().map(({ name, stat }) => [name, stat?.kind, stat?.validMs]);
    await client.mkdir('ab');
    await client.mkdir('d');
    await listed();
    const requests = { ...store.counts };
    const { validMs } = (await filestore.lookup('ab', requester)) ?? assert.fail('not there');
    assert.deepEqual(await listed(), [
      ['ab', 'directory', validMs],
      ['d', 'directory', validMs],
    ]);
    await client.rmdir('d');
    assert.deepEqual(await listed(), [['ab', 'directory', validMs]]);
    assert.deepEqual(store.counts, requests);
  });

  it('what is deleted while it is being published is not stored after its delete, which would look like the work of another node', async () => {
    const client = await startInContainer();
    const blob = makeBlob(12, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    const put = hold(({ method }) => method === 'put');
    await client.writeFile(blob.name, blob.content);
    await put.held;
    await client.unlink(blob.name);
    put.go();
    await drained();
    await assert.rejects(client.stat(blob.name), /no such file/);
    assert.deepEqual(store.names(CONTAINER), ['first.txt']);
  });

  it('What was closed last is stored when our own PUT of what was closed before it comes late.', async () => {
    const client = await startInContainer();
    const put = hold(({ method }) => method === 'put');
    await client.writeFile('notes.txt', Buffer.from('one'));
    await put.held;
    await client.writeFile('notes.txt', Buffer.from('the last'));
    put.go();
    await drained();
    assert.equal((await client.readFile('notes.txt')).toString(), 'the last');
    assert.equal(store.peek(CONTAINER, 'notes.txt')?.toString(), 'the last');
  });

  it('what was closed last is stored when our own PUT of what was closed before it came late, and nobody heard of it before a restart', async () => {
    const client = await startInContainer();
    store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
    await client.writeFile('notes.txt', Buffer.from('the last'));
    await stop();
    const node = (await readFile(path.join(directory, 'spool/node-id'), 'utf8')).trim();
    store.plant(CONTAINER, 'notes.txt', Buffer.from('one'), { node });
    store.before = undefined;
    await start({ nodes: 'many', writeMode: 'back' });
    await drained();
    assert.equal(store.peek(CONTAINER, 'notes.txt')?.toString(), 'the last');
  });

  it('Of two closes that both waited for Swift the later one counts, whichever reaches Swift first.', async () => {
    const client = await startInContainer();
    for (const [other, wanted] of [
      ['before ours', 'ours'],
      ['after ours', 'theirs'],
    ]) {
      await client.writeFile('notes.txt', Buffer.from('first'));
      await drained();
      store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
      const beforeMs = Date.now();
      await delay(20);
      await client.writeFile('notes.txt', Buffer.from('ours'));
      await delay(20);
      const closed = String(other === 'before ours' ? beforeMs : Date.now());
      store.plant(CONTAINER, 'notes.txt', Buffer.from('theirs'), { node: 'another', closed });
      store.before = undefined;
      await drained();
      assert.equal(store.peek(CONTAINER, 'notes.txt')?.toString(), wanted, `theirs was closed ${other}`);
      assert.equal((await client.readFile('notes.txt')).toString(), wanted);
    }
  });

  it('a rename of what waits for Swift counts as a close of its target at that moment', async () => {
    const client = await startInContainer();
    await client.writeFile('to.txt', Buffer.from('first'));
    await drained();
    store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('unavailable', 'no')) : undefined);
    await client.writeFile('from.txt', Buffer.from('renamed'));
    await delay(20);
    store.plant(CONTAINER, 'to.txt', Buffer.from('theirs'), { node: 'another', closed: String(Date.now()) });
    await delay(20);
    await client.rename('from.txt', 'to.txt');
    store.before = undefined;
    await drained();
    assert.equal(store.peek(CONTAINER, 'to.txt')?.toString(), 'renamed');
  });

  it('a rename onto a name whose bytes are still owed takes their place, also after a restart', async () => {
    const client = await start({ nodes: 'many', writeMode: 'back' });
    await client.writeFile('a.1', Buffer.from('one'));
    await drained();
    store.before = ({ method }) => (method === 'put' ? Promise.reject(new FilestoreError('busy', 'no')) : undefined);
    await client.writeFile('a.2', Buffer.from('two'));
    await client.rename('a.1', 'a.2');
    assert.equal((await client.readFile('a.2')).toString(), 'one');
    store.before = undefined;
    await stop();
    const again = await start({ nodes: 'many', writeMode: 'back' });
    await drained();
    assert.deepEqual(store.names(CONTAINER), ['a.2']);
    assert.equal(store.peek(CONTAINER, 'a.2')?.toString(), 'one');
    assert.equal((await again.readFile('a.2')).toString(), 'one');
  });

  it('a rename onto a name whose delete is still owed is not undone by that delete', async () => {
    const client = await start();
    await client.writeFile('a.1', Buffer.from('one'));
    await client.writeFile('a.2', Buffer.from('two'));
    const copy = hold(({ method }) => method === 'copy');
    await client.unlink('a.2');
    const renamed = client.rename('a.1', 'a.2');
    await copy.held;
    copy.go();
    await renamed;
    await drained();
    assert.deepEqual(store.names(CONTAINER), ['a.2']);
    assert.equal((await client.readFile('a.2')).toString(), 'one');
  });

  it('what another node puts under a name while it is renamed to a content name is never stored under that', async () => {
    const client = await start({ nodes: 'many' });
    const blob = makeBlob(9, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile('upload.bin', blob.content);
    await drained();
    // Once its bytes were read: at the first request that changes anything.
    store.before = async ({ method }) => {
      if (method === 'copy' || method === 'put') store.plant(CONTAINER, 'upload.bin', makeBlob(10, 1000).content);
    };
    await client.rename('upload.bin', blob.name);
    await drained();
    assert.deepEqual(store.peek(CONTAINER, blob.name), blob.content);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    store.before = undefined;
    const wrong = makeBlob(11, 1000);
    await client.writeFile('wrong.bin', blob.content);
    await drained();
    await client.mkdir(wrong.sha1.slice(0, 2));
    await assert.rejects(client.rename('wrong.bin', wrong.name), /does not hash to/);
    assert.deepEqual(await client.readFile('wrong.bin'), blob.content);
    assert.equal(store.peek(CONTAINER, wrong.name), undefined);
  });

  it('a blob renamed onto its name is there, although its old self still waits behind `.__gc`', async () => {
    const client = await start();
    const blob = makeBlob(1, 2000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.mkdir('upload');
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    const put = hold(({ method }) => method === 'put');
    await client.writeFile('upload/t', blob.content);
    await client.rename('upload/t', blob.name);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    await client.unlink(`${blob.name}.__gc`);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    put.go();
    await drained();
    assert.deepEqual(store.names(CONTAINER), [blob.name]);
  });

  it('A blob whose PUT was still owed when it was renamed to `.__gc` stays behind that name, and goes with it.', async () => {
    const client = await start({ writeMode: 'back' });
    const [gone, back] = [makeBlob(1, 2000), makeBlob(2, 2000)] as const;
    for (const blob of [gone, back]) {
      const put = hold(({ method, name }) => method === 'put' && name === blob.name);
      await client.mkdir(blob.sha1.slice(0, 2));
      await client.writeFile(blob.name, blob.content);
      await put.held;
      await client.rename(blob.name, `${blob.name}.__gc`);
      put.go();
      await drained();
      assert.equal(await client.exists(blob.name), false);
      assert.deepEqual(await client.readdir(blob.sha1.slice(0, 2)), [`${blob.sha1}.__gc`]);
      assert.deepEqual(await client.readFile(`${blob.name}.__gc`), blob.content);
    }
    await client.unlink(`${gone.name}.__gc`);
    await client.rename(`${back.name}.__gc`, back.name);
    await drained();
    assert.equal(await client.exists(gone.name), false);
    assert.deepEqual(await client.readFile(back.name), back.content);
    assert.deepEqual(store.names(CONTAINER), [back.name]);
  });

  it('A name that waits behind `.__gc` is not forgotten because Swift cannot be asked for its blob.', async () => {
    const client = await start({ lookupWaitMs: 100 });
    const blob = makeBlob(1, 2000);
    const alias = `${blob.name}.__gc`;
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, alias);
    await drained();
    await stop();
    // Without its list of names the mount cannot say what Swift has.
    rmSync(path.join(directory, 'spool/v1/db/names-1'));
    store.down = true;
    const later = await start({ lookupWaitMs: 100 });
    assert.equal(await later.exists(alias), false);
    store.down = false;
    await eventually('Swift is back', () => filestore.databases[0]?.state === 'serving');
    assert.equal(await later.exists(blob.name), false);
    assert.deepEqual(await later.readFile(alias), blob.content);
  });

  it('A read that Swift answers with "not there" forgets no name that was written meanwhile.', async () => {
    const blob = makeBlob(1, 2000);
    store.plant(CONTAINER, blob.name, blob.content);
    const client = await start();
    assert.equal((await client.stat(blob.name)).sizeBytes, 2000);
    await eventually('the name is known', () => filestore.databases[0]?.knownNames === 1);
    store.uproot(CONTAINER, blob.name);
    let asked = 0;
    const container = hold(({ method }) => method === 'headContainer' && asked === 2);
    const { before } = store;
    store.before = async (request) => {
      if (request.method === 'get') asked++;
      await before?.(request);
    };
    const reading = client.readFile(blob.name);
    await container.held;
    await client.writeFile(blob.name, blob.content);
    container.go();
    assert.deepEqual(await reading, blob.content);
    assert.equal(filestore.databases[0]?.knownNames, 1);
  });

  it('Objects that are no files of the database, as other tools leave them, are not shown and hold nothing up.', async () => {
    const blob = makeBlob(1, 2000);
    const shard = blob.sha1.slice(0, 2);
    store.plant(CONTAINER, blob.name, blob.content);
    const others = [`${shard}/`, `${shard}//x`, 'docs/', 'a/../b', 'n'.repeat(300), `${blob.name}.__gc`, `${blob.name}.__new`];
    const copies = ['upload/t', 'checklist', `checklist/${blob.name}`, `${shard}/.${blob.sha1}.aB3xYz`];
    for (const name of [...others, ...copies]) store.plant(CONTAINER, name, Buffer.from('x'));
    for (const name of [shard, 'upload']) store.plant(CONTAINER, name, Buffer.alloc(0));
    const client = await start();
    await eventually('the list is complete', () => filestore.databases[0]?.knownNames === 1);
    assert.deepEqual(await client.readdir(''), [shard]);
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    for (const name of ['docs', 'a', 'upload', 'checklist', `${blob.name}.__gc`]) assert.equal(await client.exists(name), false, name);
    for (const name of ['docs', 'upload']) {
      await client.mkdir(name);
      await client.rmdir(name);
    }
    await client.unlink(blob.name);
    await client.rmdir(shard);
    assert.deepEqual(await client.readdir(''), []);
  });

  it('What rsync writes beside a content name (`xx/.SHA.XXXXXX`) reaches Swift under that name alone.', async () => {
    const client = await start();
    const [blob, torn] = [makeBlob(1, 2000), makeBlob(2, 2000)] as const;
    const shard = blob.sha1.slice(0, 2);
    await client.mkdir(shard);
    await eventually('the list is complete', () => (store.counts.list ?? 0) > 0);
    store.clearRequests();
    const temporary = `${shard}/.${blob.sha1}.aB3xYz`;
    await client.writeFile(temporary, blob.content);
    await client.utimes(temporary, 1_000_000_000, 1_000_000_000);
    assert.deepEqual(await client.readdir(shard), [`.${blob.sha1}.aB3xYz`]);
    await client.rename(temporary, blob.name);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    await drained();
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(store.names(CONTAINER), [blob.name]);
    const { put, copy, delete: deleted, updateMetadata } = store.counts;
    assert.deepEqual({ put, copy, deleted, updateMetadata }, { put: 1, copy: undefined, deleted: undefined, updateMetadata: undefined });
    await client.writeFile(temporary, torn.content);
    await assert.rejects(client.rename(temporary, blob.name), { kind: 'corrupt' });
    assert.deepEqual(await client.readFile(blob.name), blob.content);
    // What only looks like it is a file like any other.
    for (const name of [`.${blob.sha1}.aB3xYz`, `zz/.${blob.sha1}.aB3xYz`, `${shard}/.${blob.sha1}.aB3xY`]) {
      if (name.startsWith('zz')) await client.mkdir('zz');
      await client.writeFile(name, Buffer.from(name));
      await drained();
      assert.equal(store.peek(CONTAINER, name)?.toString(), name === `.${blob.sha1}.aB3xYz` ? undefined : name, name);
    }
  });

  it('A time that was set goes along with a rename and reaches Swift.', async () => {
    const client = await start({ writeMode: 'back' });
    const timeMs = 1_000_000_000_000;
    for (const state of ['pending', 'stored'] as const) {
      const put = hold(({ method, name }) => method === 'put' && name === '.cfg.aB3xYz' && state === 'pending');
      await client.writeFile('.cfg.aB3xYz', Buffer.from(state));
      if (state === 'stored') await drained();
      await client.utimes('.cfg.aB3xYz', timeMs, timeMs);
      await client.rename('.cfg.aB3xYz', 'cfg');
      put.go();
      assert.equal((await client.stat('cfg')).mtimeMs, timeMs, state);
      await drained();
      assert.equal((await client.stat('cfg')).mtimeMs, timeMs, state);
      assert.equal((await store.head(CONTAINER, 'cfg'))?.metadata['mtime'], String(timeMs), state);
    }
  });

  it('A time that is set while the last close is under way, or while the bytes travel to Swift, is kept.', async () => {
    const client = await start({ writeMode: 'back' });
    const requester = { pid: 1, signal: new AbortController().signal };
    const isKept = async (name: string, timeMs: number): Promise<void> => {
      assert.equal((await client.stat(name)).mtimeMs, timeMs, name);
      await drained();
      assert.equal((await client.stat(name)).mtimeMs, timeMs, name);
      assert.equal((await store.head(CONTAINER, name))?.metadata['mtime'], String(timeMs), name);
    };
    const file = await filestore.create('closed', { mode: 0o644, exclusive: true, read: false }, requester);
    await file.write(0, Buffer.from('x'));
    await file.flush();
    // Both requests of one wake-up: nothing that waits runs between them.
    const released = file.release();
    await filestore.setTimes('closed', 1_000_000_000_000, requester);
    await released;
    await isKept('closed', 1_000_000_000_000);
    const put = hold(({ method, name }) => method === 'put' && name === 'travelling');
    await client.writeFile('travelling', 'x');
    await put.held;
    await client.utimes('travelling', 1_100_000_000_000, 1_100_000_000_000);
    put.go();
    await isKept('travelling', 1_100_000_000_000);
  });

  it('a complete listing keeps what is not `xx/SHA`: old three-digit names, flat names, other files', async () => {
    const [three, flat, canonical] = [blobOf('three'), blobOf('flat'), blobOf('canonical')];
    store.plant(CONTAINER, `${three.sha1.slice(0, 3)}/${three.sha1}`, three.content);
    store.plant(CONTAINER, flat.sha1, flat.content);
    store.plant(CONTAINER, canonical.name, canonical.content);
    store.plant(CONTAINER, 'notes.txt', Buffer.from('notes'));
    const client = await start();
    await eventually('the list is complete', () => filestore.databases[0]?.knownNames === 4);
    const top = [three.sha1.slice(0, 3), flat.sha1, canonical.sha1.slice(0, 2), 'notes.txt'].sort();
    assert.deepEqual((await client.readdir('')).sort(), top);
    assert.deepEqual(await client.readdir(three.sha1.slice(0, 3)), [three.sha1]);
    assert.deepEqual(await client.readFile(`${three.sha1.slice(0, 3)}/${three.sha1}`), three.content);
    store.down = true;
    assert.equal((await client.stat(flat.sha1)).sizeBytes, flat.content.length);
  });

  it('a close that comes late neither brings back a file that was unlinked meanwhile nor undoes a rename onto its name', async () => {
    const client = await start();
    let put = hold(({ method, name }) => method === 'put' && name === 'gone');
    const closing = client.writeFile('gone', Buffer.from('old')).catch(() => undefined);
    await put.held;
    await client.unlink('gone');
    put.go();
    await closing;
    await drained();
    await eventually('it is gone', () => store.peek(CONTAINER, 'gone') === undefined);
    await client.writeFile('fresh', Buffer.from('new'));
    put = hold(({ method, name }) => method === 'put' && name === 'cfg');
    const late = client.writeFile('cfg', Buffer.from('old')).catch(() => undefined);
    await put.held;
    await client.mkdir('upload');
    await client.writeFile('upload/n', Buffer.from('newer'));
    await client.rename('upload/n', 'cfg');
    put.go();
    await late;
    await drained();
    assert.equal(store.peek(CONTAINER, 'cfg')?.toString(), 'newer');
    assert.equal((await client.readFile('cfg')).toString(), 'newer');
  });

  it('a rename while the old name is on its way to Swift leaves one name', async () => {
    const client = await start({ writeMode: 'back' });
    const put = hold(({ method, name }) => method === 'put' && name === 'a');
    await client.writeFile('a', Buffer.from('bytes'));
    await put.held;
    await client.rename('a', 'b');
    put.go();
    await drained();
    await eventually('the old name is gone', () => store.peek(CONTAINER, 'a') === undefined);
    assert.equal(store.peek(CONTAINER, 'b')?.toString(), 'bytes');
  });

  it('objects that Swift refuses hold up no others', async () => {
    const client = await start({ writeMode: 'back' });
    store.before = ({ method, name }) => {
      if (method === 'put' && name?.startsWith('bad') === true) store.failNext('put', 'too-large');
    };
    for (let n = 0; n < 6; n++) await client.writeFile(`bad${n}`, Buffer.from('x'));
    for (let n = 0; n < 20; n++) await client.writeFile(`good${n}`, Buffer.from('x'));
    await eventually('the others are there', () => (store.names(CONTAINER) ?? []).filter((n) => n.startsWith('good')).length === 20);
    assert.equal(filestore.databases[0]?.pendingWrites, 6);
    assert.equal(filestore.databases[0]?.state, 'degraded');
  });

  it('a close during a rename belongs to the name the file has in the end, whether the rename succeeds or fails', async () => {
    const client = await start({ writeMode: 'back' });
    for (const [outcome, wanted] of [
      ['fails', { a: 'new a', b: 'old b' }],
      ['succeeds', { a: undefined, b: 'new a' }],
    ] as const) {
      await client.writeFile('a', Buffer.from('old a'));
      await client.writeFile('b', Buffer.from('old b'));
      await drained();
      const file = await client.open('a', 'r+');
      const copy = hold(({ method }) => method === 'copy');
      if (outcome === 'fails') store.failNext('copy', 'too-large');
      const renamed = client.rename('a', 'b').then(
        () => 'succeeds',
        () => 'fails',
      );
      await copy.held;
      await file.write(Buffer.from('new a'), 0);
      const closed = file.close();
      copy.go();
      assert.equal(await renamed, outcome);
      await closed;
      await drained();
      for (const name of ['a', 'b'] as const) {
        assert.equal(store.peek(CONTAINER, name)?.toString(), wanted[name], `${name} in Swift when it ${outcome}`);
        assert.equal((await client.readFile(name).catch(() => undefined))?.toString(), wanted[name], `${name} here when it ${outcome}`);
      }
    }
  });

  it('what is closed under the old name while Swift copies it to the new one is what the new name has', async () => {
    const client = await start({ writeMode: 'back' });
    await client.writeFile('cfg', Buffer.from('old'));
    await drained();
    const { held, go } = hold(({ method }) => method === 'copy');
    const renamed = client.rename('cfg', 'cfg.2');
    await held;
    // Opened, written and closed meanwhile: answered from the spool.
    await client.writeFile('cfg', Buffer.from('new'));
    go();
    await renamed;
    assert.equal(await client.exists('cfg'), false);
    assert.equal((await client.readFile('cfg.2')).toString(), 'new');
    await drained();
    assert.deepEqual(store.names(CONTAINER), ['cfg.2']);
    assert.equal(store.peek(CONTAINER, 'cfg.2')?.toString(), 'new');
  });

  it('who has the target of a failed rename open still writes to it', async () => {
    const client = await start();
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile('b', Buffer.from('b'));
    const target = await client.open('b', 'r+');
    store.failNext('copy', 'too-large');
    await assert.rejects(client.rename('a', 'b'));
    await target.write(Buffer.from('written after'), 0);
    await target.close();
    await drained();
    assert.equal(store.peek(CONTAINER, 'b')?.toString(), 'written after');
    assert.equal((await client.readFile('a')).toString(), 'a');
  });

  it('a rename that was given up does not bring back what was deleted since', async () => {
    const client = await start({ lookupWaitMs: 100 });
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile('b', Buffer.from('b'));
    const copy = hold(({ method }) => method === 'copy');
    // Else the rename would go on by the spool.
    cache.forget(`md5-${createHash('md5').update('a').digest('hex')}`);
    await assert.rejects(client.rename('a', 'b'), /Swift cannot be reached/);
    await client.unlink('b');
    copy.go();
    await eventually('Swift is back', () => filestore.databases[0]?.state === 'serving');
    await drained();
    assert.deepEqual(store.names(CONTAINER), ['a']);
    assert.equal(await client.exists('b'), false);
  });

  it('a rename whose answer is lost, or that Swift does not take, is done all the same', async () => {
    const client = await start();
    for (const fault of ['lost', 'away'] as const) {
      await client.writeFile('a', Buffer.from(`a ${fault}`));
      await client.writeFile('b', Buffer.from('b'));
      await drained();
      if (fault === 'lost') store.loseNext('copy');
      else store.failNext('copy', 'unavailable');
      await client.rename('a', 'b');
      assert.equal(await client.exists('a'), false);
      assert.equal((await client.readFile('b')).toString(), `a ${fault}`);
      await drained();
      await eventually('Swift has the one name', () => store.names(CONTAINER)?.join() === 'b');
      assert.equal(store.peek(CONTAINER, 'b')?.toString(), `a ${fault}`);
    }
  });

  it('with several nodes a rename that fails leaves its target as it was, also when Swift has carried out what it did not answer', async () => {
    const client = await start({ nodes: 'many' });
    for (const fault of ['none', 'lost', 'away'] as const) {
      await client.writeFile('a', Buffer.from(`a ${fault}`));
      await client.writeFile('b', Buffer.from(`b ${fault}`));
      await drained();
      if (fault === 'lost') store.loseNext('copy');
      store.down = fault === 'away';
      const isDone = await client.rename('a', 'b').then(
        () => true,
        () => false,
      );
      store.down = false;
      await eventually('Swift is there', () => filestore.databases[0]?.state === 'serving');
      await drained();
      const wanted = isDone ? `a ${fault}` : `b ${fault}`;
      assert.equal((await client.readFile('b')).toString(), wanted);
      await eventually('Swift has the same', () => store.peek(CONTAINER, 'b')?.toString() === wanted);
      assert.equal(await client.exists('a'), !isDone);
      assert.equal(isDone, fault !== 'away');
      if (!isDone) await client.unlink('a');
      await client.unlink('b');
    }
  });

  it('a rename that went on by the spool is not undone by its COPY, which comes late, nor is what was deleted since', async () => {
    const client = await start({ lookupWaitMs: 100 });
    for (const name of ['a', 'b', 'c', 'd']) await client.writeFile(name, Buffer.from(name));
    await drained();
    const copy = hold(({ method }) => method === 'copy');
    await client.rename('a', 'b');
    await client.rename('c', 'd');
    await client.unlink('b');
    copy.go();
    await eventually('Swift is back', () => filestore.databases[0]?.state === 'serving');
    await drained();
    await eventually('Swift has the one name', () => store.names(CONTAINER)?.join() === 'd');
    assert.equal(await client.exists('b'), false);
    assert.equal((await client.readFile('d')).toString(), 'c');
    assert.equal(store.peek(CONTAINER, 'd')?.toString(), 'c');
  });

  it('who reads a file and closes it publishes nothing of what another one has half written', async () => {
    const client = await start();
    await client.writeFile('a', Buffer.from('whole'));
    const writer = await client.open('a', 'r+');
    const reader = await client.open('a', 'r');
    await writer.write(Buffer.from('HA'), 0);
    assert.equal(Buffer.from(await reader.read(0, 5)).toString(), 'HAole');
    await reader.close();
    await drained();
    assert.equal(store.peek(CONTAINER, 'a')?.toString(), 'whole');
    await writer.write(Buffer.from('LF!'), 2);
    const last = await client.open('a', 'r');
    await writer.close();
    await drained();
    assert.equal(store.peek(CONTAINER, 'a')?.toString(), 'HALF!');
    await last.close();
  });

  it('a blob that is owed to Swift and deleted is read on by who has it open', async () => {
    const client = await start();
    const blob = makeBlob(61, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    store.down = true;
    await client.writeFile(blob.name, blob.content);
    const file = await client.open(blob.name, 'r');
    const sealed = (): string[] => openFiles().filter((name) => name.startsWith(directory) && name.includes('/sealed/'));
    assert.equal(sealed().length, 1);
    await client.unlink(blob.name);
    await eventually('the sealed file is gone', () => sealed().every((name) => name.endsWith(' (deleted)')));
    assert.deepEqual(Buffer.from(await file.read(0, blob.content.length)), blob.content);
    await file.close();
    store.down = false;
  });

  it('who has a deleted blob open reads nothing of what somebody wrote into its sealed file before', async () => {
    const client = await start();
    const blob = makeBlob(62, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    store.down = true;
    await client.writeFile(blob.name, blob.content);
    const sealed = (): string[] => openFiles().filter((name) => name.startsWith(directory) && name.includes('/sealed/'));
    await eventually('it is on the disk', () => readdirSync(path.join(directory, 'spool/v1/db/sealed')).length === 1);
    const [name = assert.fail('no sealed file')] = readdirSync(path.join(directory, 'spool/v1/db/sealed'));
    const lying = path.join(directory, 'spool/v1/db/sealed', name);
    // A whole second, which can be put back exactly.
    utimesSync(lying, 1_700_000_000, 1_700_000_000);
    const file = await client.open(blob.name, 'r');
    assert.deepEqual(Buffer.from(await file.read(0, 1000)), blob.content.subarray(0, 1000));
    const own = openSync(lying, 'r+');
    writeSync(own, Buffer.alloc(300_000, 'x'), 0, 300_000, 0);
    futimesSync(own, 1_700_000_000, 1_700_000_000);
    closeSync(own);
    await client.unlink(blob.name);
    await eventually('the sealed file is gone', () => sealed().length > 0 && sealed().every((open) => open.endsWith(' (deleted)')));
    store.down = false;
    await assert.rejects(file.read(0, 1000));
    await file.close();
  });

  it('a blob that is written once more and then deleted is read on by who has it open', async () => {
    const client = await start();
    const blob = makeBlob(62, 300_000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    const file = await client.open(blob.name, 'r');
    await client.writeFile(blob.name, blob.content);
    await client.unlink(blob.name);
    await drained();
    assert.deepEqual(Buffer.from(await file.read(0, blob.content.length)), blob.content);
    await file.close();
  });

  it('a file that was deleted does not rise again when a directory that took its name goes', async () => {
    const client = await start({ writeMode: 'back' });
    await client.writeFile('d', Buffer.from('file'));
    await drained();
    store.down = true;
    await client.unlink('d');
    await client.mkdir('d');
    assert.deepEqual(await client.readdir(''), ['d']);
    assert.equal((await client.stat('d')).kind, 'directory');
    store.down = false;
    await eventually('Swift is told', () => store.peek(CONTAINER, 'd') === undefined);
    assert.deepEqual(await client.readdir(''), ['d']);
    await client.rmdir('d');
    assert.equal(await client.exists('d'), false);
    assert.deepEqual(await client.readdir(''), []);
  });

  it('what Swift has is not renamed to a name that Swift never has', async () => {
    const client = await start();
    const blob = makeBlob(1, 2000);
    await client.mkdir('upload');
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile('a', Buffer.from('a'));
    await client.writeFile(blob.name, blob.content);
    await assert.rejects(client.rename('a', 'upload/a'), { kind: 'cross-device' });
    await assert.rejects(client.rename(blob.name, `${blob.name}.__new`), { kind: 'cross-device' });
    await assert.rejects(client.rename('a', `${blob.name}.__gc`), { kind: 'not-permitted' });
    assert.equal((await client.readFile('a')).toString(), 'a');
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });

  it('an alias left over from a blob that another node deleted does not hide the blob that it writes anew', async () => {
    const client = await start({ nodes: 'many' });
    const blob = makeBlob(1, 2000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    store.uproot(CONTAINER, blob.name);
    await assert.rejects(client.rename(`${blob.name}.__gc`, blob.name), { kind: 'not-found' });
    store.plant(CONTAINER, blob.name, blob.content);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });

  it('what another node stores while the trash copy of a delete that waited is made stays', async () => {
    const client = await start({ nodes: 'many', gcGraceMs: 50, deleteRetentionMs: 86_400_000 });
    const blob = makeBlob(60, 1000);
    await client.mkdir(blob.sha1.slice(0, 2));
    await client.writeFile(blob.name, blob.content);
    await client.rename(blob.name, `${blob.name}.__gc`);
    const { held, go } = hold(({ method }) => method === 'copy');
    await client.unlink(`${blob.name}.__gc`);
    await held;
    await store.put(CONTAINER, blob.name, { sizeBytes: 1000, md5: blob.md5, read: (from, to) => blob.content.subarray(from, to) });
    go();
    await drained();
    assert.deepEqual(store.names(CONTAINER), [blob.name]);
    assert.deepEqual(await client.readFile(blob.name), blob.content);
  });

  it('a listing asks for what it did not show, so that what another node deleted ends in listings too', async () => {
    const client = await start({ nodes: 'many' });
    const blob = makeBlob(1, 2000);
    const shard = blob.sha1.slice(0, 2);
    await client.mkdir(shard);
    await client.mkdir('docs');
    await client.writeFile(blob.name, blob.content);
    await client.writeFile('docs/one', Buffer.from('one'));
    assert.deepEqual(await client.readdir(shard), [blob.sha1]);
    assert.deepEqual(await client.readdir('docs'), ['one']);
    store.uproot(CONTAINER, blob.name);
    store.uproot(CONTAINER, 'docs/one');
    assert.deepEqual(await client.readdir(shard), []);
    assert.deepEqual(await client.readdir('docs'), []);
  });

  it('a blob whose HEAD is not answered while others are is there when a listing shows it', async () => {
    const client = await start({ nodes: 'many', lookupWaitMs: 300 });
    const [there, absent] = [makeBlob(1, 2000), makeBlob(2, 2000)];
    await eventually('the first listing', () => (store.counts.list ?? 0) > 0);
    for (const { sha1 } of [there, absent]) await client.mkdir(sha1.slice(0, 2));
    store.plant(CONTAINER, there.name, there.content);
    const slow = new Promise<void>((resolve) => setTimeout(resolve, 5_000));
    store.before = ({ method, name }) => (method === 'head' && name.endsWith(there.sha1) ? slow : undefined);
    let asking = true;
    const others = (async () => {
      while (asking) {
        await client.exists(absent.name);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })();
    assert.equal((await client.stat(there.name)).sizeBytes, there.content.length);
    asking = false;
    await others;
    assert.equal(filestore.databases[0]?.state, 'serving', 'it was no outage');
    await slow;
  });
});
