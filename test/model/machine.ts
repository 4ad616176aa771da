/** A machine of the model tests: the product over a store in memory and a mount in memory; its spool and cache stay over a restart. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { kindOf } from '../../src/base/errors.js';
import { createLog } from '../../src/base/log.js';
import type { FilestoreSettings } from '../../src/filestore/filestore-options.js';
import type { ObjectStore } from '../../src/store/object-store.js';
import { mountInMemory, type FilestoreInMemory } from '../helpers/filestore-in-memory.js';
import { eventually } from '../helpers/processes.js';

export class Machine {
  readonly #store: ObjectStore;
  readonly #directory: string;
  readonly #settings: Partial<FilestoreSettings>;
  #running: FilestoreInMemory | undefined;

  constructor(store: ObjectStore, directory: string, settings: Partial<FilestoreSettings>) {
    this.#store = store;
    this.#directory = directory;
    this.#settings = settings;
  }

  async start(): Promise<void> {
    // Warnings are part of an outage here; an error is not part of anything.
    const log = createLog('error', (line) => assert.fail(line));
    const [cacheDirectory, spoolDirectory] = [path.join(this.#directory, 'cache'), path.join(this.#directory, 'spool')];
    this.#running = await mountInMemory(this.#store, log, { cacheDirectory, spoolDirectory, ...this.#settings });
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.close('clean');
  }

  get client(): FilestoreInMemory['client'] {
    assert.ok(this.#running !== undefined);
    return this.#running.client;
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
