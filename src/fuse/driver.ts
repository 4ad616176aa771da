/**
 * The seam: something that lets programs reach a {@link FileSystem}. Three tenants: the kernel driver (`kernel-driver.ts`), a driver on
 * the npm package fuse-native (`fuse-native-driver.ts`), and the tests' own in memory (test/helpers/memory-driver.ts).
 */
import type { FilestoreError } from '../base/errors.js';
import type { FileSystem } from './file-system.js';
import type { Log } from '../base/log.js';

export interface DriverCapabilities {
  /** The kernel reads whole local files itself. */
  readonly passthrough: boolean;
  /** Entries and pages can be taken back from the kernel. */
  readonly invalidation: boolean;
  /** Lifetimes are given entry by entry. */
  readonly entryLifetimes: boolean;
  /** Names may be any bytes. */
  readonly byteNames: boolean;
}

export interface MountOptions {
  /** Absolute path of an existing directory. */
  readonly mountPoint: string;
  /** First column of `/proc/mounts`, e.g. `swift:odoo`. */
  readonly source: string;
  /** Type after `fuse.`, e.g. `odoo-swiftfs`. */
  readonly subtype: string;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  /** Each request is answered within this time, in ms, if need be with EIO. */
  readonly requestDeadlineMs: number;
  readonly log: Log;
  /**
   * Needs the directory itself (to open it as the origin, to see its owner): called right before the mount is made, when nothing lies on it
   * any more. Left out: a dead mount is covered by the new one and stays below it until the end, so that the directory is never bare.
   * Must not wait. What it throws ends the start.
   */
  readonly onUncovered?: () => void;
  /** Called once for each failed request, for counters: operation name (`lookup`, …) and the error. */
  readonly onError?: (operation: string, error: FilestoreError) => void;
}

/** A mount that serves. */
export interface Mounted {
  readonly capabilities: DriverCapabilities;
  /** What serves: e.g. `kernel (addon)`, `kernel (pure Node)`, `fuse-native`, `memory`. */
  readonly description: string;
  /** Tells the kernel to forget a name; the message is written off the loop and its loss is harmless. */
  invalidateEntry(parent: number, name: string): void;
  /**
   * Tells the kernel to forget an inode's attributes and pages.
   * @returns what waits until it has been told, or the mount has ended; undefined where nothing is told
   */
  invalidateInode(ino: number): (() => Promise<void>) | undefined;
  /** From now on every open of this file comes to the file system; a handle that was shared and is not in use is released at once. */
  endSharing(ino: number): void;
  /** Requests being served now. */
  readonly activeRequests: number;
  /** Threads of this process wait for the kernel, which has not let go of the mount: process.exit() would wait for them. */
  readonly isHeld: boolean;
  /** Settles when the mount has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /**
   * Ends the mount. Never blocks the loop.
   * @param how `clean` throws `busy` (the message names who holds it) while files are open; `detach` lets open files end by themselves
   */
  unmount(how: 'clean' | 'detach'): Promise<void>;
}

export interface FuseDriver {
  /**
   * Mounts and serves. Resolves when the kernel's INIT was answered.
   * @throws FilestoreError bad-config (mount point missing, not a directory), busy (already mounted), not-permitted, unavailable
   */
  mount(fileSystem: FileSystem, options: MountOptions): Promise<Mounted>;
}
