/** Parts of a mount that need neither Swift nor a kernel, and say in which order they were opened and closed. */
import { SILENT_LOG, type Log } from '../../../src/base/log.js';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import type { BlobCache } from '../../../src/cache/cache.js';
import { resolveSettings } from '../../../src/config/resolve.js';
import type { MountRequest, PartMakers } from '../../../src/daemon/start-mount.js';
import type { RunningFilestore } from '../../../src/filestore/filestore-options.js';
import type { DatabaseStatus } from '../../../src/filestore/mount-status.js';
import { createMemoryDriver, type MemoryMount } from '../../helpers/memory-driver.js';
import { createVfs } from '../../../src/vfs/vfs.js';
import { MemoryFilestore } from '../../helpers/memory-filestore.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { databaseStatus } from '../cli/status-of.js';

export class MemoryParts {
  /** What was opened (`+cache`) and closed (`-cache`), in order. */
  readonly steps: string[] = [];
  database: DatabaseStatus = databaseStatus();
  /** What `drain` does beside being counted. */
  onDrain: () => Promise<void> = () => Promise.resolve();
  mounted: MemoryMount | undefined;
  /** Parts that fail when they are opened. */
  readonly failing = new Map<string, Error>();

  readonly makers: PartMakers = {
    openOrigin: () => {
      throw new Error('no origin here');
    },
    createStore: () => {
      this.#opened('store');
      const store = new MemoryStore();
      store.close = () => this.#closed('store');
      return { store, counts: () => ({ GET: 1 }) };
    },
    openCache: async () => {
      this.#opened('cache');
      const statistics = { files: 0, bytes: 0, budgetBytes: 10, hits: 0, misses: 0, evicted: 0, quarantined: 0 };
      // Nothing of a cache but its numbers and its end is asked for here.
      return { statistics, close: () => this.#closed('cache') } as unknown as BlobCache;
    },
    openFilestore: async () => {
      this.#opened('filestore');
      return this.#filestore();
    },
    createVfs: (filestore) => createVfs(filestore, { uid: 0, gid: 0, log: SILENT_LOG }),
    createDriver: async () => ({
      mount: async (fileSystem, options) => {
        this.#opened('driver');
        this.mounted = await createMemoryDriver().mount(fileSystem, options);
        void this.mounted.ended.then(() => this.steps.push('-driver'));
        return this.mounted;
      },
    }),
  };

  request(directory: string, log: Log = SILENT_LOG, flags: Readonly<Record<string, string>> = {}): MountRequest {
    const host = {
      environment: { XDG_RUNTIME_DIR: directory },
      home: directory,
      workingDirectory: directory,
      uid: process.geteuid?.() ?? 0,
      gid: 0,
    };
    const own = { spool_dir: `${directory}/spool`, cache_dir: `${directory}/cache`, auth_url: 'http://swift/auth/v1.0', username: 'u' };
    const { settings } = resolveSettings({ flags: { ...own, ...flags } }, { ...host, environment: { OS_PASSWORD: 'p' } });
    return { settings, mountPoint: `${directory}/mnt`, version: '0.0.1', host, clock: SYSTEM_CLOCK, log };
  }

  #filestore(): RunningFilestore {
    const filestore = new MemoryFilestore() as unknown as RunningFilestore & Record<string, unknown>;
    const databases = (): readonly DatabaseStatus[] => [this.database];
    Object.defineProperty(filestore, 'databases', { get: databases });
    filestore['drain'] = async () => {
      this.steps.push('drain');
      await this.onDrain();
      return this.database.pendingWrites === 0;
    };
    filestore['close'] = () => this.#closed('filestore');
    return filestore;
  }

  #opened(part: string): void {
    const error = this.failing.get(part);
    if (error !== undefined) throw error;
    this.steps.push(`+${part}`);
  }

  #closed(part: string): Promise<void> {
    this.steps.push(`-${part}`);
    return Promise.resolve();
  }
}
