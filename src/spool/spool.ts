/**
 * The port of the spool: what this machine owes to Swift, durably. One spool for each database, in `SPOOL_DIR/v1/DATABASE/` (docs/FORMATS.md).
 * Only the journal and the write-ahead log say what is owed; files that neither names are left-overs of a crash, and go when the spool opens.
 * After damage to the journal they are kept under `torn/`: one of them may have been acknowledged.
 *
 * INVARIANT: before anybody hears "done", the record is on record, and for a `seal` it and the bytes it names are durable.
 */
import type { FileDigest } from '../base/file-digest.js';

/** A file being written: in memory while it is small, else under `staging/`. Not durable, private to its writer. */
export interface StagingFile {
  readonly sizeBytes: number;
  /** Where it lies on the disk; what was in memory is put there first. @throws FilestoreError no-space, unavailable */
  file(): { readonly fd: number; readonly path: string };
  /** Its path, for who takes the file over: from here on a write goes to a copy. Undefined when somebody has it already. @throws as `file` */
  handOver(): string | undefined;
  /** Calls with its descriptor once it lies on the disk: at once where it does. */
  whenOnDisk(tell: (fd: number) => void): void;
  /** Fills `target` with the bytes from `position` on. @throws FilestoreError corrupt when there are fewer; what the disk says */
  copyTo(target: Uint8Array, position: number): void;
  /** Synchronous: memory, or the disk's write cache, takes it. @throws FilestoreError no-space */
  write(offset: number, data: Uint8Array): number;
  truncate(sizeBytes: number): void;
  /** SHA-1 and MD5 of what was written; free when it was written front to back, else the file is read once more. */
  digest(): Promise<FileDigest>;
  /** Closes and removes it. Idempotent; after `seal` it only closes. */
  discard(): Promise<void>;
}

/** A sealed object that Swift does not have yet, or may not have. */
export interface Pending {
  /** Path below the database. */
  readonly path: string;
  /** The sealed file. Small ones come to the disk late: `Spool.sealedFile` says that it is needed there. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha1: string;
  readonly md5: string;
  readonly mtimeMs: number;
  readonly sealedAtMs: number;
  /** Grows with every record; a later seal of the same path supersedes an earlier one. */
  readonly sequence: number;
}

/** What is set aside under `torn/`. */
export interface TornCount {
  /** Of both kinds. */
  readonly count: number;
  readonly bytes: number;
  /** Those of `count` that lost their record: somebody may have been told that they are stored. */
  readonly unnamed: number;
}

/** A name that was deleted although Swift or an origin may still have it. */
export interface Tombstone {
  readonly path: string;
  readonly deletedAtMs: number;
  readonly sequence: number;
  /** Swift is yet to be told. False: it is told, and only an origin still has the name. */
  readonly owedToSwift: boolean;
  /** Swift may not be told before this time, in ms since the epoch; absent: at once. */
  readonly dueAtMs?: number;
}

export interface SpoolState {
  readonly pending: ReadonlyMap<string, Pending>;
  readonly tombstones: ReadonlyMap<string, Tombstone>;
  /** Directories that were made and not removed, with their mtime in ms. Shards too: an empty directory exists and stays. */
  readonly directories: ReadonlyMap<string, number>;
  /** Those of them that are not directly below the database. */
  readonly deeperDirectories: ReadonlySet<string>;
  /** `xx/SHA.__gc` to `xx/SHA`: local bookkeeping: only the unlink of the alias deletes the blob. */
  readonly aliases: ReadonlyMap<string, string>;
}

export interface Spool extends SpoolState {
  /** Those of `directories` of which the journal says nothing yet. */
  readonly unrecordedDirectories: ReadonlyMap<string, number>;
  readonly pendingBytes: number;
  /** Files set aside under `torn/`. */
  readonly torn: TornCount;
  readonly tornDirectory: string;
  /** The disk has no room but the little that is kept for the journal: nothing can be written. */
  readonly isFull: boolean;
  /** A sync of the journal failed, and no new journal could be written yet: nothing is acknowledged here. */
  readonly isFailing: boolean;

  createStaging(): StagingFile;
  /** A staging file filled with the bytes of another file (copy of a local file, by reflink where the disk can). */
  createStagingFrom(file: string): Promise<StagingFile>;
  /**
   * The file becomes a sealed one with a record of its own (sealer.ts). From its return the write survives a power cut. Ends a tombstone of
   * the path.
   * The staging file's descriptor stays open until `discard`.
   * @param isWanted asked at once, and in the turn of the record: the path may have been deleted or given to another file during the fsync; then `stale`
   */
  seal(staging: StagingFile, path: string, digest: FileDigest, mtimeMs: number, isWanted?: () => boolean): Promise<Pending>;
  /** The path of the sealed file, which lies on the disk then unless something has removed it. @throws FilestoreError no-space, unavailable */
  sealedFile(pending: Pending): string;
  /** A copy of the bytes of a sealed file that is not on the disk, e.g. because there is no room; undefined when it is. */
  lateBytes(pending: Pending): Uint8Array | undefined;
  /**
   * The pending object moves to another name, durably, without its bytes.
   * @param options.bury the old name is deleted by the same record, and Swift is owed that
   */
  renamePending(from: string, to: string, options: { bury: boolean }): Promise<void>;
  /** Swift has it. @returns false when a later seal or delete of the path has superseded `pending`: then nothing changes. */
  markPublished(pending: Pending, options: { keepFile: boolean }): Promise<boolean>;
  /** Not content-true: keeps the bytes under `torn/` for a human, while there is room. */
  setAside(staging: StagingFile, path: string, digest: FileDigest): Promise<string>;
  /** Removes what was set aside, oldest first, until `isRoom`. @returns whether there is room */
  makeRoom(isRoom: () => boolean): boolean;

  /** Records a delete: written before the return, fsynced within 100 ms. Drops what was pending of that path. */
  bury(path: string, options: { owedToSwift: boolean; dueAtMs?: number; deletedAtMs?: number }): Tombstone;
  /** Swift was told. @param keep an origin still has the name, so the memory stays */
  markDeleted(tombstone: Tombstone, options: { keep: boolean }): boolean;
  /** The name lives again (published or found): the tombstone ends, and what is being sealed and not recorded does not come before that. */
  exhume(path: string): void;

  addDirectory(path: string, mtimeMs: number): void;
  /** As {@link addDirectory}, of one that was found, not made: never fails; what cannot be recorded now is there, and is recorded with the next that can. */
  noteDirectory(path: string, mtimeMs: number): void;
  removeDirectory(path: string): void;
  renameDirectory(from: string, to: string): void;
  addAlias(alias: string, path: string): void;
  removeAlias(alias: string): void;

  /**
   * Whether a power cut could still bring back what a record has ended for this path: a tombstone, something pending, an alias in front of it.
   * Who answers that Swift has the path syncs first, else a delete or older bytes come back over it.
   */
  mayRise(path: string): boolean;
  /** Everything recorded so far survives a power cut. */
  sync(): Promise<void>;
  /** `local/`: markers of the checklist live here as plain files. */
  readonly localDirectory: string;
  close(): Promise<void>;
}
