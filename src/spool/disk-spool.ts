/**
 * The spool on the disk: staging files become sealed files, and the recorder says what is owed.
 *
 *   staging ──seal (sealer.ts)──► sealed + record ──publish──► released, file gone or adopted by the cache
 *      └──set aside──► torn
 */
import { copyFile } from 'node:fs/promises';
import { closeSync, constants, fstatSync, openSync, statSync, unlink } from 'node:fs';
import { join } from 'node:path';
import { FilestoreError, messageOf } from '../base/errors.js';
import type { FileDigest } from '../base/file-digest.js';
import type { Log } from '../base/log.js';
import { displayName } from '../base/names.js';
import { diskError } from './disk-calls.js';
import { DiskRoom } from './disk-room.js';
import type { Journal } from './journal.js';
import { JournalReserve } from './journal-reserve.js';
import { LateFiles } from './late-files.js';
import { Recorder } from './recorder.js';
import { Sealer } from './sealer.js';
import { SmallBytesRoom } from './small-bytes.js';
import type { Pending, Spool, StagingFile, TornCount, Tombstone } from './spool.js';
import { makeFolders, type SpoolLayout } from './spool-layout.js';
import type { RecordedState } from './spool-state.js';
import type { StagingGround } from './staging-file.js';
import { DiskStagingFile } from './staging-file.js';
import type { TornFiles } from './torn-files.js';

interface DiskSpoolParts {
  readonly layout: SpoolLayout;
  readonly state: RecordedState;
  readonly journal: Journal;
  readonly torn: TornFiles;
  /** Of a segment of the write-ahead log. */
  readonly segmentBytes: number;
  /** Makes names under `sealed/` and `torn/` unique over restarts. */
  readonly firstFileNumber: number;
  readonly log: Log;
  readonly nowMs: () => number;
}

export class DiskSpool implements Spool {
  readonly #layout: SpoolLayout;
  readonly #state: RecordedState;
  readonly #journal: Journal;
  readonly #recorder: Recorder;
  readonly #torn: TornFiles;
  readonly #room: DiskRoom;
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #late: LateFiles;
  readonly #sealer: Sealer;
  readonly #ground: StagingGround;
  #stagingNumber = 0;
  #isClosed = false;

  constructor(parts: DiskSpoolParts) {
    this.#layout = parts.layout;
    this.#state = parts.state;
    this.#journal = parts.journal;
    this.#late = new LateFiles(parts.log);
    this.#room = new DiskRoom(parts.layout.root, (isRoom) => parts.torn.makeRoom(isRoom));
    const hasPlenty = (bytes: number): boolean => this.#room.hasPlenty(bytes);
    this.#recorder = new Recorder({
      state: parts.state,
      journal: parts.journal,
      journalPath: parts.layout.journal,
      reserve: new JournalReserve(parts.layout.reserve, hasPlenty, parts.log),
      removeFile: (file) => {
        if (!this.#late.drop(file)) unlink(file, () => undefined);
      },
      log: parts.log,
    });
    this.#torn = parts.torn;
    this.#log = parts.log;
    this.#nowMs = parts.nowMs;
    this.#sealer = new Sealer({ ...parts, recorder: this.#recorder, late: this.#late, room: this.#room });
    this.#ground = {
      nextPath: () => join(parts.layout.staging, String(++this.#stagingNumber)),
      makeFolders: () => makeFolders(parts.layout),
      room: this.#room,
      smallRoom: new SmallBytesRoom(),
    };
  }

  get pending(): ReadonlyMap<string, Pending> {
    return this.#state.pending;
  }

  get tombstones(): ReadonlyMap<string, Tombstone> {
    return this.#state.tombstones;
  }

  get directories(): ReadonlyMap<string, number> {
    return this.#state.directories;
  }

  get deeperDirectories(): ReadonlySet<string> {
    return this.#state.deeperDirectories;
  }

  get unrecordedDirectories(): ReadonlyMap<string, number> {
    return this.#state.unrecordedDirectories;
  }

  get aliases(): ReadonlyMap<string, string> {
    return this.#state.aliases;
  }

  get pendingBytes(): number {
    return this.#state.pendingBytes;
  }

  get torn(): TornCount {
    return this.#torn.measure();
  }

  get tornDirectory(): string {
    return this.#layout.torn;
  }

  get isFull(): boolean {
    return this.#room.isFull;
  }

  get isFailing(): boolean {
    return this.#journal.isFailing;
  }

  makeRoom(isRoom: () => boolean): boolean {
    return this.#torn.makeRoom(isRoom);
  }

  get localDirectory(): string {
    return this.#layout.local;
  }

  createStaging(): StagingFile {
    return new DiskStagingFile(this.#ground);
  }

  async createStagingFrom(file: string): Promise<StagingFile> {
    const path = this.#ground.nextPath();
    let fd = -1;
    try {
      // In this turn of the loop: where `file` is a descriptor, that may be closed, and be another file's, before the copy begins.
      fd = openSync(file, 'r');
      this.#room.take(fstatSync(fd).size);
      await copyFile(`/proc/self/fd/${fd}`, path, constants.COPYFILE_FICLONE);
      return new DiskStagingFile(this.#ground, { path, sizeBytes: statSync(path).size });
    } catch (error) {
      unlink(path, () => undefined);
      throw diskError(error, `cannot copy ${file} to write on it`);
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  seal(staging: StagingFile, path: string, digest: FileDigest, mtimeMs: number, isWanted?: () => boolean): Promise<Pending> {
    return this.#sealer.seal(this.#own(staging), path, digest, mtimeMs, isWanted);
  }

  sealedFile(pending: Pending): string {
    this.#late.need(pending.file);
    return pending.file;
  }

  lateBytes(pending: Pending): Uint8Array | undefined {
    return this.#late.bytesOf(pending.file);
  }

  async renamePending(from: string, to: string, options: { bury: boolean }): Promise<void> {
    const old = this.#state.pending.get(from);
    if (old === undefined) throw new FilestoreError('not-found', `${displayName(from)} is not pending`);
    if (from === to) return;
    const before = this.#state.pending.get(to);
    const moved = this.#recorder.recordPending({
      type: 'move',
      from,
      to,
      of: old.sequence,
      ...(options.bury ? { buriedAtMs: this.#nowMs() } : {}),
    });
    await this.#recorder.syncOrUndo(() => {
      if (this.#state.pending.get(to)?.sequence === moved.sequence && !this.#state.pending.has(from)) {
        this.#recorder.record({ type: 'move', from: to, to: from, of: moved.sequence });
        if (before !== undefined) this.#recorder.revive(before);
      }
    });
  }

  async markPublished(pending: Pending, options: { keepFile: boolean }): Promise<boolean> {
    if (this.#state.pending.get(pending.path)?.sequence !== pending.sequence) return false;
    this.#recorder.record({ type: 'release', path: pending.path, of: pending.sequence }, { keepFile: options.keepFile });
    // There is no file that anybody could keep.
    if (options.keepFile) this.#late.drop(pending.file);
    this.#recorder.syncSoon();
    return true;
  }

  async setAside(staging: StagingFile, path: string, digest: FileDigest): Promise<string> {
    const file = this.#own(staging);
    const target = this.#torn.pathFor(this.#sealer.nextFileName(digest));
    file.setAsideAs(target);
    this.#torn.trim();
    this.#log.debug('spool.torn', { path: displayName(path), file: target, bytes: digest.sizeBytes });
    return target;
  }

  bury(path: string, options: { owedToSwift: boolean; dueAtMs?: number; deletedAtMs?: number }): Tombstone {
    const record = this.#recorder.record({ type: 'bury', path, deletedAtMs: this.#nowMs(), ...options });
    this.#recorder.syncSoon();
    const tombstone = this.#state.tombstones.get(path);
    if (tombstone?.sequence !== record.sequence) throw new FilestoreError('internal', `${displayName(path)}: lost its tombstone`);
    return tombstone;
  }

  markDeleted(tombstone: Tombstone, options: { keep: boolean }): boolean {
    if (this.#state.tombstones.get(tombstone.path)?.sequence !== tombstone.sequence) return false;
    this.#recorder.record({ type: 'told', path: tombstone.path, of: tombstone.sequence, keep: options.keep });
    this.#recorder.syncSoon();
    return true;
  }

  exhume(path: string): void {
    if (!this.#state.tombstones.has(path) && !this.#recorder.underWay.has(path)) return;
    this.#recorder.record({ type: 'exhume', path });
    this.#recorder.syncSoon();
  }

  addDirectory(path: string, mtimeMs: number): void {
    this.#recordDirectories([], [[path, mtimeMs]]);
  }

  noteDirectory(path: string, mtimeMs: number): void {
    try {
      this.addDirectory(path, mtimeMs);
    } catch (error) {
      this.#log.debug('spool.directory-not-recorded', { directory: displayName(path), reason: messageOf(error) });
      this.#state.noteUnrecorded(path, mtimeMs);
    }
  }

  removeDirectory(path: string): void {
    if (this.#state.directories.has(path)) this.#recordDirectories([path], []);
  }

  renameDirectory(from: string, to: string): void {
    const gone: string[] = [];
    const made: [string, number][] = [];
    for (const [path, mtimeMs] of this.#state.directories) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      gone.push(path);
      made.push([to + path.slice(from.length), mtimeMs]);
    }
    if (gone.length > 0 && from !== to) this.#recordDirectories(gone, made);
  }

  /** And what could not be recorded before: a start must find no directory that has lost what it lies in. */
  #recordDirectories(gone: readonly string[], made: readonly [string, number][]): void {
    const late = [...this.#state.unrecordedDirectories].filter(([path]) => !gone.includes(path) && made.every(([other]) => other !== path));
    this.#recorder.record({ type: 'directories', gone, made: [...late, ...made] });
    this.#recorder.syncSoon();
  }

  addAlias(alias: string, path: string): void {
    this.#recorder.record({ type: 'alias', alias, path });
    this.#recorder.syncSoon();
  }

  removeAlias(alias: string): void {
    if (!this.#state.aliases.has(alias)) return;
    this.#recorder.record({ type: 'alias', alias, path: null });
    this.#recorder.syncSoon();
  }

  mayRise(path: string): boolean {
    return this.#recorder.mayRise(path);
  }

  sync(): Promise<void> {
    return this.#recorder.sync();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#sealer.close();
    } finally {
      this.#late.close();
      await this.#recorder.close();
    }
  }

  #own(staging: StagingFile): DiskStagingFile {
    if (staging instanceof DiskStagingFile) return staging;
    throw new FilestoreError('internal', 'a staging file of another spool');
  }
}
