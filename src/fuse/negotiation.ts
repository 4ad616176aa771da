/** INIT: what the kernel offers and what we take. Layout: struct fuse_init_in / fuse_init_out, linux/fuse.h. */
import {
  INIT,
  INIT2,
  INIT_OUT_BYTES,
  MAX_WRITE_BYTES,
  PAGE_BYTES,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR_MAX,
  PROTOCOL_MINOR_MIN,
} from './protocol.js';
import type { ReplyBuffer } from './reply-buffer.js';
import type { RequestView } from './request.js';

export interface Negotiated {
  readonly minor: number;
  readonly maxReadaheadBytes: number;
  readonly flags: number;
  readonly flags2: number;
  readonly hasPassthrough: boolean;
  /** Requests come through io_uring from now on. */
  readonly hasRing: boolean;
}

/**
 * Without READDIRPLUS_AUTO each read of a directory is a READDIRPLUS. With it only the first is, until a name is looked up: who reads all names
 * of a directory before it asks for the first (tar, du, ls -l) had to look up one by one what did not fit the first reply.
 * HANDLE_KILLPRIV, EXPLICIT_INVAL_DATA, POSIX_LOCKS and WRITEBACK_CACHE are left out on purpose: native-notes/kernel-protocol.md.
 */
const WANTED =
  INIT.ASYNC_READ |
  INIT.ATOMIC_O_TRUNC |
  INIT.BIG_WRITES |
  INIT.DO_READDIRPLUS |
  INIT.ASYNC_DIO |
  INIT.PARALLEL_DIROPS |
  INIT.MAX_PAGES |
  INIT.INIT_EXT;
const WANTED2 = INIT2.DIRECT_IO_ALLOW_MMAP;

const MAX_READAHEAD_BYTES = 1 << 20;
const MAX_BACKGROUND = 64;
const CONGESTION_THRESHOLD = 48;
/** A file system that itself stands on another may not be backing: overlayfs would need 2, and could not lie over us then. */
const MAX_STACK_DEPTH = 1;

/** @returns 'ask-again' for a kernel of a later major version, which then offers ours; 'too-old' below 7.31 */
export function negotiate(
  request: RequestView,
  transport: { canPassThrough: boolean; ring?: unknown },
): Negotiated | 'ask-again' | 'too-old' {
  const major = request.word(10);
  const minor = request.word(11);
  if (major > PROTOCOL_MAJOR) return 'ask-again';
  if (major < PROTOCOL_MAJOR || minor < PROTOCOL_MINOR_MIN) return 'too-old';
  const offered = request.word(13);
  const offered2 = (offered & INIT.INIT_EXT) !== 0 && request.length >= 60 ? request.word(14) : 0;
  const wanted2 = WANTED2 | (transport.canPassThrough ? INIT2.PASSTHROUGH : 0) | (transport.ring !== undefined ? INIT2.OVER_IO_URING : 0);
  const flags2 = wanted2 & offered2;
  return {
    minor: Math.min(minor, PROTOCOL_MINOR_MAX),
    maxReadaheadBytes: Math.min(request.word(12), MAX_READAHEAD_BYTES),
    flags: (WANTED & offered) >>> 0,
    flags2,
    hasPassthrough: (flags2 & INIT2.PASSTHROUGH) !== 0,
    hasRing: (flags2 & INIT2.OVER_IO_URING) !== 0,
  };
}

/** @returns the payload's length */
export function writeInitReply(out: ReplyBuffer, negotiated: Negotiated | undefined): number {
  out.zero(4, 4 + (INIT_OUT_BYTES >> 2));
  out.word(4, PROTOCOL_MAJOR);
  out.word(5, negotiated?.minor ?? PROTOCOL_MINOR_MAX);
  if (negotiated === undefined) return INIT_OUT_BYTES;
  out.word(6, negotiated.maxReadaheadBytes);
  out.word(7, negotiated.flags);
  out.half(16, MAX_BACKGROUND);
  out.half(17, CONGESTION_THRESHOLD);
  out.word(9, MAX_WRITE_BYTES);
  out.word(10, 1); // time granularity in ns
  out.half(22, MAX_WRITE_BYTES / PAGE_BYTES);
  out.word(12, negotiated.flags2);
  out.word(13, negotiated.hasPassthrough ? MAX_STACK_DEPTH : 0);
  return INIT_OUT_BYTES;
}
