/**
 * The port that vfs stands on: what a path below the mount means and where its bytes are. Paths are byte strings without a leading slash;
 * '' is the mount's root. Everything here obeys docs/SEMANTICS.md; vfs adds inodes, handles and lifetimes.
 */
import type { Answer } from '../base/maybe-promise.js';
import type { ReadResult } from '../base/read-result.js';

export interface Requester {
  readonly pid: number;
  readonly signal: AbortSignal;
}

/** What a directory's size is said to be, as ext4 has it. */
export const DIRECTORY_SIZE_BYTES = 4096;

export interface Stat {
  readonly kind: 'file' | 'directory';
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  /** Permission bits. */
  readonly mode: number;
  /** How long this answer may be believed without asking again, in ms; 0 for what may change at any moment. */
  readonly validMs: number;
}

export interface ListedName {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  /** Known without a request, or undefined. */
  readonly stat: Stat | undefined;
}

/** Takes the names of a directory as they are. To be called once, in the turn of the loop in which it was got; throws nothing. */
export type TakeNames = () => readonly ListedName[];

/** An open file. Its calls may overlap; `release` comes last. */
export interface OpenFile {
  /** Exact at any moment, also after the name is gone. */
  stat(): Answer<Stat>;
  /** @throws FilestoreError bad-handle when not open for reading, unavailable, corrupt */
  read(offset: number, length: number, signal: AbortSignal): Answer<ReadResult>;
  /** What `read` answers, where that waits for nothing and cannot be aborted; absent or undefined where a read may have to wait. */
  readNow?(offset: number, length: number): ReadResult | undefined;
  /** @param data valid until the first await only */
  write(offset: number, data: Uint8Array): Answer<number>;
  truncate(sizeBytes: number): Answer<void>;
  setTimes(mtimeMs: number): void;
  /** At every close(): makes what was written durable (docs/DURABILITY.md). Does nothing when nothing was written since the last. */
  flush(): Answer<void>;
  /** Makes the bytes written so far survive a power cut, without publishing them. */
  fsync(): Answer<void>;
  /** The last close; does not throw. */
  release(): Answer<void>;
  /** A descriptor with all the bytes, for passthrough; constant while the file is open. */
  readonly passthroughFd: number | undefined;
  /** Its size, where all of it is here and cannot change. */
  readonly wholeBytes?: number;
  /** The bytes behind the name cannot change as long as anybody has it open, so pages of earlier opens are still right. */
  readonly immutable: boolean;
  /** Still downloading: reads must not stay in the page cache. */
  readonly streaming: boolean;
}

export interface OpenMode {
  readonly read: boolean;
  readonly write: boolean;
  readonly truncate: boolean;
}

export interface Usage {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly files: number;
}

/** Waits, a moment at the most, until the kernel has forgotten what it knew of a file. */
export type UntilForgotten = () => Promise<void>;

/** @returns undefined when the kernel knows nothing of it */
export type ChangeListener = (path: string) => UntilForgotten | undefined;

export interface Filestore {
  /**
   * @returns undefined when the name is nowhere (also: "cannot ask, but the name is on no list")
   * @throws FilestoreError unavailable when nobody can tell
   */
  lookup(path: string, requester: Requester): Answer<Stat | undefined>;
  /**
   * All names of a directory, when nobody has to be asked for them any more: {@link TakeNames} takes them.
   * @throws not-found, not-directory, unavailable
   */
  list(path: string, requester: Requester): Answer<TakeNames>;
  /** Opens what exists. @throws not-found, is-directory, unavailable, corrupt */
  open(path: string, mode: OpenMode, requester: Requester): Answer<OpenFile>;
  /** Makes a new file and opens it; an existing name throws `exists` when `exclusive`, else opens it emptied. */
  create(path: string, options: { mode: number; exclusive: boolean; read: boolean }, requester: Requester): Answer<OpenFile>;
  mkdir(path: string, mode: number, requester: Requester): Answer<void>;
  rmdir(path: string, requester: Requester): Answer<void>;
  unlink(path: string, requester: Requester): Answer<void>;
  /** @throws cross-device where we do not serve it: the caller then copies, as mv and shutil.move do */
  rename(from: string, to: string, options: { noReplace: boolean }, requester: Requester): Answer<void>;
  /** Times and mode of a file that is not open; for content-named files accepted and without effect. */
  setTimes(path: string, mtimeMs: number, requester: Requester): Answer<void>;
  setMode(path: string, mode: number, requester: Requester): Answer<void>;
  truncate(path: string, sizeBytes: number, requester: Requester): Answer<void>;
  usage(): Answer<Usage>;
  /** Whether a path is a name whose bytes never change, so that the kernel may keep what it knows. */
  isImmutable(path: string): boolean;
  /** Called when a name changed by another hand than the kernel's (another node, a listing), or may have: path of it. */
  onChange(listener: ChangeListener): void;
}
