/**
 * The shapes of answers: how each is written, and how it is taken back when the client is gone before it has it (interrupted, killed,
 * past its deadline). A reply the kernel did not take leaves no lookup and no handle behind.
 */
import type { ReadResult } from '../base/read-result.js';
import type { Call } from './call.js';
import type { AttributesAnswer, DirectoryEntry, Entry, FileSystemStatistics, Opened } from './file-system.js';
import { ENTRY_OUT_BYTES, FOPEN, OP, OPEN_OUT_BYTES, OUT_HEADER_BYTES } from './protocol.js';
import { ReplyBuffer } from './reply-buffer.js';
import { ENOENT } from './errno.js';
import type { Session } from './session.js';

export interface ReplyShape<T> {
  /** @returns 0, or a negative errno when the kernel did not take it */
  send(session: Session, call: Call, value: T): number;
  /** Takes the answer back; absent where there is nothing to take. */
  undo?(session: Session, call: Call, value: T): void;
}

export const NOTHING: ReplyShape<void> = {
  send: (session, call) => session.sendPayload(call, 0),
};

export const MAYBE_ENTRY: ReplyShape<Entry | undefined> = {
  send: (session, call, entry) =>
    entry === undefined ? session.sendErrno(call, ENOENT) : session.sendPayload(call, session.out.entry(4, entry)),
  undo: (session, _call, entry) => {
    if (entry !== undefined) session.fileSystem.forget(entry.attributes.ino, 1);
  },
};

export const ENTRY: ReplyShape<Entry> = MAYBE_ENTRY;

export const ATTRIBUTES: ReplyShape<AttributesAnswer> = {
  send: (session, call, answer) => session.sendPayload(call, session.out.attributes(answer)),
};

export const OPENED: ReplyShape<Opened> = {
  send: (session, call, opened) => {
    const openFlags = writeOpened(session, 4, call.ino, opened);
    const result = counted(session, call.ino, session.sendPayload(call, OPEN_OUT_BYTES));
    if (result === 0 && opened.isShareable === true) session.shared.share(call.ino, opened.handle, openFlags);
    return result;
  },
  undo: (session, call, opened) => session.releaseQuietly(call.ino, opened.handle),
};

export const CREATED: ReplyShape<{ entry: Entry; opened: Opened }> = {
  send: (session, call, { entry, opened }) => {
    session.out.entry(4, entry);
    writeOpened(session, 4 + (ENTRY_OUT_BYTES >> 2), entry.attributes.ino, opened);
    return counted(session, entry.attributes.ino, session.sendPayload(call, ENTRY_OUT_BYTES + OPEN_OUT_BYTES));
  },
  undo: (session, _call, { entry, opened }) => {
    session.releaseQuietly(entry.attributes.ino, opened.handle);
    session.fileSystem.forget(entry.attributes.ino, 1);
  },
};

function writeOpened(session: Session, at: number, ino: number, opened: Opened): number {
  const { backingId, isAround } = session.passthrough.open(ino, opened.passthroughFd, opened.directIo);
  let flags = 0;
  if (opened.noFlush) flags |= FOPEN.NOFLUSH;
  if (backingId > 0) flags |= FOPEN.PASSTHROUGH;
  if (isAround) flags |= FOPEN.DIRECT_IO;
  else if (backingId === 0 && opened.keepCache) flags |= FOPEN.KEEP_CACHE;
  session.out.opened(at, opened.handle, flags, backingId);
  return flags;
}

/** What was counted as open is taken back when the reply was not taken. */
function counted(session: Session, ino: number, result: number): number {
  if (result < 0) session.passthrough.release(ino);
  return result;
}

export const OPENED_DIRECTORY: ReplyShape<number> = {
  send: (session, call, handle) => {
    session.out.opened(4, handle, 0, 0);
    const result = session.sendPayload(call, OPEN_OUT_BYTES);
    if (result === 0) session.fileSystem.takeNames(handle);
    return result;
  },
  undo: (session, call, handle) => session.fileSystem.releasedir(call.ino, handle),
};

export const BYTES: ReplyShape<ReadResult> = {
  send: (session, call, result) => {
    if (!(result instanceof Uint8Array)) {
      return session.sendFromFile(call, result.length <= call.sizeBytes ? result : { ...result, length: call.sizeBytes });
    }
    const length = Math.min(result.length, call.sizeBytes);
    session.out.bytes.set(length === result.length ? result : result.subarray(0, length), OUT_HEADER_BYTES);
    return session.sendPayload(call, length);
  },
};

export const WRITTEN: ReplyShape<number> = {
  send: (session, call, written) => {
    session.out.word(4, written);
    session.out.word(5, 0);
    return session.sendPayload(call, 8);
  },
};

export const OFFSET: ReplyShape<number> = {
  send: (session, call, offset) => {
    session.out.u64(4, offset);
    return session.sendPayload(call, 8);
  },
};

export const STATISTICS: ReplyShape<FileSystemStatistics> = {
  send: (session, call, statistics) => session.sendPayload(call, session.out.statistics(statistics)),
};

/** As many entries as fit what the client has room for; it comes back with the last one's cookie for the rest. */
export const DIRECTORY: ReplyShape<readonly DirectoryEntry[]> = {
  send: (session, call, entries) => {
    const plus = call.opcode === OP.READDIRPLUS;
    const end = OUT_HEADER_BYTES + call.sizeBytes;
    const lookedUp: number[] = [];
    let at = OUT_HEADER_BYTES;
    for (const entry of entries) {
      if (at + ReplyBuffer.direntBytes(entry, plus) > end) break;
      if (!plus) {
        at = session.out.dirent(at, entry);
        continue;
      }
      // '.' and '..' are never looked up: the kernel does not count them.
      const isDot = entry.name === '.' || entry.name === '..';
      const known = isDot ? undefined : session.fileSystem.lookupListed(call.ino, entry);
      if (known !== undefined) lookedUp.push(known.attributes.ino);
      at = session.out.dirent(at, entry, known ?? 'unknown');
    }
    const result = session.sendPayload(call, at - OUT_HEADER_BYTES);
    if (result < 0) for (const ino of lookedUp) session.fileSystem.forget(ino, 1);
    return result;
  },
};
