/** A vfs over a filestore in memory, and the kernel's side of the conversation in short. */
import { SILENT_LOG } from '../../../src/base/log.js';
import { ROOT_INO, type Caller, type Entry, type OpenFlags } from '../../../src/fuse/file-system.js';
import { createVfs, type Vfs } from '../../../src/vfs/vfs.js';
import { MemoryFilestore, type MemoryFilestoreOptions } from '../../helpers/memory-filestore.js';

export const READ: OpenFlags = { read: true, write: false, append: false, truncate: false, exclusive: false };
export const WRITE: OpenFlags = { ...READ, read: false, write: true };
export const READ_WRITE: OpenFlags = { ...READ, write: true };

export function callerOf(pid: number = process.pid): Caller {
  return { uid: 0, gid: 0, pid, signal: new AbortController().signal };
}

export interface Harness {
  readonly filestore: MemoryFilestore;
  readonly vfs: Vfs;
  readonly me: Caller;
  /** Walks with one LOOKUP a name; the last entry, whose lookups stay. */
  find(path: string): Promise<Entry | undefined>;
  /** As `find`, but the name must be there. */
  at(path: string): Promise<Entry>;
  makeFile(path: string, content?: string): Promise<Entry>;
}

export function harness(options: MemoryFilestoreOptions = {}): Harness {
  const filestore = new MemoryFilestore(options);
  const vfs = createVfs(filestore, { uid: 33, gid: 34, log: SILENT_LOG });
  const me = callerOf();
  const find = async (path: string): Promise<Entry | undefined> => {
    let parent = ROOT_INO;
    let entry: Entry | undefined;
    for (const name of path.split('/')) {
      entry = await vfs.lookup(me, parent, name);
      if (entry === undefined) return undefined;
      parent = entry.attributes.ino;
    }
    return entry;
  };
  const at = async (path: string): Promise<Entry> => {
    const entry = await find(path);
    if (entry === undefined) throw new Error(`${path} is not there`);
    return entry;
  };
  const makeFile = async (path: string, content = ''): Promise<Entry> => {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? ROOT_INO : (await at(path.slice(0, slash))).attributes.ino;
    const { entry, opened } = await vfs.create(me, parent, path.slice(slash + 1), 0o644, WRITE);
    await vfs.write(me, entry.attributes.ino, opened.handle, 0, Buffer.from(content));
    await vfs.flush(me, entry.attributes.ino, opened.handle);
    await vfs.release(entry.attributes.ino, opened.handle);
    return entry;
  };
  return { filestore, vfs, me, find, at, makeFile };
}
