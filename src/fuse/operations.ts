/**
 * The dispatch table: each operation unwraps its request, calls the file system, and hands the answer to a reply shape. No meaning lives
 * here. Field positions are words of the request (protocol.ts); their source is include/uapi/linux/fuse.h.
 */
import { FilestoreError } from '../base/errors.js';
import { andThen } from '../base/maybe-promise.js';
import type { Call } from './call.js';
import { EINVAL, ENOSYS, ENOTTY, ENXIO, EPERM } from './errno.js';
import type { SetAttributes } from './file-system.js';
import { openFlagsOf } from './open-flags.js';
import {
  FATTR,
  GETATTR_FH,
  MAX_WRITE_BYTES,
  OP,
  RENAME_NOREPLACE,
  S_IFMT,
  S_IFREG,
  SEEK,
  WRITE_CACHE,
  WRITE_DATA_OFFSET,
} from './protocol.js';
import * as reply from './replies.js';
import type { RequestView } from './request.js';
import type { Session } from './session.js';

type Operation = (session: Session, call: Call, request: RequestView) => void;

/** Operations that change something: they are not given up for a signal that does not kill, since half done is worse than late. */
export const MUTATING: ReadonlySet<number> = new Set([
  OP.SETATTR,
  OP.MKNOD,
  OP.MKDIR,
  OP.UNLINK,
  OP.RMDIR,
  OP.RENAME,
  OP.RENAME2,
  OP.CREATE,
  OP.WRITE,
  OP.FLUSH,
  OP.FSYNC,
  OP.FSYNCDIR,
  OP.FALLOCATE,
  OP.RELEASE,
]);

const OPERATIONS = new Map<number, Operation>([
  [OP.LOOKUP, (s, call, r) => s.answer(call, s.fileSystem.lookup(call, call.ino, r.name(40)), reply.MAYBE_ENTRY)],
  [OP.GETATTR, (s, call, r) => s.answer(call, s.fileSystem.getattr(call, call.ino, getattrHandle(r)), reply.ATTRIBUTES)],
  [OP.SETATTR, (s, call, r) => s.answer(call, s.fileSystem.setattr(call, call.ino, changes(r), setattrHandle(r)), reply.ATTRIBUTES)],
  [OP.ACCESS, (s, call, r) => s.answer(call, s.fileSystem.access(call, call.ino, r.word(10)), reply.NOTHING)],

  [OP.OPEN, open],
  [OP.CREATE, create],
  [OP.READ, read],
  [OP.WRITE, write],
  [OP.FLUSH, (s, call, r) => s.answer(call, s.fileSystem.flush(call, call.ino, r.u64(10)), reply.NOTHING)],
  [OP.FSYNC, (s, call, r) => s.answer(call, s.fileSystem.fsync(call, call.ino, r.u64(10)), reply.NOTHING)],
  [OP.RELEASE, release],
  [OP.FALLOCATE, fallocate],
  [OP.LSEEK, lseek],

  [OP.MKNOD, mknod],
  [OP.MKDIR, (s, call, r) => s.answer(call, s.fileSystem.mkdir(call, call.ino, r.name(48), r.word(10) & 0o7777), reply.ENTRY)],
  [OP.UNLINK, (s, call, r) => s.answer(call, s.fileSystem.unlink(call, call.ino, r.name(40)), reply.NOTHING)],
  [OP.RMDIR, (s, call, r) => s.answer(call, s.fileSystem.rmdir(call, call.ino, r.name(40)), reply.NOTHING)],
  [OP.RENAME, (s, call, r) => rename(s, call, r, 48, 0)],
  [OP.RENAME2, (s, call, r) => rename(s, call, r, 56, r.word(12))],

  [OP.OPENDIR, (s, call) => s.answer(call, s.fileSystem.opendir(call, call.ino), reply.OPENED_DIRECTORY)],
  [OP.READDIR, readdir],
  [OP.READDIRPLUS, readdir],
  [OP.RELEASEDIR, releasedir],
  [OP.FSYNCDIR, (s, call) => s.answer(call, undefined, reply.NOTHING)],
  [OP.STATFS, (s, call) => s.answer(call, s.fileSystem.statfs(call, call.ino), reply.STATISTICS)],

  // Refusals. ENOSYS is remembered by the kernel for the life of the mount, and it then does what is right without us: attributes it does
  // not have (EOPNOTSUPP), copying by reading and writing. Hard links are refused so that Odoo copies; there are no symbolic links.
  [OP.GETXATTR, refuse(ENOSYS)],
  [OP.SETXATTR, refuse(ENOSYS)],
  [OP.REMOVEXATTR, refuse(ENOSYS)],
  [OP.LISTXATTR, listxattr],
  [OP.COPY_FILE_RANGE, refuse(ENOSYS)],
  [OP.POLL, refuse(ENOSYS)],
  // Python asks TCGETS of every file it opens.
  [OP.IOCTL, refuse(ENOTTY)],
  [OP.LINK, refuse(EPERM)],
  [OP.SYMLINK, refuse(EPERM)],
  [OP.READLINK, refuse(EINVAL)],
  [OP.DESTROY, (s, call) => s.answer(call, undefined, reply.NOTHING)],
]);

/** @returns undefined for an operation this server does not know: ENOSYS */
export function operationOf(opcode: number): Operation | undefined {
  return OPERATIONS.get(opcode);
}

function refuse(errno: number): Operation {
  return (session, call) => void session.sendErrno(call, errno);
}

function getattrHandle(r: RequestView): number | undefined {
  return (r.word(10) & GETATTR_FH) !== 0 ? r.u64(12) : undefined;
}

function setattrHandle(r: RequestView): number | undefined {
  return (r.word(10) & FATTR.FH) !== 0 ? r.u64(12) : undefined;
}

function changes(r: RequestView): SetAttributes {
  const valid = r.word(10);
  const atimeMs = (valid & FATTR.ATIME_NOW) !== 0 ? 'now' : (valid & FATTR.ATIME) !== 0 ? r.i64(18) * 1000 + r.word(24) / 1e6 : undefined;
  const mtimeMs = (valid & FATTR.MTIME_NOW) !== 0 ? 'now' : (valid & FATTR.MTIME) !== 0 ? r.i64(20) * 1000 + r.word(25) / 1e6 : undefined;
  return {
    ...((valid & FATTR.MODE) !== 0 && { mode: r.word(27) & 0o7777 }),
    ...((valid & FATTR.UID) !== 0 && { uid: r.word(29) }),
    ...((valid & FATTR.GID) !== 0 && { gid: r.word(30) }),
    ...((valid & FATTR.SIZE) !== 0 && { sizeBytes: r.u64(14) }),
    ...(atimeMs !== undefined && { atimeMs }),
    ...(mtimeMs !== undefined && { mtimeMs }),
  };
}

function open(s: Session, call: Call, r: RequestView): void {
  s.answer(call, s.fileSystem.open(call, call.ino, openFlagsOf(r.word(10))), reply.OPENED);
}

function create(s: Session, call: Call, r: RequestView): void {
  s.answer(call, s.fileSystem.create(call, call.ino, r.name(56), r.word(11) & 0o7777, openFlagsOf(r.word(10))), reply.CREATED);
}

function read(s: Session, call: Call, r: RequestView): void {
  call.sizeBytes = Math.min(r.word(14), MAX_WRITE_BYTES);
  s.answer(call, s.fileSystem.read(call, call.ino, r.u64(10), r.u64(12), call.sizeBytes), reply.BYTES);
}

function write(s: Session, call: Call, r: RequestView): void {
  const data = r.data(WRITE_DATA_OFFSET, r.word(14));
  s.answer(call, s.fileSystem.write(call, call.ino, r.u64(10), r.u64(12), data, (r.word(15) & WRITE_CACHE) !== 0), reply.WRITTEN);
}

function release(s: Session, call: Call, r: RequestView): void {
  s.passthrough.release(call.ino);
  s.answer(call, s.fileSystem.release(call.ino, r.u64(10)), reply.NOTHING);
}

function releasedir(s: Session, call: Call, r: RequestView): void {
  s.fileSystem.releasedir(call.ino, r.u64(10));
  s.answer(call, undefined, reply.NOTHING);
}

function readdir(s: Session, call: Call, r: RequestView): void {
  call.sizeBytes = Math.min(r.word(14), MAX_WRITE_BYTES);
  s.answer(call, s.fileSystem.readdir(call, call.ino, r.u64(10), r.u64(12), call.sizeBytes), reply.DIRECTORY);
}

function mknod(s: Session, call: Call, r: RequestView): void {
  const kind = r.word(10) & S_IFMT;
  if (kind !== 0 && kind !== S_IFREG) {
    s.sendErrno(call, EPERM);
    return;
  }
  s.answer(call, s.fileSystem.mknod(call, call.ino, r.name(56), r.word(10) & 0o7777), reply.ENTRY);
}

function rename(s: Session, call: Call, r: RequestView, namesAt: number, flags: number): void {
  // RENAME_EXCHANGE and RENAME_WHITEOUT are optional for a file system: EINVAL says so (rename(2)).
  if ((flags & ~RENAME_NOREPLACE) !== 0) {
    s.sendErrno(call, EINVAL);
    return;
  }
  const name = r.name(namesAt);
  const newName = r.name(namesAt + name.length + 1);
  const options = { noReplace: (flags & RENAME_NOREPLACE) !== 0 };
  call.otherDirectory = r.u64(10);
  s.answer(call, s.fileSystem.rename(call, call.ino, name, call.otherDirectory, newName, options), reply.NOTHING);
}

function fallocate(s: Session, call: Call, r: RequestView): void {
  s.answer(call, s.fileSystem.fallocate(call, call.ino, r.u64(10), r.word(16), r.u64(12), r.u64(14)), reply.NOTHING);
}

/** Files here have no holes: data from the start, one hole at the end (lseek(2)). */
function lseek(s: Session, call: Call, r: RequestView): void {
  const offset = r.u64(12);
  const whence = r.word(14);
  if (whence !== SEEK.DATA && whence !== SEEK.HOLE) {
    s.sendErrno(call, EINVAL);
    return;
  }
  const handle = r.u64(10);
  const size = andThen(s.fileSystem.getattr(call, call.ino, handle), (answer) => answer.attributes.sizeBytes);
  const found = andThen(size, (sizeBytes) => (offset >= sizeBytes ? -1 : whence === SEEK.DATA ? offset : sizeBytes));
  s.answer(call, found, {
    send: (session, asked, value) => (value < 0 ? session.sendErrno(asked, ENXIO) : reply.OFFSET.send(session, asked, value)),
  });
}

/** No extended attributes: an empty list, so that copying programs go on. */
function listxattr(s: Session, call: Call, r: RequestView): void {
  if (r.word(10) !== 0) {
    s.sendPayload(call, 0);
    return;
  }
  s.out.word(4, 0);
  s.out.word(5, 0);
  s.sendPayload(call, 8);
}

/** Thrown by the session for a request that ends before its fields do. */
export function malformed(call: Call): FilestoreError {
  return new FilestoreError('invalid-argument', `operation ${call.opcode}: the request is too short`);
}
