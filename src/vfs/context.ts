/** What the parts of a mount's file system share, and the questions all of them ask. */
import { FilestoreError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { assertName, displayName, joinPath } from '../base/names.js';
import type { Filestore, Requester, Stat } from '../filestore/filestore.js';
import type { Mounted } from '../fuse/driver.js';
import type { Caller } from '../fuse/file-system.js';
import type { Owner } from './attributes.js';
import { HandleTable, type FileHandle } from './file-handle.js';
import { InodeTable } from './inode-table.js';
import type { Node } from './node.js';

export interface VfsContext {
  readonly filestore: Filestore;
  readonly owner: Owner;
  readonly log: Log;
  readonly table: InodeTable;
  readonly files: HandleTable<FileHandle>;
  /** Set by `attach`: the kernel that is told what it must ask for again. */
  mounted: Mounted | undefined;
}

export function createContext(filestore: Filestore, owner: Owner, log: Log): VfsContext {
  return { filestore, owner, log, table: new InodeTable(), files: new HandleTable(), mounted: undefined };
}

/** The caller itself: its signal is made when somebody asks for it, which what is answered at once never does. */
export function requesterOf(caller: Caller): Requester {
  return caller;
}

/** @throws FilestoreError stale when no name leads to the node any more; the kernel then looks the name up again */
export function pathOf(node: Node): string {
  const path = node.path;
  if (path === undefined) throw new FilestoreError('stale', `${displayName(node.name)}: this name is gone`);
  return path;
}

/** A name in a directory that the kernel names by number. */
export interface Place {
  readonly parent: Node;
  readonly name: string;
  readonly path: string;
}

/** @throws FilestoreError not-directory, not-found (the directory was removed), name-too-long, invalid-argument, stale */
export function placeOf(context: VfsContext, parentIno: number, name: string): Place {
  assertName(name);
  const parent = context.table.get(parentIno);
  if (parent.kind !== 'directory') throw new FilestoreError('not-directory', `${displayName(parent.name)} is not a directory`);
  const directory = parent.path;
  if (directory === undefined) throw new FilestoreError('not-found', `${displayName(name)}: its directory was removed`);
  return { parent, name, path: joinPath(directory, name) };
}

/** A removed directory that somebody still stands in: the kernel asks for its mode before it refuses to make anything there (ENOENT). */
const REMOVED_DIRECTORY = { kind: 'directory', sizeBytes: 0, mode: 0o755, validMs: 0 } as const;

/**
 * What a node is now. An open file is asked itself, because its name may be gone, or may not be there yet:
 * the bytes being written under a content name are the writer's alone until they hash to it.
 * @throws FilestoreError stale, not-found, unavailable
 */
export function statOf(context: VfsContext, node: Node, caller: Caller): Answer<Stat> {
  const path = node.path;
  const writer = node.latestWriter;
  if (path === undefined) {
    if (node.kind === 'directory') return { ...REMOVED_DIRECTORY, mtimeMs: Date.now() };
    const open = writer ?? node.latestHandle(() => true);
    if (open === undefined) throw new FilestoreError('stale', `${displayName(node.name)}: this name is gone`);
    return open.file.stat();
  }
  if (writer !== undefined) {
    const answering = context.filestore.isImmutable(path) ? writerOf(node, caller) : writer;
    if (answering !== undefined) return answering.file.stat();
  }
  return andThen(context.filestore.lookup(path, requesterOf(caller)), (stat) => {
    if (stat !== undefined) return stat;
    // Deleted by another node, or not sealed yet: who holds it open goes on seeing it.
    const open = node.latestWriter ?? node.latestHandle(() => true);
    if (open !== undefined) return open.file.stat();
    throw new FilestoreError('not-found', `${displayName(path)} is not there`);
  });
}

/**
 * Sizes and offsets are numbers, exact below 2^53. Node writes where the file stands, and says nothing, when it is given a larger one.
 * @throws FilestoreError too-large
 */
export function assertSize(sizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes)) throw new FilestoreError('too-large', 'no file can have 2^53 bytes or more');
}

/** The handle by which the asking process writes a node. */
export function writerOf(node: Node, caller: Caller): FileHandle | undefined {
  return node.latestHandle((handle) => handle.writes && handle.isOpenedBy(caller));
}
