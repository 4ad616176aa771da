/**
 * A content-named file being written: hidden from everybody else until its bytes hash to its name.
 *
 *    writing ──FLUSH, hash = name──► published or sealed         ──RELEASE, hash ≠ name──► torn: set aside, the name is free
 *                                                                            └─ a write was refused ──► discarded: its writer knows
 *
 * A FLUSH whose hash differs is no error: a fork closes the descriptor in the child while the parent still writes. Only RELEASE, the
 * last close of all, says that the file is torn.
 */
import type { Answer } from '../base/maybe-promise.js';
import { messageOf } from '../base/errors.js';
import { displayName } from '../base/names.js';
import type { ReadResult } from '../base/read-result.js';
import type { Database } from './database.js';
import { BLOB_MTIME_MS } from './database.js';
import { Draft, type DraftBase } from './draft.js';
import type { OpenFile, Stat } from './filestore.js';
import { publish } from './publish.js';
import { setAside } from './set-aside.js';

/** Whoever writes this name writes these bytes. */
const ALWAYS = (): boolean => true;

export class ContentWriter implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = false;
  readonly streaming = false;
  readonly #db: Database;
  readonly #path: string;
  readonly #sha1: string;
  readonly #draft: Draft;
  #published = -1;
  /** A write failed, and its writer was told. */
  #isRefused = false;
  #flushing: Promise<void> = Promise.resolve();
  #hidden = true;

  /** @param base the bytes the name has, when it is opened without being emptied */
  constructor(db: Database, path: string, sha1: string, base?: DraftBase) {
    this.#db = db;
    this.#path = path;
    this.#sha1 = sha1;
    this.#draft = new Draft(db.spool, base);
    db.writers.begin(path);
  }

  stat(): Stat {
    return { ...this.#db.blobStat(this.#draft.sizeBytes), validMs: 0 };
  }

  read(offset: number, length: number): ReadResult {
    return this.#draft.read(offset, length);
  }

  write(offset: number, data: Uint8Array): Answer<number> {
    return this.#change(() => this.#draft.write(offset, data));
  }

  truncate(sizeBytes: number): Answer<void> {
    return this.#change(() => this.#draft.truncate(sizeBytes));
  }

  setTimes(): void {
    // That of a blob is BLOB_MTIME_MS, whatever anybody sets.
  }

  flush(): Answer<void> {
    if (this.#published === this.#draft.version) return undefined;
    this.#flushing = this.#flushing.catch(() => undefined).then(() => this.#flush());
    return this.#flushing;
  }

  fsync(): void {
    // An unfinished blob is nothing anybody could find after a power cut: durability begins at close().
  }

  async release(): Promise<void> {
    const { log } = this.#db;
    try {
      await this.#flushing.catch(() => undefined);
      if (this.#published !== this.#draft.version) await this.#flush();
      if (this.#published < 0) await this.#setAside();
    } catch (error) {
      log.error('write.not-stored', { database: displayName(this.#db.name), path: displayName(this.#path), reason: messageOf(error) });
    } finally {
      this.#unhide();
      await this.#draft.close();
    }
  }

  async #flush(): Promise<void> {
    const { version, staging } = this.#draft;
    if (staging === undefined || this.#published === version) return;
    const digest = await staging.digest();
    if (this.#draft.version !== version || digest.sha1 !== this.#sha1) return;
    await this.#draft.withFrozen(staging, () =>
      publish(this.#db, { path: this.#path, staging, digest, mtimeMs: BLOB_MTIME_MS, isWanted: ALWAYS }),
    );
    this.#published = version;
    this.#unhide();
  }

  #change<T>(change: () => Answer<T>): Answer<T> {
    const refused = (error: unknown): never => {
      this.#isRefused = true;
      throw error;
    };
    try {
      const answer = change();
      return answer instanceof Promise ? answer.catch(refused) : answer;
    } catch (error) {
      return refused(error);
    }
  }

  async #setAside(): Promise<void> {
    const { staging } = this.#draft;
    // What was refused for want of room must give back the room it took.
    if (this.#isRefused || staging === undefined || staging.sizeBytes === 0) return;
    await setAside(this.#db, staging, this.#path);
  }

  #unhide(): void {
    if (this.#hidden) this.#db.writers.end(this.#path);
    this.#hidden = false;
  }
}
