/**
 * A file that is not content-named, while somebody has it open: one for all its openers, so that they see each other's writes. Published whole
 * at every close() of who may write that follows a write; the last close wins. Who only reads publishes nothing of what a writer has half done.
 */
import type { Answer } from '../base/maybe-promise.js';
import { messageOf } from '../base/errors.js';
import { contentSha1, displayName } from '../base/names.js';
import type { FileDigest } from '../base/file-digest.js';
import type { ReadResult } from '../base/read-result.js';
import type { StagingFile } from '../spool/spool.js';
import type { Database } from './database.js';
import { Draft, type DraftBase } from './draft.js';
import type { OpenFile, OpenMode, Stat } from './filestore.js';
import { publish } from './publish.js';
import { setAside } from './set-aside.js';

export class LiveFile {
  readonly #db: Database;
  readonly #draft: Draft;
  #path: string;
  #mtimeMs: number;
  #published: number;
  #timesChanged = false;
  #openers = 0;
  #unlinked = false;
  #becameBlob: { readonly path: string; readonly version: number } | undefined;
  #flushing: Promise<void> = Promise.resolve();
  /** A rename is under way that decides which name it has, or whether it has one. */
  #undecided: Promise<void> | undefined;

  /**
   * @param base the bytes it has; undefined for a new or emptied file, which is then published even if nothing is written
   * @param mtimeMs the mtime it has
   */
  constructor(db: Database, path: string, base: DraftBase | undefined, mtimeMs: number) {
    this.#db = db;
    this.#path = path;
    this.#mtimeMs = mtimeMs;
    this.#draft = new Draft(db.spool, base);
    this.#published = base === undefined ? -1 : this.#draft.version;
    db.live.set(path, this);
  }

  get path(): string {
    return this.#path;
  }

  get isDirty(): boolean {
    return this.#published !== this.#draft.version || this.#timesChanged;
  }

  stat(): Stat {
    return this.#db.fileStat(this.#draft.sizeBytes, this.#mtimeMs, 0);
  }

  read(offset: number, length: number): ReadResult {
    return this.#draft.read(offset, length);
  }

  write(offset: number, data: Uint8Array): Answer<number> {
    this.#touch();
    return this.#draft.write(offset, data);
  }

  truncate(sizeBytes: number): Answer<void> {
    this.#touch();
    return this.#draft.truncate(sizeBytes);
  }

  setTimes(mtimeMs: number): void {
    this.#mtimeMs = mtimeMs;
    this.#timesChanged = true;
  }

  /** @param mode of the opener. @throws FilestoreError no-space, unavailable when it cannot be emptied */
  open({ write, truncate }: Pick<OpenMode, 'write' | 'truncate'>): Answer<OpenFile> {
    const handle = new LiveHandle(this, write);
    // At once, since a frozen or untouched draft gets a new staging file, but for one whose bytes are being copied.
    const emptied = truncate ? this.truncate(0) : undefined;
    // Nobody has opened it when that fails.
    this.#openers++;
    return emptied instanceof Promise ? this.#whenEmptied(emptied, handle) : handle;
  }

  flush(): Answer<void> {
    if (!this.isDirty || this.#unlinked) return undefined;
    this.#flushing = this.#flushing.catch(() => undefined).then(() => this.#flush());
    return this.#flushing;
  }

  /** @param mayWrite of the opener that leaves */
  async release(mayWrite: boolean): Promise<void> {
    try {
      // The last one finds what a writer could not store.
      if (mayWrite || this.#openers === 1) await this.flush();
    } catch (error) {
      this.#db.log.error('write.not-stored', {
        database: displayName(this.#db.name),
        path: displayName(this.#path),
        reason: messageOf(error),
      });
    }
    if (--this.#openers > 0) return;
    // Set while this was under way: the name was still this file's.
    if (this.#timesChanged && !this.#unlinked && this.#published === this.#draft.version) this.#oweTimes();
    if (this.#db.live.get(this.#path) === this) this.#db.live.delete(this.#path);
    if (this.#becameBlob !== undefined && this.#becameBlob.version !== this.#draft.version) await this.#setAside(this.#becameBlob.path);
    await this.#draft.close();
  }

  /** The name is gone; the bytes stay for who has them open, and go nowhere. */
  unlink(): void {
    this.#unlinked = true;
    if (this.#db.live.get(this.#path) === this) this.#db.live.delete(this.#path);
  }

  /**
   * Holds back what closes publish until the returned function is called: only then is it known under which name, if any. What is being
   * published already is published once more.
   */
  holdName(): () => void {
    let decide = (): void => undefined;
    const undecided = new Promise<void>((resolve) => (decide = resolve));
    this.#undecided = undecided;
    return () => {
      if (this.#undecided === undecided) this.#undecided = undefined;
      decide();
    };
  }

  /** A content name is its bytes': what is written after it is nobody's, as after an unlink. */
  rename(to: string): void {
    if (contentSha1(to) !== undefined) {
      this.unlink();
      this.#becameBlob = { path: to, version: this.#draft.version };
      return;
    }
    if (this.#db.live.get(this.#path) === this) this.#db.live.delete(this.#path);
    this.#path = to;
    this.#db.live.set(to, this);
  }

  async #whenEmptied(emptied: Promise<void>, handle: OpenFile): Promise<OpenFile> {
    try {
      await emptied;
      return handle;
    } catch (error) {
      await this.release(true);
      throw error;
    }
  }

  async #setAside(path: string): Promise<void> {
    const { staging } = this.#draft;
    if (staging !== undefined && staging.sizeBytes > 0) await setAside(this.#db, staging, path);
  }

  async #flush(): Promise<void> {
    const { version } = this.#draft;
    if (!this.isDirty || this.#unlinked) return;
    if (this.#draft.staging === undefined || this.#published === version) {
      this.#oweTimes();
      return;
    }
    const staging = this.#draft.staging;
    const mtimeMs = this.#mtimeMs;
    this.#timesChanged = false;
    await this.#draft.withFrozen(staging, async () => this.#publish(staging, await staging.digest(), mtimeMs));
    this.#published = version;
  }

  /** Only its times were changed since it was published. */
  #oweTimes(): void {
    this.#timesChanged = false;
    this.#db.owedTimes.set(this.#path, this.#mtimeMs);
    this.#db.wake();
  }

  /** Under the name the file has, also when it gets another one meanwhile; nowhere when it has none any more. */
  async #publish(staging: StagingFile, digest: FileDigest, mtimeMs: number): Promise<void> {
    while (!this.#unlinked) {
      if (this.#undecided !== undefined) {
        await this.#undecided;
        continue;
      }
      const path = this.#path;
      const isWanted = (): boolean => !this.#unlinked && this.#path === path && this.#undecided === undefined;
      try {
        await publish(this.#db, { path, staging, digest, mtimeMs, isWanted });
        return;
      } catch (error) {
        if (isWanted()) throw error;
      }
    }
  }

  #touch(): void {
    this.#mtimeMs = Date.now();
    this.#timesChanged = false;
  }
}

class LiveHandle implements OpenFile {
  readonly passthroughFd = undefined;
  readonly immutable = false;
  readonly streaming = false;
  readonly #file: LiveFile;
  /** Or has set its times, which a reader may. */
  #mayWrite: boolean;

  constructor(file: LiveFile, mayWrite: boolean) {
    this.#file = file;
    this.#mayWrite = mayWrite;
  }

  stat(): Stat {
    return this.#file.stat();
  }

  read(offset: number, length: number): ReadResult {
    return this.#file.read(offset, length);
  }

  write(offset: number, data: Uint8Array): Answer<number> {
    return this.#file.write(offset, data);
  }

  truncate(sizeBytes: number): Answer<void> {
    return this.#file.truncate(sizeBytes);
  }

  setTimes(mtimeMs: number): void {
    this.#mayWrite = true;
    this.#file.setTimes(mtimeMs);
  }

  flush(): Answer<void> {
    return this.#mayWrite ? this.#file.flush() : undefined;
  }

  async fsync(): Promise<void> {
    await this.#file.flush();
  }

  release(): Promise<void> {
    return this.#file.release(this.#mayWrite);
  }
}
