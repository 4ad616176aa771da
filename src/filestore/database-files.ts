/** The filestore port over one database: every call goes to its story. */
import { andThen, type Answer } from '../base/maybe-promise.js';
import { FilestoreError } from '../base/errors.js';
import { assertName, contentSha1, displayName, objectNameOf, splitPath } from '../base/names.js';
import { ContentWriter } from './content-writer.js';
import type { Database } from './database.js';
import { mkdir, rmdir, unlink } from './delete-path.js';
import type { DraftBase } from './draft.js';
import type { OpenFile, OpenMode, Requester, Stat, TakeNames } from './filestore.js';
import { prepareList } from './list-path.js';
import { LiveFile } from './live-file.js';
import { lookup } from './lookup-path.js';
import { noteMarker } from './markers.js';
import { kindOfPath } from './path-kind.js';
import { openBlob, openCopy, openOther } from './read-path.js';
import { rename } from './rename-path.js';

export class DatabaseFiles {
  readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  lookup(path: string, requester: Requester): Answer<Stat | undefined> {
    return lookup(this.db, path, requester);
  }

  list(path: string, requester: Requester): Answer<TakeNames> {
    return prepareList(this.db, path, requester);
  }

  open(path: string, mode: OpenMode, requester: Requester): Answer<OpenFile> {
    const kind = kindOfPath(path);
    if (kind === 'marker') {
      const untilForgotten = mode.write ? noteMarker(this.db, path) : undefined;
      return andThen(untilForgotten, () => this.db.local.open(path, mode));
    }
    if (kind === 'blob' || (kind === 'alias' && this.db.spool.aliases.has(path))) {
      return mode.write ? this.#openBlobForWriting(path, mode, requester) : openBlob(this.db, path, requester);
    }
    return this.db.live.get(path)?.open(mode) ?? this.#openOther(path, mode, requester);
  }

  async create(path: string, options: { exclusive: boolean }, requester: Requester): Promise<OpenFile> {
    const kind = kindOfPath(path);
    assertName(splitPath(path).name);
    if (kind === 'marker') {
      const untilForgotten = noteMarker(this.db, path);
      if (untilForgotten !== undefined) await untilForgotten;
      return this.db.local.open(path, { read: true, write: true, truncate: !options.exclusive }, options);
    }
    objectNameOf(path); // Refused now, not at close().
    if (kind === 'alias')
      throw new FilestoreError('not-permitted', `${displayName(path)}: a name ending in .__gc is made by renaming a blob`);
    const sha1 = contentSha1(path);
    if (options.exclusive && (await lookup(this.db, path, requester)) !== undefined)
      throw new FilestoreError('exists', `${displayName(path)} exists`);
    if (sha1 !== undefined) return new ContentWriter(this.db, path, sha1);
    return this.#live(path, undefined, Date.now(), true);
  }

  mkdir(path: string, requester: Requester): Promise<void> {
    objectNameOf(path);
    return mkdir(this.db, path, requester);
  }

  rmdir(path: string, requester: Requester): Promise<void> {
    return rmdir(this.db, path, requester);
  }

  unlink(path: string, requester: Requester): Promise<void> {
    return unlink(this.db, path, requester);
  }

  rename(from: string, to: string, noReplace: boolean, requester: Requester): Promise<void> {
    assertName(splitPath(to).name);
    objectNameOf(to);
    return rename(this.db, from, to, noReplace, requester);
  }

  setTimes(path: string, mtimeMs: number): void {
    switch (kindOfPath(path)) {
      case 'marker':
        this.db.local.setTimes(path, mtimeMs);
        return;
      case 'blob':
      case 'alias':
        return; // Theirs is BLOB_MTIME_MS, whatever anybody sets.
      case 'temporary':
      case 'other':
        this.#setOtherTimes(path, mtimeMs);
    }
  }

  async truncate(path: string, sizeBytes: number, requester: Requester): Promise<void> {
    if (kindOfPath(path) === 'marker') {
      this.db.local.truncate(path, sizeBytes);
      return;
    }
    const file = await this.open(path, { read: true, write: true, truncate: sizeBytes === 0 }, requester);
    try {
      await file.truncate(sizeBytes);
      await file.flush();
    } finally {
      await file.release();
    }
  }

  #setOtherTimes(path: string, mtimeMs: number): void {
    const { spool, live, catalog, owedTimes } = this.db;
    const open = live.get(path);
    if (open !== undefined) open.setTimes(mtimeMs);
    else if (spool.directories.has(path)) spool.addDirectory(path, mtimeMs);
    else if (spool.pending.has(path) || catalog.other(path) !== undefined) {
      owedTimes.set(path, mtimeMs);
      this.db.wake();
    }
  }

  async #openBlobForWriting(path: string, mode: OpenMode, requester: Requester): Promise<OpenFile> {
    const sha1 = contentSha1(path);
    if (sha1 === undefined) throw new FilestoreError('not-permitted', `${displayName(path)} is read-only until it is renamed back`);
    if (mode.truncate) return new ContentWriter(this.db, path, sha1);
    return new ContentWriter(this.db, path, sha1, await openCopy(this.db, path, requester));
  }

  async #openOther(path: string, mode: OpenMode, requester: Requester): Promise<OpenFile> {
    if (mode.write && mode.truncate) {
      const stat = await lookup(this.db, path, requester);
      if (stat === undefined) throw new FilestoreError('not-found', `${displayName(path)} is not there`);
      return this.#live(path, undefined, Date.now(), true);
    }
    const { opened, stat } = await openOther(this.db, path, requester);
    if ('file' in opened) return this.#live(path, opened.file, stat.mtimeMs, mode.write);
    if (mode.write)
      throw new FilestoreError(
        'unsupported',
        `${displayName(path)}: a large object that somebody else uploaded can be read or replaced, not changed`,
      );
    return opened.ranged;
  }

  /** Somebody may have opened it while we fetched: theirs is then the one. */
  #live(path: string, base: DraftBase | undefined, mtimeMs: number, write: boolean): Answer<OpenFile> {
    const live = this.db.live.get(path);
    if (live === undefined) return new LiveFile(this.db, path, base, mtimeMs).open({ write, truncate: false });
    base?.close();
    return live.open({ write, truncate: base === undefined });
  }
}
