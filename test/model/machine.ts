/** A machine of the model tests: the product over a store in memory and a mount in memory; its spool and cache stay over a restart. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { kindOf } from '../../src/base/errors.js';
import { createLog } from '../../src/base/log.js';
import { openCache } from '../../src/cache/blob-cache.js';
import type { BlobCache } from '../../src/cache/cache.js';
import type { FilestoreSettings, RunningFilestore } from '../../src/filestore/filestore-options.js';
import { openFilestore } from '../../src/filestore/open-filestore.js';
import { createMemoryDriver, type MemoryMount } from '../helpers/memory-driver.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { createVfs } from '../../src/vfs/vfs.js';
import { filestoreSettings } from '../helpers/filestore-settings.js';
import { eventually } from '../helpers/processes.js';

interface Running {
  readonly filestore: RunningFilestore;
  readonly cache: BlobCache;
  readonly mount: MemoryMount;
}

export class Machine {
  readonly #store: ObjectStore;
  readonly #directory: string;
  readonly #settings: Partial<FilestoreSettings>;
  #running: Running | undefined;

  constructor(store: ObjectStore, directory: string, settings: Partial<FilestoreSettings>) {
    this.#store = store;
    this.#directory = directory;
    this.#settings = settings;
  }

  async start(): Promise<void> {
    // Warnings are part of an outage here; an error is not part of anything.
    const log = createLog('error', (line) => assert.fail(line));
    const cache = await openCache({ directory: path.join(this.#directory, 'cache'), budgetBytes: 1 << 30, floorBytes: 0, log });
    const settings = filestoreSettings(path.join(this.#directory, 'spool'), this.#settings);
    const filestore = await openFilestore(settings, { store: this.#store, cache, origin: undefined, log });
    const vfs = createVfs(filestore, { uid: 0, gid: 0, log });
    const mount = await createMemoryDriver().mount(vfs);
    vfs.attach(mount);
    this.#running = { filestore, cache, mount };
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    const { filestore, cache, mount } = this.#running;
    this.#running = undefined;
    await mount.unmount('clean');
    await filestore.close();
    await cache.close();
  }

  get client(): MemoryMount['client'] {
    assert.ok(this.#running !== undefined);
    return this.#running.mount.client;
  }

  get pendingWrites(): number {
    return (this.#running?.filestore.databases ?? []).reduce((sum, { pendingWrites }) => sum + pendingWrites, 0);
  }

  /** Waits until Swift is known to be back, and for what is pending then. */
  async drained(): Promise<void> {
    // A sealed file whose record a power cut took along (nobody was told of it) wants a look, and is no outage.
    const isUp = (state: string, reason = ''): boolean => state === 'serving' || /sealed files lost their record/.test(reason);
    const serves = (): boolean => this.#running?.filestore.databases.every(({ state, reason }) => isUp(state, reason)) === true;
    await eventually('Swift is back', serves, 20_000);
    assert.equal(await this.#running?.filestore.drain(20_000), true, 'what is pending is published');
  }
}

/** @returns 'done', or the kind of what was thrown */
export async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return kindOf(error);
  }
}

/** Runs and seed of a property: few and always the same ones by default, as many as asked for on demand. */
export function runsOf(defaults: { readonly runs: number; readonly seed: number }): { numRuns: number; seed: number } {
  return {
    numRuns: Number(process.env['OSF_RUNS'] ?? defaults.runs),
    seed: Number(process.env['OSF_SEED'] ?? defaults.seed),
  };
}
