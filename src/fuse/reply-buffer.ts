/**
 * Replies are built in one buffer and leave in one write, in the same turn of the loop; so a single buffer serves every request.
 * INVARIANT: nothing keeps a reference into it across a turn.
 */
import type { Attributes, AttributesAnswer, DirectoryEntry, Entry, FileSystemStatistics } from './file-system.js';
import {
  ATTR_OUT_BYTES,
  DIRENT_BYTES,
  DT_DIRECTORY,
  DT_FILE,
  ENTRY_OUT_BYTES,
  OUT_HEADER_BYTES,
  REPLY_BUFFER_BYTES,
  S_IFDIR,
  S_IFREG,
  STAT_BLOCK_BYTES,
  STATFS_OUT_BYTES,
  TWO_32,
} from './protocol.js';

export class ReplyBuffer {
  readonly bytes = Buffer.alloc(REPLY_BUFFER_BYTES);
  /** The same bytes. */
  readonly words = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, REPLY_BUFFER_BYTES >>> 2);
  readonly #halves = new Uint16Array(this.bytes.buffer, this.bytes.byteOffset, 64);

  /** @param errno positive, or 0 @returns the reply's length */
  header(uniqueLow: number, uniqueHigh: number, errno: number, payloadBytes: number): number {
    const words = this.words;
    const length = OUT_HEADER_BYTES + payloadBytes;
    words[0] = length;
    words[1] = -errno;
    words[2] = uniqueLow;
    words[3] = uniqueHigh;
    return length;
  }

  word(index: number, value: number): void {
    this.words[index] = value;
  }

  half(index: number, value: number): void {
    this.#halves[index] = value;
  }

  /** Two's complement, so that times before 1970 survive. */
  u64(index: number, value: number): void {
    const high = Math.floor(value / TWO_32);
    this.words[index] = value - high * TWO_32;
    this.words[index + 1] = high;
  }

  zero(fromWord: number, toWord: number): void {
    this.words.fill(0, fromWord, toWord);
  }

  /** fuse_entry_out (128 bytes) at a word. */
  entry(at: number, entry: Entry): number {
    const words = this.words;
    const { attributes } = entry;
    this.u64(at, attributes.ino);
    this.u64(at + 2, entry.generation);
    this.#validity(at + 4, at + 8, entry.entryValidMs);
    this.#validity(at + 6, at + 9, entry.attributesValidMs);
    this.#attributes(at + 10, attributes, words);
    return ENTRY_OUT_BYTES;
  }

  /** fuse_attr_out (104 bytes) behind the header. */
  attributes(answer: AttributesAnswer): number {
    this.#validity(4, 6, answer.attributesValidMs);
    this.words[7] = 0;
    this.#attributes(8, answer.attributes, this.words);
    return ATTR_OUT_BYTES;
  }

  /** fuse_open_out (16 bytes) at a word. */
  opened(at: number, handle: number, openFlags: number, backingId: number): void {
    this.u64(at, handle);
    this.words[at + 2] = openFlags;
    this.words[at + 3] = backingId;
  }

  statistics(statistics: FileSystemStatistics): number {
    this.zero(4, 4 + (STATFS_OUT_BYTES >> 2));
    this.u64(4, statistics.blocks);
    this.u64(6, statistics.freeBlocks);
    this.u64(8, statistics.freeBlocks);
    this.u64(10, statistics.files);
    this.u64(12, statistics.freeFiles);
    this.words[14] = statistics.blockSizeBytes;
    this.words[15] = statistics.nameMaxBytes;
    this.words[16] = statistics.blockSizeBytes;
    return STATFS_OUT_BYTES;
  }

  /** Bytes a directory entry takes. */
  static direntBytes(entry: DirectoryEntry, plus: boolean): number {
    return (plus ? ENTRY_OUT_BYTES : 0) + ((DIRENT_BYTES + entry.name.length + 7) & ~7);
  }

  /**
   * One entry of READDIR (with `known` left out) or READDIRPLUS (an entry, or 'unknown': node id 0 says that only the name is told).
   * @param offset in bytes; a multiple of eight
   */
  dirent(offset: number, entry: DirectoryEntry, known?: Entry | 'unknown'): number {
    const words = this.words;
    let at = offset >>> 2;
    if (known === 'unknown') {
      words.fill(0, at, at + (ENTRY_OUT_BYTES >> 2));
      at += ENTRY_OUT_BYTES >> 2;
    } else if (known !== undefined) {
      this.entry(at, known);
      at += ENTRY_OUT_BYTES >> 2;
    }
    this.u64(at, entry.ino);
    this.u64(at + 2, entry.nextCookie);
    words[at + 4] = entry.name.length;
    words[at + 5] = entry.kind === 'directory' ? DT_DIRECTORY : DT_FILE;
    const nameAt = (at << 2) + DIRENT_BYTES;
    const end = offset + ReplyBuffer.direntBytes(entry, known !== undefined);
    // What the name does not fill of its last eight bytes is padding.
    words[(end >>> 2) - 2] = 0;
    words[(end >>> 2) - 1] = 0;
    // For so few bytes faster than a call of Buffer's.
    const { bytes } = this;
    const { name } = entry;
    for (let i = 0; i < name.length; i++) bytes[nameAt + i] = name.charCodeAt(i);
    return end;
  }

  #validity(secondsAt: number, nanosecondsAt: number, validMs: number): void {
    const seconds = Math.floor(validMs / 1000);
    this.u64(secondsAt, seconds);
    this.words[nanosecondsAt] = Math.floor((validMs - seconds * 1000) * 1e6);
  }

  #attributes(at: number, a: Attributes, words: Uint32Array): void {
    this.u64(at, a.ino);
    this.u64(at + 2, a.sizeBytes);
    this.u64(at + 4, Math.ceil(a.sizeBytes / STAT_BLOCK_BYTES));
    this.#time(at + 6, at + 12, a.atimeMs);
    this.#time(at + 8, at + 13, a.mtimeMs);
    this.#time(at + 10, at + 14, a.ctimeMs);
    words[at + 15] = a.mode | (a.kind === 'directory' ? S_IFDIR : S_IFREG);
    words[at + 16] = a.nlink;
    words[at + 17] = a.uid;
    words[at + 18] = a.gid;
    words[at + 19] = 0;
    words[at + 20] = a.blockSizeBytes;
    words[at + 21] = 0;
  }

  #time(secondsAt: number, nanosecondsAt: number, timeMs: number): void {
    const seconds = Math.floor(timeMs / 1000);
    this.u64(secondsAt, seconds);
    // Rounded to the microsecond first: 1e6 times a binary fraction of a millisecond would show as …999 ns.
    this.words[nanosecondsAt] = Math.min(999_999_999, Math.round((timeMs - seconds * 1000) * 1000) * 1000);
  }
}
