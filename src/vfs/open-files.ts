/**
 * Opening, reading, writing and closing.
 *
 * One inode is read by the kernel in one way at a time (Linux fs/fuse/iomode.c answers EIO to a mixture): from its page cache, or straight
 * from a local file (passthrough). The first open decides; a later one that cannot follow goes around the page cache (`directIo`), which
 * agrees with both.
 *
 *                 nothing open        cached ones open      a passthrough one open
 *   big, whole    passthrough         cached                passthrough
 *   otherwise     cached              cached                direct
 *   streaming     direct              direct                direct
 *   writer of a blob, and who opens it to read meanwhile: always direct. The kernel keeps pages by inode, and these share one: what is written before
 *   it hashes to the name must not be read from those pages. (A program may map them all the same.) Who reads it already keeps his inode to himself:
 *   its size would be the writer's, and so the end of what the kernel reads from its pages.
 */
import { FilestoreError, kindOf } from '../base/errors.js';
import { andThen, type Answer } from '../base/maybe-promise.js';
import { displayName } from '../base/names.js';
import type { ReadResult } from '../base/read-result.js';
import type { OpenFile } from '../filestore/filestore.js';
import type { Caller, Entry, OpenFlags, Opened } from '../fuse/file-system.js';
import { entryAnswer } from './attributes.js';
import { assertSize, pathOf, placeOf, requesterOf, writerOf, type VfsContext } from './context.js';
import { FileHandle } from './file-handle.js';
import type { Node } from './node.js';

/** Below this a kept page cache is faster than passthrough, whose reads make every later stat a request. */
const PASSTHROUGH_FROM_BYTES = 1024 * 1024;

/**
 * open(2) checks the rights of the file it has just made, and would ask for its attributes again. Nobody sees old ones for it: a write by the kernel ends them,
 * and who comes by the name looks it up, for that was told to be valid for no time.
 */
const CREATED_VALID_MS = 100;
/** Within this a writer who was sent back has looked the name up, unless he was killed. */
const SENT_BACK_MS = 1_000;
/** And at last. */
const SENT_BACK_MAX_MS = 60_000;

export class OpenFiles {
  readonly #context: VfsContext;
  /** Threads, and the path for which each was sent back, until they come or are forgotten: the kernel does not hide that twice. */
  readonly #sentBack = new Map<string, NodeJS.Timeout>();

  constructor(context: VfsContext) {
    this.#context = context;
  }

  open(caller: Caller, ino: number, flags: OpenFlags): Answer<Opened> {
    const node = this.#context.table.get(ino);
    if (node.kind === 'directory') throw new FilestoreError('is-directory', 'a directory cannot be opened as a file');
    if (flags.write) {
      this.#context.mounted?.endSharing(ino);
      this.#keepFromReaders(node, caller);
    }
    return andThen(this.#openFile(caller, node, flags), (file) => {
      if (flags.truncate) this.#changed(node);
      if (file.wholeBytes !== undefined) return this.#opened(node, file, flags, caller, file.wholeBytes);
      if (file.passthroughFd === undefined || flags.write) return this.#opened(node, file, flags, caller, 0);
      return orRelease(file, () => andThen(file.stat(), (stat) => this.#opened(node, file, flags, caller, stat.sizeBytes)));
    });
  }

  /**
   * The kernel opens what a LOOKUP has shown, and takes O_CREAT out of the flags. A blob that its writer was shown while it had it open may be gone: the
   * kernel, told `stale`, looks again, and makes the file or says ENOENT itself (Linux fs/namei.c, do_filp_open).
   */
  #openFile(caller: Caller, node: Node, flags: OpenFlags): Answer<OpenFile> {
    const [path, requester] = [pathOf(node), requesterOf(caller)];
    const gone = (error: unknown): Answer<OpenFile> => {
      if (kindOf(error) !== 'not-found') throw error;
      if (this.#context.filestore.isImmutable(path) && writerOf(node, caller) !== undefined) {
        // Still being written by who opens it once more. To look again would show it again, so a reader is told what others are.
        if (!flags.write) throw error;
        // A second writer has bytes of its own, as by CREATE.
        return this.#context.filestore.create(path, { mode: 0, exclusive: false, read: flags.read }, requester);
      }
      throw new FilestoreError('stale', `${displayName(path)} is not there any more`, { cause: error });
    };
    try {
      const mode = { read: flags.read, write: flags.write, truncate: flags.truncate };
      const file = this.#context.filestore.open(path, mode, requester);
      return file instanceof Promise ? file.catch(gone) : file;
    } catch (error) {
      return gone(error);
    }
  }

  /** @throws FilestoreError stale for a writer of a blob that is being read: the kernel looks the name up again, once, and finds another inode */
  #keepFromReaders(node: Node, { pid }: Caller): void {
    const { parent, name, path } = node;
    // Where nobody can be told from another, one might be sent back twice, and his write be refused.
    if (pid === 0 || parent === undefined || path === undefined || !this.#isBlob(node)) return;
    const who = `${pid} ${path}`;
    // Else it would forget his next coming in the midst of that.
    clearTimeout(this.#sentBack.get(who));
    if (this.#sentBack.delete(who) || !isBeingRead(node)) return;
    // One that another writer has made may have readers of its own by now.
    const current = parent.child(name);
    if (current === undefined || isBeingRead(current)) {
      const { table } = this.#context;
      const other = table.displacing(parent, name, 'file');
      other.isForWriter = true;
      setTimeout(() => {
        other.isForWriter = false;
        if (table.peek(other.ino) === other) table.settle(other);
      }, SENT_BACK_MS).unref();
    }
    this.#sentBack.set(who, setTimeout(() => this.#sentBack.delete(who), SENT_BACK_MAX_MS).unref());
    throw new FilestoreError('stale', `${displayName(name)} is being read; its writer gets an inode of his own`);
  }

  /** CREATE: a new file, or an existing one emptied when the kernel did not know of it. */
  create(caller: Caller, parentIno: number, name: string, mode: number, flags: OpenFlags): Answer<{ entry: Entry; opened: Opened }> {
    const { parent, path } = placeOf(this.#context, parentIno, name);
    const options = { mode, exclusive: flags.exclusive, read: flags.read };
    return andThen(this.#context.filestore.create(path, options, requesterOf(caller)), (file) =>
      orRelease(file, () =>
        andThen(file.stat(), (stat) => {
          const { table, filestore, owner } = this.#context;
          const known = parent.child(name);
          if (known !== undefined) this.#context.mounted?.endSharing(known.ino);
          // Two writers of one content name have bytes of their own, so they must not share an inode and its pages.
          const isTaken = filestore.isImmutable(path) && known?.isOpen === true;
          const node = isTaken ? table.displacing(parent, name, 'file') : table.at(parent, name, 'file');
          parent.version++;
          const opened = this.#opened(node, file, { ...flags, write: true }, caller, 0);
          return { entry: { ...entryAnswer(node, stat, owner), attributesValidMs: CREATED_VALID_MS }, opened };
        }),
      ),
    );
  }

  /** MKNOD of a regular file: created and closed again. */
  mknod(caller: Caller, parentIno: number, name: string, mode: number): Answer<Entry> {
    const { parent, path } = placeOf(this.#context, parentIno, name);
    const options = { mode, exclusive: true, read: false };
    return andThen(this.#context.filestore.create(path, options, requesterOf(caller)), (file) =>
      orRelease(file, () =>
        andThen(file.flush(), () =>
          andThen(file.stat(), (stat) =>
            andThen(file.release(), () => {
              parent.version++;
              const node = this.#context.table.at(parent, name, 'file');
              return entryAnswer(node, { ...stat, validMs: 0 }, this.#context.owner);
            }),
          ),
        ),
      ),
    );
  }

  read(caller: Caller, handle: number, offset: number, length: number): Answer<ReadResult> {
    const { file } = this.#context.files.get(handle);
    // Asking for the caller's signal makes one, which costs more than the whole of a read that waits for nothing.
    return file.readNow?.(offset, length) ?? file.read(offset, length, caller.signal);
  }

  write(handle: number, offset: number, data: Uint8Array, isFromPages: boolean): Answer<number> {
    const open = this.#writer(handle);
    assertSize(offset + data.length);
    open.hasPages ||= isFromPages;
    return open.file.write(offset, data);
  }

  flush(handle: number): Answer<void> {
    const open = this.#context.files.get(handle);
    if (!open.writes) return;
    return andThen(open.file.flush(), () => this.#changed(open.node));
  }

  fsync(handle: number): Answer<void> {
    return this.#context.files.get(handle).file.fsync();
  }

  release(handle: number): Answer<void> {
    const open = this.#context.files.remove(handle);
    if (open === undefined) return;
    const { node } = open;
    if (open.writes) this.#changed(node);
    // Whatever they hold, who reads the blob next gets its own bytes.
    if (open.hasPages && this.#isBlob(node)) this.#context.mounted?.invalidateInode(node.ino);
    // The handle is gone in this turn of the loop, however long the file takes: no later request may be answered from it.
    node.removeHandle(open);
    this.#context.table.settle(node);
    return open.file.release();
  }

  /** Only what can be kept: a file as long as asked for. Room is not reserved, the spool's own limits answer a write without room. */
  fallocate(handle: number, mode: number, offset: number, length: number): Answer<void> {
    const { file } = this.#writer(handle);
    if (mode !== 0) throw new FilestoreError('unsupported', `fallocate mode ${mode}: a file can only be made longer`);
    assertSize(offset + length);
    return andThen(file.stat(), (stat) => (offset + length > stat.sizeBytes ? file.truncate(offset + length) : undefined));
  }

  #writer(handle: number): FileHandle {
    const open = this.#context.files.get(handle);
    if (!open.writes) throw new FilestoreError('bad-handle', `handle ${handle} is not open for writing`);
    return open;
  }

  /** Listings begun before this moment know old attributes. */
  #changed(node: Node): void {
    if (node.parent !== undefined) node.parent.version++;
  }

  #isBlob({ path }: Node): boolean {
    return path !== undefined && this.#context.filestore.isImmutable(path);
  }

  #opened(node: Node, file: OpenFile, flags: OpenFlags, caller: Caller, sizeBytes: number): Opened {
    const passthroughFd = !flags.write && file.immutable && sizeBytes >= PASSTHROUGH_FROM_BYTES ? file.passthroughFd : undefined;
    const mustGoAround = file.streaming || ((flags.write || node.isForWriter || node.latestWriter !== undefined) && this.#isBlob(node));
    const reading = readingMode(node, passthroughFd !== undefined, mustGoAround);
    // A reader may have come between the request for it and its opening.
    if (flags.write) this.#context.mounted?.endSharing(node.ino);
    const handle = new FileHandle(node, file, flags.write, reading, caller.pid);
    node.addHandle(handle);
    const isShareable = !flags.write && reading === 'cached' && file.wholeBytes !== undefined && node.wasRead;
    node.wasRead ||= !flags.write;
    const opened: Opened = {
      handle: this.#context.files.add(handle),
      keepCache: file.immutable && !flags.write,
      directIo: reading === 'direct',
      noFlush: !flags.write,
      ...(isShareable && { isShareable }),
    };
    return reading === 'passthrough' && passthroughFd !== undefined ? { ...opened, passthroughFd } : opened;
  }
}

/** Also by who reads around the pages: what he is told of its size is the inode's. */
function isBeingRead(node: Node): boolean {
  return node.latestHandle((handle) => !handle.writes || handle.reading !== 'direct') !== undefined;
}

function readingMode(node: Node, canPassThrough: boolean, mustGoAround: boolean): 'cached' | 'direct' | 'passthrough' {
  if (mustGoAround) return 'direct';
  if (node.latestHandle((handle) => handle.reading === 'cached') !== undefined) return 'cached';
  if (canPassThrough) return 'passthrough';
  return node.latestHandle((handle) => handle.reading === 'passthrough') === undefined ? 'cached' : 'direct';
}

/** Goes on with an open file, and closes it when that fails: nobody else would. */
function orRelease<T>(file: OpenFile, work: () => Answer<T>): Answer<T> {
  const giveUp = (error: unknown): Answer<T> =>
    andThen(file.release(), () => {
      throw error;
    });
  try {
    const answer = work();
    return answer instanceof Promise ? answer.catch(giveUp) : answer;
  } catch (error) {
    return giveUp(error);
  }
}
