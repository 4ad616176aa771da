/**
 * The kernel's FUSE protocol as numbers: opcodes, flags, sizes, and where fields lie. Source: include/uapi/linux/fuse.h of Linux 6.18
 * (protocol 7.45). All fields are little endian here (x86-64, arm64). A *word* is the index of a u32 from the start of the message;
 * u64 fields take two words, low one first. See native-notes/kernel-protocol.md.
 */
export const PROTOCOL_MAJOR = 7;
export const PROTOCOL_MINOR_MIN = 31;
export const PROTOCOL_MINOR_MAX = 45;

/** What the high word of a u64 counts in. */
export const TWO_32 = 4294967296;

export const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
export const ENTRY_OUT_BYTES = 128;
export const ATTR_OUT_BYTES = 104;
export const OPEN_OUT_BYTES = 16;
export const INIT_OUT_BYTES = 64;
export const STATFS_OUT_BYTES = 80;
export const DIRENT_BYTES = 24;
/** FUSE_WRITE_CACHE: from the page cache, under a handle that the kernel guesses. */
export const WRITE_CACHE = 1 << 0;
export const WRITE_DATA_OFFSET = 80;

/** Bytes of one WRITE; the kernel sends no more. */
export const MAX_WRITE_BYTES = 1 << 20;
export const PAGE_BYTES = 4096;
/** A read of /dev/fuse with less room than max_write and its headers answers EINVAL. */
export const REQUEST_BUFFER_BYTES = MAX_WRITE_BYTES + 2 * PAGE_BYTES;
/** Room for the largest reply: a READ or READDIR of 1 MiB behind its header. */
export const REPLY_BUFFER_BYTES = MAX_WRITE_BYTES + 2 * PAGE_BYTES;

export const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(OP).map(([name, code]) => [code, name.toLowerCase()]));

/** @returns `lookup`, `read`, …; `opcode-N` for one we do not know. */
export function operationName(opcode: number): string {
  return NAMES.get(opcode) ?? `opcode-${opcode}`;
}

/** FUSE_INIT flags, first word. */
export const INIT = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  DO_READDIRPLUS: 1 << 13,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  /** The kernel reads the second word of flags. */
  INIT_EXT: 1 << 30,
} as const;

/** FUSE_INIT flags, second word (bit 32 of the header file is bit 0 here). */
export const INIT2 = {
  DIRECT_IO_ALLOW_MMAP: 1 << 4,
  PASSTHROUGH: 1 << 5,
  OVER_IO_URING: 1 << 9,
} as const;

export const FOPEN = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NOFLUSH: 1 << 5,
  PASSTHROUGH: 1 << 7,
} as const;

/** FUSE_SETATTR valid bits. */
export const FATTR = { MODE: 1, UID: 2, GID: 4, SIZE: 8, ATIME: 16, MTIME: 32, FH: 64, ATIME_NOW: 128, MTIME_NOW: 256 } as const;
export const GETATTR_FH = 1;
export const RENAME_NOREPLACE = 1;

/** open(2) flags as the kernel sends them. */
export const O = { ACCMODE: 3, WRONLY: 1, RDWR: 2, EXCL: 0o200, TRUNC: 0o1000, APPEND: 0o2000 } as const;
export const S_IFMT = 0o170000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
/** What st_blocks counts in (stat(2)). */
export const STAT_BLOCK_BYTES = 512;
export const DT_DIRECTORY = 4;
export const DT_FILE = 8;
export const SEEK = { DATA: 3, HOLE: 4 } as const;

export const NOTIFY_INVAL_INODE = 2;
export const NOTIFY_INVAL_ENTRY = 3;

/** Fewest bytes of a request, header included; a shorter one is malformed. Names add at least their NUL. */
export const LEAST_BYTES: ReadonlyMap<number, number> = new Map<number, number>([
  [OP.LOOKUP, 42],
  [OP.FORGET, 48],
  [OP.GETATTR, 56],
  [OP.SETATTR, 128],
  [OP.MKNOD, 58],
  [OP.MKDIR, 50],
  [OP.UNLINK, 42],
  [OP.RMDIR, 42],
  [OP.RENAME, 52],
  [OP.OPEN, 48],
  [OP.READ, 80],
  [OP.WRITE, 80],
  [OP.RELEASE, 64],
  [OP.FSYNC, 56],
  [OP.LISTXATTR, 48],
  [OP.FLUSH, 64],
  [OP.INIT, 56],
  [OP.OPENDIR, 48],
  [OP.READDIR, 80],
  [OP.RELEASEDIR, 64],
  [OP.FSYNCDIR, 56],
  [OP.ACCESS, 48],
  [OP.CREATE, 58],
  [OP.INTERRUPT, 48],
  [OP.BATCH_FORGET, 48],
  [OP.FALLOCATE, 72],
  [OP.READDIRPLUS, 80],
  [OP.RENAME2, 60],
  [OP.LSEEK, 64],
]);
