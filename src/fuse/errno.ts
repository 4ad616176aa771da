/**
 * The only place that knows errno numbers (Linux, asm-generic/errno.h; the same on x86-64 and arm64). Why each kind has the number it has:
 * native-notes/errno.md.
 */
import type { ErrorKind } from '../base/errors.js';

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EBADF = 9;
export const EAGAIN = 11;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENOTTY = 25;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ENOTEMPTY = 39;
export const EPROTO = 71;
export const EILSEQ = 84;
export const EOPNOTSUPP = 95;
export const ESTALE = 116;

const ERRNO_OF_KIND = {
  'not-found': ENOENT,
  exists: EEXIST,
  'not-directory': ENOTDIR,
  'is-directory': EISDIR,
  'not-empty': ENOTEMPTY,
  'cross-device': EXDEV,
  'invalid-argument': EINVAL,
  'invalid-name': EILSEQ,
  'name-too-long': ENAMETOOLONG,
  'too-large': EFBIG,
  'no-space': ENOSPC,
  'read-only': EROFS,
  'not-permitted': EPERM,
  forbidden: EACCES,
  'bad-credentials': EIO,
  unavailable: EIO,
  corrupt: EIO,
  busy: EBUSY,
  unsupported: EOPNOTSUPP,
  'bad-handle': EBADF,
  stale: ESTALE,
  interrupted: EINTR,
  'bad-config': EIO,
  internal: EIO,
} as const satisfies Record<ErrorKind, number>;

/** @returns the positive errno of a kind. */
export function errnoOf(kind: ErrorKind): number {
  return ERRNO_OF_KIND[kind];
}
