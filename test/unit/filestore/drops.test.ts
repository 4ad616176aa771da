/** A drop by another node, held against a store in memory: two nodes with `nodes: many` and a bound of nothing, so that each lookup asks. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import { FilestoreError } from '../../../src/base/errors.js';
import { createLog } from '../../../src/base/log.js';
import { openCache } from '../../../src/cache/blob-cache.js';
import type { BlobCache } from '../../../src/cache/cache.js';
import type { FilestoreSettings, RunningFilestore } from '../../../src/filestore/filestore-options.js';
import { openFilestore } from '../../../src/filestore/open-filestore.js';
import { createMemoryDriver, type MemoryMount } from '../../helpers/memory-driver.js';
import { openOrigin } from '../../../src/origins/directory-origin.js';
import type { Origin } from '../../../src/origins/origin.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { makeBlob, type Blob } from '../../helpers/blobs.js';
import { filestoreSettings } from '../../helpers/filestore-settings.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const CONTAINER = 'odoo-db';
/** How it is told that a container is not where it was. */
const LOSS = /^(ERROR container\.lost|WARN publisher\.bind-refused) /;

class Node {
  readonly lines: string[] = [];
  /** Warnings and errors that are to be told. */
  announced: RegExp | undefined;
  readonly #store: MemoryStore;
  readonly #directory: string;
  readonly #origin: string | undefined;
  readonly #changed: Partial<FilestoreSettings>;
  #filestore!: RunningFilestore;
  #cache!: BlobCache;
  #mount!: MemoryMount;

  constructor(store: MemoryStore, directory: string, changed: Partial<FilestoreSettings> = {}, origin?: string) {
    this.#store = store;
    this.#directory = directory;
    this.#changed = changed;
    this.#origin = origin;
  }

  get client(): MemoryMount['client'] {
    return this.#mount.client;
  }

  async start(): Promise<this> {
    const log = createLog('debug', (line) => {
      this.lines.push(line);
      if (/^(WARN|ERROR)/.test(line) && this.announced?.test(line) !== true) assert.fail(line);
    });
    const settings = { database: undefined, nodes: 'many' as const, lookupWaitMs: 30_000, ...this.#changed };
    const origin: Origin | undefined = this.#origin === undefined ? undefined : openOrigin(this.#origin, { answerMs: 1000, silentMs: 100 });
    this.#cache = await openCache({ directory: path.join(this.#directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
    const parts = { store: this.#store, cache: this.#cache, origin, log };
    try {
      this.#filestore = await openFilestore(filestoreSettings(path.join(this.#directory, 'spool'), settings), parts);
    } catch (error) {
      await this.#cache.close();
      throw error;
    }
    const vfs = createVfs(this.#filestore, { uid: 0, gid: 0, log });
    this.#mount = await createMemoryDriver().mount(vfs);
    vfs.attach(this.#mount);
    return this;
  }

  async stop(): Promise<void> {
    await this.#mount.unmount('detach');
    await this.#filestore.close();
    await this.#cache.close();
  }

  async write(blob: Blob, database = 'db'): Promise<void> {
    const shard = path.join(database, blob.name.slice(0, 2));
    if (!(await this.has(shard))) await this.client.mkdir(shard);
    await this.client.writeFile(path.join(database, blob.name), blob.content);
  }

  async has(name: string): Promise<boolean> {
    return this.client.stat(name).then(
      () => true,
      (error: unknown) => {
        assert.match(String(error), /no such file/i);
        return false;
      },
    );
  }

  /** Until a second look agrees that the container is gone, nothing is said of the files in it. */
  async loses(name: string): Promise<void> {
    await eventually(`${name} has ended`, async () => !(await this.has(name).catch(() => true)), 20_000);
  }

  /** As `shutil.rmtree` goes. */
  async drop(name = 'db'): Promise<void> {
    for (const entry of await this.client.readdir(name)) {
      const below = path.join(name, entry);
      if ((await this.client.stat(below)).kind === 'directory') await this.drop(below);
      else await this.client.unlink(below);
    }
    await this.client.rmdir(name);
  }
}

describe('a database that another node drops', () => {
  let store: MemoryStore;
  let directory: string;
  let awake: NodeJS.Timeout;
  const running: Node[] = [];
  const node = async (name: string, changed: Partial<FilestoreSettings> = {}, origin?: string): Promise<Node> => {
    const started = await new Node(store, path.join(directory, name), changed, origin).start();
    running.push(started);
    return started;
  };
  const gone = async (): Promise<void> => {
    await eventually('the container is removed', () => store.names(CONTAINER) === undefined);
  };
  beforeEach(() => {
    awake = setInterval(() => undefined, 1000);
    store = new MemoryStore();
    directory = tempDir('drops');
  });
  afterEach(async () => {
    store.before = undefined;
    for (const one of running.splice(0)) await one.stop();
    clearInterval(awake);
    removeDir(directory);
  });

  it('ends with its directories, names and markers, and rises empty when it is made anew, on every node', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const [first, second, third] = [makeBlob(1, 100), makeBlob(2, 100), makeBlob(3, 100)];
    await a.client.mkdir('db');
    await a.write(first);
    assert.equal(await b.has(`db/${first.name}`), true);
    await b.write(second);
    await b.client.mkdir('db/checklist');
    await b.client.mkdir('db/empty');
    await a.drop();
    await gone();
    await b.loses('db');
    assert.deepEqual(await b.client.readdir(''), []);
    await assert.rejects(b.client.readdir('db'), /no such file/i);
    assert.equal(store.names(CONTAINER), undefined, 'nobody makes its container again');

    await b.client.mkdir('db');
    assert.deepEqual(await b.client.readdir('db'), []);
    await b.write(third);
    assert.equal(await a.has(`db/${third.name}`), true, 'found again by name where it was dropped');
    assert.deepEqual((await a.client.readdir('db')).sort(), [third.name.slice(0, 2)]);
    assert.equal(await a.has(`db/${first.name}`), false);
    await b.stop();
    await b.start();
    assert.deepEqual(await b.client.readdir('db'), [third.name.slice(0, 2)]);
  });

  it('is lost, and not dropped, for a node that was not there and finds no container; nothing it knows is forgotten', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const blob = makeBlob(4, 100);
    await a.client.mkdir('db');
    await a.write(blob);
    await b.client.mkdir('db/checklist');
    assert.equal(await b.has(`db/${blob.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    const bringBack = store.takeAway(CONTAINER);
    b.announced = LOSS;
    await b.start();
    await eventually('B says so', () => b.lines.some((line) => line.startsWith('ERROR container.lost')), 20_000);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal(await b.has('db'), true);
    assert.equal(await b.has('db/checklist'), true);
    assert.equal(
      b.lines.some((line) => line.includes('database.dropped-elsewhere')),
      false,
    );
    assert.equal(store.names(CONTAINER), undefined, 'none is made in its place');
    bringBack();
    await b.stop();
    await b.start();
    assert.equal(await b.has(`db/${blob.name}`), true);
  });

  it('is gone to who asks for it for the first time long after the drop, so that it can be made', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const [first, second] = [makeBlob(23, 100), makeBlob(24, 100)];
    await a.client.mkdir('db');
    await a.write(first);
    assert.equal(await b.has(`db/${first.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await a.drop();
    await gone();
    // As Odoo asks before it copies a filestore there.
    assert.equal(await b.has('db'), false);
    await b.client.mkdir('db');
    await b.write(second);
    assert.deepEqual(await a.client.readFile(`db/${second.name}`), second.content);
  });

  it('lives on when the container was missing for one look only', async () => {
    const original = path.join(directory, 'original');
    const [blob, below] = [makeBlob(20, 100), makeBlob(21, 100)];
    fs.mkdirSync(path.join(original, 'db', below.name.slice(0, 2)), { recursive: true });
    fs.writeFileSync(path.join(original, 'db', below.name), below.content);
    const b = await node('b', {}, original);
    await b.write(blob);
    await eventually('B has stored it', () => store.peek(CONTAINER, blob.name) !== undefined);
    const bringBack = store.takeAway(CONTAINER);
    setTimeout(bringBack, 500);
    assert.equal(await b.has('db'), true);
    assert.equal(await b.has(`db/${blob.name}`), true);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const again = store.takeAway(CONTAINER);
    setTimeout(again, 500);
    assert.equal(await b.has('db'), true, 'the first look of a row again');
    assert.equal(await b.has(`db/${blob.name}`), true);
    assert.equal(await b.has(`db/${below.name}`), true);
    // Both looks find nothing, but nobody has marked a drop: the origin is back with the next start.
    const last = store.takeAway(CONTAINER);
    await b.loses('db');
    assert.deepEqual(await b.client.readdir(''), []);
    last();
    assert.equal(await b.has(`db/${blob.name}`), true, 'found again');
    await b.stop();
    await b.start();
    assert.equal(await b.has(`db/${below.name}`), true);
  });

  it('ends at once, and for good, for a node that was not there and sees the mark of the drop', async () => {
    const [a, b] = [await node('a'), await node('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(22, 100));
    assert.equal(await b.has('db'), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await b.stop();
    await store.updateContainer(CONTAINER, { 'osf-dropped': String(Date.now()) });
    store.clearRequests();
    await b.start();
    await eventually('B has looked', () => b.lines.some((line) => line.includes('database.dropped-elsewhere')), 20_000);
    assert.equal(await b.has('db'), false);
    assert.equal(store.counts.createContainer, undefined);
  });

  it('is not asked for anew by each call while the question for its container fails', async () => {
    const a = await node('a');
    const blob = makeBlob(23, 100);
    await a.client.mkdir('db');
    await a.write(blob);
    await eventually('A has stored it', () => store.peek(CONTAINER, blob.name) !== undefined);
    let asked = 0;
    store.before = ({ method }) => {
      if (method !== 'headContainer') return;
      asked++;
      throw new FilestoreError('forbidden', 'not now');
    };
    const startedMs = performance.now();
    for (let i = 0; i < 20; i++) assert.equal(await a.has('db'), true);
    const elapsedMs = performance.now() - startedMs;
    assert.ok(asked >= 1 && asked <= 2 + elapsedMs / 1_000, `${asked} questions in ${elapsedMs} ms`);
  });

  it('is not waited for long when Swift answers others and does not say whether it has been made anew', async () => {
    const a = await node('a', { lookupWaitMs: 50 });
    await a.client.mkdir('db');
    store.before = ({ method, container }) =>
      method === 'headContainer' && container === 'odoo-late' ? new Promise((resolve) => setTimeout(resolve, 5_000)) : undefined;
    let others = 100;
    const busy = setInterval(() => void a.has(`db/${makeBlob(others++, 10).name}`), 20);
    const startedMs = performance.now();
    assert.equal(await a.has('late'), false);
    const elapsedMs = performance.now() - startedMs;
    clearInterval(busy);
    assert.ok(elapsedMs < 2_500, `${elapsedMs} ms`);
  });

  it('lives on with a write that is under way on another node', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const [old, written] = [makeBlob(5, 100), makeBlob(6, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has(`db/${old.name}`), true);
    await b.client.mkdir(`db/${written.name.slice(0, 2)}`);
    const file = await b.client.open(`db/${written.name}`, 'w');
    await a.drop();
    await gone();
    assert.equal(await b.has('db'), true, 'somebody writes here');
    await file.write(written.content, 0);
    await file.close();
    assert.deepEqual(store.names(CONTAINER), [written.name]);
    assert.equal(await a.has(`db/${written.name}`), true);
  });

  it('is not removed once more when the answer to its removal was lost and somebody has made it anew', async () => {
    const [a, b] = [await node('a'), await node('b')];
    await a.client.mkdir('db');
    await a.write(makeBlob(7, 100));
    assert.equal(await b.has('db'), true);
    store.loseNext('deleteContainer');
    await a.drop();
    await gone();
    await b.loses('db');
    await b.client.mkdir('db');
    await eventually('B makes its container', () => store.names(CONTAINER) !== undefined);
    await eventually('A has looked again', () => a.lines.some((line) => line.includes('container.left')), 20_000);
    assert.equal(store.counts.deleteContainer, 1);
    assert.equal(await a.has('db'), true);
  });

  it('is not taken for one that another node has dropped where it is made anew before its own mark has come to Swift', async () => {
    const a = await node('a');
    const [old, later] = [makeBlob(8, 100), makeBlob(10, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    let isHeld = true;
    store.before = async ({ method }) => {
      if (method === 'updateContainer') await eventually('the test goes on', () => !isHeld);
    };
    await a.drop();
    await a.client.mkdir('db');
    await a.write(later);
    isHeld = false;
    await eventually(
      'the mark is there and taken away',
      async () => {
        assert.equal(await a.has(`db/${later.name}`), true);
        return a.lines.filter((line) => line.includes('container.bound')).length > 0;
      },
      20_000,
    );
    assert.equal((await store.headContainer(CONTAINER))?.metadata['osf-dropped'], undefined);
    assert.deepEqual(store.names(CONTAINER), [later.name]);
    assert.equal(await a.has(`db/${later.name}`), true);
  });

  it('is left with what another node has stored after the drop', async () => {
    const [a, b] = [await node('a'), await node('b')];
    const [old, later] = [makeBlob(8, 100), makeBlob(10, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    assert.equal(await b.has('db'), true);
    let isHeld = true;
    store.before = async ({ method }) => {
      if (method === 'deleteContainer') await eventually('the test goes on', () => !isHeld);
    };
    await a.drop();
    await eventually('the drop is marked', async () => (await store.headContainer(CONTAINER))?.metadata['osf-dropped'] !== undefined);
    assert.equal(await a.has('db'), false);
    store.plant(CONTAINER, later.name, later.content);
    isHeld = false;
    await eventually(
      'A leaves it',
      () => a.lines.some((line) => line.includes('container.left') || line.includes('container.removed')),
      20_000,
    );
    assert.deepEqual(store.names(CONTAINER), [later.name]);
    assert.equal(await a.has(`db/${later.name}`), true);
    assert.equal(await b.has(`db/${later.name}`), true);
    assert.equal(await a.has(`db/${old.name}`), false);
  });

  it('takes nothing of what another node has stored since the last complete listing, when nobody can look before it', async () => {
    const a = await node('a', { lookupWaitMs: 20, deleteBoundMs: 60_000 });
    a.announced = /^WARN /;
    const [old, unseen] = [makeBlob(16, 100), makeBlob(17, 100)];
    await a.client.mkdir('db');
    await a.write(old);
    await eventually('A has listed it', () => store.counts.list !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    store.plant(CONTAINER, unseen.name, unseen.content);
    store.before = ({ method }) => {
      if (method === 'list') throw new FilestoreError('busy', 'listings are refused');
    };
    await a.drop();
    store.before = undefined;
    await eventually(
      'A leaves it',
      () => a.lines.some((line) => line.includes('container.left') || line.includes('container.removed')),
      20_000,
    );
    assert.deepEqual(store.names(CONTAINER), [unseen.name]);
    assert.equal(await a.has(`db/${unseen.name}`), true);
  });

  it('takes along what no listing has shown, with one node also when the clock of Swift is ahead', async () => {
    store = new MemoryStore({ clock: { ...SYSTEM_CLOCK, nowMs: () => Date.now() + 3_600_000 } });
    const a = await node('a', { nodes: 'one' });
    await a.client.mkdir('db');
    await a.write(makeBlob(14, 100));
    await eventually('A has listed it', () => store.counts.list !== undefined);
    store.plant(CONTAINER, makeBlob(15, 100).name, Buffer.from('late'));
    store.plant(CONTAINER, 'ab/', Buffer.alloc(0));
    await a.drop();
    await gone();
  });

  it('is dropped no further after the daemon has closed, and on by its next life', async () => {
    const a = await node('a');
    await a.client.mkdir('db');
    await a.write(makeBlob(24, 100));
    await eventually('A has stored it', () => store.names(CONTAINER)?.length === 1);
    let [isHeld, isAsked] = [true, false];
    store.before = async ({ method }) => {
      if (method !== 'updateContainer' || !isHeld) return;
      isAsked = true;
      await eventually('the test goes on', () => !isHeld, 60_000);
    };
    await a.drop();
    await eventually('the drop is to be marked', () => isAsked);
    const stopped = a.stop();
    await new Promise((resolve) => setTimeout(resolve, 50));
    store.before = undefined;
    isHeld = false;
    await stopped;
    store.clearRequests();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(store.requests.filter(({ method }) => method === 'deleteContainer').length, 0);
    await a.start();
    await gone();
  });

  it('does not rise from the original directory of another node', async () => {
    const original = path.join(directory, 'original');
    const blob = makeBlob(11, 100);
    fs.mkdirSync(path.join(original, 'db', blob.name.slice(0, 2)), { recursive: true });
    fs.writeFileSync(path.join(original, 'db', blob.name), blob.content);
    const a = await node('a');
    await a.client.mkdir('db');
    const b = await node('b', {}, original);
    await eventually('the container is there', () => store.names(CONTAINER) !== undefined);
    assert.equal(await b.has(`db/${blob.name}`), true);
    await eventually('B has the container', () => b.lines.some((line) => line.includes('container.bound')));
    await a.drop();
    await gone();
    await b.loses('db');
    await b.client.mkdir('db');
    assert.deepEqual(await b.client.readdir('db'), []);
    assert.equal(await b.has(`db/${blob.name}`), false);
  });

  it('empties the mount of that one database, whose container waits for a write or for another node', async () => {
    const [a, b] = [await node('a'), await node('b', { database: 'db' })];
    const [old, fresh] = [makeBlob(12, 100), makeBlob(13, 100)];
    await b.client.mkdir(old.name.slice(0, 2));
    await b.client.writeFile(old.name, old.content);
    await a.drop();
    await gone();
    await b.loses(old.name);
    await eventually('B knows', async () => (await b.client.readdir('')).length === 0);
    await a.client.mkdir('db');
    await a.write(fresh);
    assert.equal(await b.has(fresh.name), true);
  });
});

describe('databases beside which something else would lie', () => {
  it('are refused when they are made, and the segments of another are not one', async () => {
    const directory = tempDir('beside');
    const awake = setInterval(() => undefined, 1000);
    const store = new MemoryStore();
    store.plant('odoo-db_segments', 'x', Buffer.from('segment'));
    const one = await new Node(store, directory, { nodes: 'one' }).start();
    one.announced = /^WARN database\.refused database=\w+ reason=".* choose a name that does not end in _segments or _trash"/;
    for (const name of ['a_segments', 'A_Segments', 'b_trash', 'db_segments', 'b_trash']) {
      await assert.rejects(one.client.mkdir(name), /_segments or _trash/, name);
      assert.equal(await one.has(name), false);
    }
    assert.equal(one.lines.filter((line) => /^WARN/.test(line)).length, 4, 'told once for each name');
    await one.client.mkdir('segments');
    assert.deepEqual(await one.client.readdir(''), ['segments']);
    await one.stop();
    const single = new Node(store, path.join(directory, 'single'), { database: 'a_segments' });
    await assert.rejects(single.start(), /_segments or _trash/);
    clearInterval(awake);
    removeDir(directory);
  });
});

describe('the end of a mount of many databases', () => {
  const made = async (store: MemoryStore, directory: string): Promise<Node> => {
    const node = await new Node(store, directory, { nodes: 'one' }).start();
    for (let n = 0; n < 20; n++) await node.client.mkdir(`db${n}`);
    await eventually('all have containers', () => (store.counts.createContainer ?? 0) >= 20);
    store.clearRequests();
    return node;
  };

  it('takes every registration back, a few at once, so that none waits its time away behind the others', async () => {
    const directory = tempDir('many-leave');
    const store = new MemoryStore();
    const node = await made(store, directory);
    let [running, most] = [0, 0];
    store.before = async ({ method }) => {
      if (method !== 'updateContainer') return;
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
    };
    await node.stop();
    assert.equal(store.counts.updateContainer, 20);
    assert.ok(most <= 4, `${most} at once`);
    store.before = undefined;
    for (let n = 0; n < 20; n++) {
      const info = await store.headContainer(`odoo-db${n}`);
      assert.deepEqual(Object.keys(info?.metadata ?? {}), ['osf-database']);
    }
    removeDir(directory);
  });

  it('asks no more once Swift has not answered', async () => {
    const directory = tempDir('many-leave-away');
    const store = new MemoryStore();
    const node = await made(store, directory);
    store.failNext('updateContainer', 'unavailable', 100);
    await node.stop();
    assert.ok((store.counts.updateContainer ?? 0) <= 4, String(store.counts.updateContainer));
    removeDir(directory);
  });
});
