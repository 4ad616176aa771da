import { contentSha1 } from '../base/names.js';
import type { ChangeListener, Usage } from './filestore.js';
import type { DatabaseStatus } from './mount-status.js';
import type { OpenDatabase, SharedParts } from './open-database.js';

/** df of a mount: object storage has no end that we could name. */
const TOTAL_BYTES = 2 ** 50;

/** What a mount of one database and a mount of many have in common: that they are made of opened databases. */
export abstract class BaseFilestore {
  readonly #shared: SharedParts;

  constructor(shared: SharedParts) {
    this.#shared = shared;
  }

  protected abstract opened(): OpenDatabase[];
  protected abstract databasePath(path: string): string | undefined;

  get databases(): readonly DatabaseStatus[] {
    return this.opened()
      .map((o) => ({ exists: o.record.exists, status: o.status() }))
      .filter(({ exists, status }) => exists || status.pendingWrites + status.pendingDeletes > 0)
      .map(({ status }) => status);
  }

  usage(): Usage {
    return { totalBytes: TOTAL_BYTES, freeBytes: TOTAL_BYTES, files: this.opened().reduce((sum, o) => sum + o.db.catalog.count, 0) };
  }

  isImmutable(path: string): boolean {
    const below = this.databasePath(path);
    return below !== undefined && contentSha1(below) !== undefined;
  }

  onChange(listener: ChangeListener): void {
    this.#shared.changes.listener = (database, path) => listener(this.fullPath(database, path));
  }

  protected fullPath(_database: string, path: string): string {
    return path;
  }

  async drain(timeoutMs: number): Promise<boolean> {
    const drained = await Promise.all(this.opened().map((o) => o.publisher.drain(timeoutMs)));
    return drained.every(Boolean);
  }

  protected async closeOpened(): Promise<void> {
    await Promise.all(this.opened().map((o) => o.close()));
  }

  async close(): Promise<void> {
    await this.closeOpened();
    this.#shared.health.close();
  }
}
