/** What a filestore is built from. Durations in ms, sizes in bytes. */
import type { Log } from '../base/log.js';
import type { BlobCache } from '../cache/cache.js';
import type { Origin } from '../origins/origin.js';
import type { ObjectStore } from '../store/object-store.js';
import type { DatabaseStatus } from './mount-status.js';
import type { Filestore } from './filestore.js';

export interface FilestoreSettings {
  /** One database's directory is mounted; undefined: the whole `filestore` directory. */
  readonly database: string | undefined;
  /** Container = prefix-database, lowercased. */
  readonly containerPrefix: string;
  /** `one`: no other machine mounts these containers; `many`: several may, and what one believes of the others' work is bounded. */
  readonly nodes: 'one' | 'many';
  /** `through`: close() answers when Swift has it, or after `writeTimeoutMs` when the spool has; `back`: when the spool has; `strict`: only when Swift has. */
  readonly writeMode: 'through' | 'back' | 'strict';
  readonly writeTimeoutMs: number;
  /** How long a LOOKUP may wait for Swift: it holds its directory's lock in the kernel. */
  readonly lookupWaitMs: number;
  /** How long a read waits for Swift before EIO. */
  readonly readTimeoutMs: number;
  /** How long a "no" of Swift is believed. */
  readonly negativeTtlMs: number;
  /** With `many`: how long a "yes" is believed, so how late a delete elsewhere may be noticed. */
  readonly deleteBoundMs: number;
  /** With `many`: how long the delete of a blob that Odoo renamed to `.__gc` first waits before Swift is told. */
  readonly gcGraceMs: number;
  /** How long what is deleted can be brought back from the trash container; 0: not at all. */
  readonly deleteRetentionMs: number;
  /** Content-named blobs above this are served while they download. */
  readonly streamAboveBytes: number;
  /** Past this many pending bytes writes slow down; past twice, ENOSPC. */
  readonly maxPendingBytes: number;
  /** The spool's disk keeps this much free. */
  readonly spoolFloorBytes: number;
  /** Permission bits, umask applied. */
  readonly fileMode: number;
  readonly directoryMode: number;
  readonly spoolDirectory: string;
  /** A container that is missing, or lies in another account, may be replaced by an empty one, or by the one that is there. */
  readonly acceptNewContainer: boolean;
}

export interface FilestoreParts {
  readonly store: ObjectStore;
  readonly cache: BlobCache;
  /** Opened before the mount; in a whole-filestore mount its first-level directories are databases. */
  readonly origin: Origin | undefined;
  readonly log: Log;
}

export interface RunningFilestore extends Filestore {
  readonly databases: readonly DatabaseStatus[];
  /** Publishes what is pending until nothing is left or the time is up. @returns whether nothing is left */
  drain(timeoutMs: number): Promise<boolean>;
  close(): Promise<void>;
}
