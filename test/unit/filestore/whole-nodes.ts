/** Nodes that mount the whole filestore over one store in memory, with `nodes: many` and a bound of nothing, so that each lookup asks. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { createLog } from '../../../src/base/log.js';
import type { FilestoreSettings } from '../../../src/filestore/filestore-options.js';
import { openOrigin } from '../../../src/origins/directory-origin.js';
import type { Blob } from '../../helpers/blobs.js';
import { mountInMemory, type FilestoreInMemory } from '../../helpers/filestore-in-memory.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { eventually } from '../../helpers/processes.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

/** That of the database `db`. */
export const CONTAINER = 'odoo-db';

/** One of them: stopped and started again it has its directories of before. */
export class WholeNode {
  readonly lines: string[] = [];
  /** Warnings and errors that are to be told. */
  announced: RegExp | undefined;
  readonly #store: MemoryStore;
  readonly #directory: string;
  readonly #origin: string | undefined;
  readonly #changed: Partial<FilestoreSettings>;
  #life: FilestoreInMemory | undefined;

  /** @param origin the original directory */
  constructor(store: MemoryStore, directory: string, changed: Partial<FilestoreSettings> = {}, origin?: string) {
    this.#store = store;
    this.#directory = directory;
    this.#changed = changed;
    this.#origin = origin;
  }

  get client(): FilestoreInMemory['client'] {
    return this.#life?.client ?? assert.fail('the node is not running');
  }

  /** @param changed in this life */
  async start(changed: Partial<FilestoreSettings> = {}): Promise<this> {
    const log = createLog('debug', (line) => {
      this.lines.push(line);
      if (/^(WARN|ERROR)/.test(line) && this.announced?.test(line) !== true) assert.fail(line);
    });
    this.#life = await mountInMemory(this.#store, log, {
      cacheDirectory: path.join(this.#directory, 'cache'),
      spoolDirectory: path.join(this.#directory, 'spool'),
      origin: this.#origin === undefined ? undefined : openOrigin(this.#origin, { answerMs: 1000, silentMs: 100 }),
      database: undefined,
      nodes: 'many',
      lookupWaitMs: 30_000,
      ...this.#changed,
      ...changed,
    });
    return this;
  }

  async stop(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    await life?.close();
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

  /** Meanwhile it may be that nothing is said of the files in it. */
  async loses(name: string): Promise<void> {
    await eventually(`${name} has ended`, async () => !(await this.has(name).catch(() => true)), 20_000);
  }

  /** Until it has logged this event. */
  async tells(event: string): Promise<void> {
    await eventually(`${event} is told`, () => this.lines.some((line) => line.includes(event)));
  }

  /** Drops the database, whose container is then kept for another node. */
  async dropAndWait(): Promise<void> {
    await this.drop();
    await this.tells('container.kept');
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

/** Those of one test. */
export class Nodes {
  /** Another one may be put here before the first node starts. */
  store = new MemoryStore();
  readonly directory = tempDir('nodes');
  readonly #started: WholeNode[] = [];

  async start(name: string, changed: Partial<FilestoreSettings> = {}, origin?: string): Promise<WholeNode> {
    const node = await new WholeNode(this.store, path.join(this.directory, name), changed, origin).start();
    this.#started.push(node);
    return node;
  }

  /** Two of them: A has made the database with this in it, B knows that and has the container. @param changed of B */
  async two(blob: Blob, changed: Partial<FilestoreSettings> = {}): Promise<[WholeNode, WholeNode]> {
    const [a, b] = [await this.start('a'), await this.start('b', changed)];
    await a.client.mkdir('db');
    await a.write(blob);
    assert.equal(await b.has(`db/${blob.name}`), true);
    await b.tells('container.bound');
    return [a, b];
  }

  /** Whether the database's container says that it was dropped. */
  async isMarked(): Promise<boolean> {
    return (await this.store.headContainer(CONTAINER))?.metadata['osf-dropped'] !== undefined;
  }

  async containerGone(): Promise<void> {
    await eventually('the container is removed', () => this.store.names(CONTAINER) === undefined);
  }

  async end(): Promise<void> {
    this.store.before = undefined;
    for (const node of this.#started) await node.stop();
    removeDir(this.directory);
  }
}
