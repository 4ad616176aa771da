/**
 * One closed list of what can go wrong. Layers throw kinds, never errno numbers or HTTP codes; `fuse/errno.ts` and `cli/exit-codes.ts`
 * map every kind (`satisfies Record<ErrorKind, …>`, so an unmapped kind does not compile).
 *
 * INVARIANT: `not-found` is thrown only where every residence answered "no". "Don't know" is `unavailable` (Swift silent) or `corrupt`
 * (bytes that do not hash to their name); both are EIO, never ENOENT.
 */
export const ERROR_KINDS = [
  'not-found',
  'exists',
  'not-directory',
  'is-directory',
  'not-empty',
  'cross-device',
  'invalid-argument',
  'invalid-name',
  'name-too-long',
  'too-large',
  'no-space',
  'read-only',
  'not-permitted',
  'forbidden',
  'bad-credentials',
  'unavailable',
  'corrupt',
  'busy',
  'unsupported',
  'bad-handle',
  'stale',
  'interrupted',
  'bad-config',
  'internal',
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

/** An error that carries its kind. The message names the thing and, where there is one, the remedy. */
export class FilestoreError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'FilestoreError';
    this.kind = kind;
  }
}

/**
 * `unavailable` for what was asked, although the store answers: one container is missing, or Swift limits our rate. It is no outage, so that
 * nobody else is kept waiting for it.
 */
export class StoreAnswered extends FilestoreError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('unavailable', message, options);
    this.name = 'StoreAnswered';
  }
}

/** The store answers, and cannot give or take this one thing now; in a moment it may. */
export class StoreFaltered extends StoreAnswered {}

/** `unavailable`, and nothing is known of the store: it was not asked, because all our connections were at work until the time was over. */
export class StoreNotAsked extends FilestoreError {
  constructor(message: string) {
    super('unavailable', message);
    this.name = 'StoreNotAsked';
  }
}

/** `unavailable`, and nothing is known of the store: a disk of this machine failed before or after it was asked. */
export class DiskFailed extends FilestoreError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('unavailable', message, options);
    this.name = 'DiskFailed';
  }
}

/** @returns the kind of any thrown value; what is not ours is `internal`. */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof FilestoreError) return error.kind;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? (KIND_OF_SYSTEM_CODE[code] ?? 'internal') : 'internal';
}

/** What Node's file system calls on our own spool, cache and origins throw. EIO of a local disk is "don't know", never "no". */
const KIND_OF_SYSTEM_CODE: Readonly<Record<string, ErrorKind>> = {
  ENOENT: 'not-found',
  EEXIST: 'exists',
  ENOTDIR: 'not-directory',
  EISDIR: 'is-directory',
  ENOTEMPTY: 'not-empty',
  EXDEV: 'cross-device',
  EINVAL: 'invalid-argument',
  ENAMETOOLONG: 'name-too-long',
  EFBIG: 'too-large',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
  EROFS: 'read-only',
  EPERM: 'not-permitted',
  EACCES: 'forbidden',
  EBUSY: 'busy',
  EIO: 'unavailable',
};

/** What a path is told that can never be what an option wants of it, whatever becomes of its disk. */
const WRONG_PATH: readonly ErrorKind[] = ['not-found', 'is-directory', 'not-directory', 'exists', 'name-too-long', 'invalid-argument'];

/** @returns the kind of what was thrown at the path that an option names: `bad-config` where another path is the remedy */
export function kindOfOptionPath(error: unknown): ErrorKind {
  const kind = kindOf(error);
  return WRONG_PATH.includes(kind) ? 'bad-config' : kind;
}

/** @returns the message of any thrown value in one line, for logs and for messages that wrap it: Node's have paths in them, and a file may be named so. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/[\r\n]+/g, ' ');
}

/** @returns any thrown value as an error, itself where it is one */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new FilestoreError('internal', messageOf(thrown));
}

/** The `default` of a switch over a closed union: does not compile when a case is missing. */
export function unreachable(value: never): never {
  throw new FilestoreError('internal', `unexpected value ${JSON.stringify(value)}`);
}
