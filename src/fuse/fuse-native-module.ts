/**
 * What is used of the npm package fuse-native 2.2.6 (index.js), which users install themselves. Results are 0 or a positive count, or a
 * negative errno. Its options are joined with commas into one `-o`, so more can be slipped in behind a name.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { FilestoreError } from '../base/errors.js';

type ResultCallback = (result: number) => void;

export interface NativeStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly ino: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

export interface NativeStatfs {
  readonly bsize: number;
  readonly frsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly favail: number;
  readonly namemax: number;
}

/** The operations we give it. Paths are absolute, in UTF-8; times in ms; `fd` is the handle that open or create answered. */
export interface NativeOperations {
  getattr(path: string, done: (result: number, stat?: NativeStat) => void): void;
  readdir(path: string, done: (result: number, names?: readonly string[]) => void): void;
  open(path: string, flags: number, done: (result: number, fd?: number) => void): void;
  create(path: string, mode: number, done: (result: number, fd?: number) => void): void;
  mknod(path: string, mode: number, dev: number, done: ResultCallback): void;
  /** `buffer` belongs to libfuse, and is gone once `done` was called. */
  read(path: string, fd: number, buffer: Buffer, length: number, position: number, done: ResultCallback): void;
  write(path: string, fd: number, buffer: Buffer, length: number, position: number, done: ResultCallback): void;
  flush(path: string, fd: number, done: ResultCallback): void;
  fsync(path: string, datasync: number, fd: number, done: ResultCallback): void;
  release(path: string, fd: number, done: ResultCallback): void;
  truncate(path: string, size: number, done: ResultCallback): void;
  ftruncate(path: string, fd: number, size: number, done: ResultCallback): void;
  utimens(path: string, atimeMs: number, mtimeMs: number, done: ResultCallback): void;
  chmod(path: string, mode: number, done: ResultCallback): void;
  chown(path: string, uid: number, gid: number, done: ResultCallback): void;
  mkdir(path: string, mode: number, done: ResultCallback): void;
  unlink(path: string, done: ResultCallback): void;
  rmdir(path: string, done: ResultCallback): void;
  rename(from: string, to: string, done: ResultCallback): void;
  link(from: string, to: string, done: ResultCallback): void;
  symlink(target: string, path: string, done: ResultCallback): void;
  statfs(path: string, done: (result: number, statfs?: NativeStatfs) => void): void;
}

export interface NativeFuse {
  mount(done: (error: Error | null) => void): void;
  close(done: (error: Error | null) => void): void;
}

export interface NativeFuseClass {
  new (mountPoint: string, operations: NativeOperations, options: Readonly<Record<string, string | boolean>>): NativeFuse;
  /** Runs `fusermount -uz`; called by `close`, and replaced by us, who have unmounted by then. */
  unmount: (mountPoint: string, done: (error: Error | null) => void) => void;
}

/**
 * Looks beside this program, then in the working directory, and in NODE_PATH.
 * @throws FilestoreError bad-config when it is not installed, or libfuse 2 is not
 */
export function loadFuseNative(): NativeFuseClass {
  const reasons: string[] = [];
  for (const from of [import.meta.url, join(process.cwd(), 'index.js')]) {
    try {
      return createRequire(from)('fuse-native') as NativeFuseClass;
    } catch (error) {
      reasons.push((error as Error).message.split('\n')[0] ?? '');
    }
  }
  throw new FilestoreError(
    'bad-config',
    `driver fuse-native: ${reasons[0] ?? ''}; install it with: npm install fuse-native && apt-get install libfuse2 fuse3, or leave --driver out`,
  );
}
