/**
 * One node over a store in memory whose requests can be held, for what may happen between two awaits: each test beside this file is a loss that was
 * possible once. Its directories stay over a restart.
 */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { createLog } from '../../../../src/base/log.js';
import type { FilestoreSettings } from '../../../../src/filestore/filestore-options.js';
import { mountInMemory, type FilestoreInMemory } from '../../../helpers/filestore-in-memory.js';
import { MemoryStore } from '../../../helpers/memory-store.js';
import type { StoreRequest } from '../../../helpers/store-faults.js';
import { removeDir, tempDir } from '../../../helpers/temp-dir.js';

export const CONTAINER = 'odoo-db';

export class HeldNode {
  readonly store = new MemoryStore();
  readonly directory = tempDir('interleavings');
  #life: FilestoreInMemory | undefined;

  get client(): FilestoreInMemory['client'] {
    return this.#running.client;
  }

  get filestore(): FilestoreInMemory['filestore'] {
    return this.#running.filestore;
  }

  get cache(): FilestoreInMemory['cache'] {
    return this.#running.cache;
  }

  async start(changed: Partial<FilestoreSettings> = {}): Promise<FilestoreInMemory['client']> {
    this.#life = await mountInMemory(
      this.store,
      createLog('error', (line) => assert.fail(line)),
      {
        cacheDirectory: path.join(this.directory, 'cache'),
        spoolDirectory: path.join(this.directory, 'spool'),
        writeTimeoutMs: 60_000,
        lookupWaitMs: 30_000,
        ...changed,
      },
    );
    return this.client;
  }

  /** Nothing that follows waits for the container to be made. */
  async startInContainer(): Promise<FilestoreInMemory['client']> {
    const client = await this.start({ nodes: 'many', writeMode: 'back' });
    await client.writeFile('first.txt', Buffer.from('the container is there'));
    await this.drained();
    return client;
  }

  async stop(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    await life?.close();
  }

  /** After a test, which may have left requests held. */
  async end(): Promise<void> {
    this.store.before = undefined;
    await this.stop();
    removeDir(this.directory);
  }

  /** Holds the first request that matches until `go` is called; `held` says that it has come. */
  hold(matches: (request: StoreRequest) => boolean): { readonly held: Promise<void>; readonly go: () => void } {
    let go = (): void => undefined;
    let arrived = (): void => undefined;
    const released = new Promise<void>((resolve) => (go = resolve));
    const held = new Promise<void>((resolve) => (arrived = resolve));
    let used = false;
    this.store.before = async (request) => {
      if (used || !matches(request)) return;
      used = true;
      arrived();
      await released;
    };
    return { held, go };
  }

  async drained(): Promise<void> {
    assert.equal(await this.filestore.drain(20_000), true);
  }

  get #running(): FilestoreInMemory {
    return this.#life ?? assert.fail('the node is not running');
  }
}

/** What this process has open, removed files too. */
export function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}
