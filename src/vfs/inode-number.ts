/**
 * Inode numbers are derived from paths, so that a name keeps its number when the kernel forgets it, when the daemon restarts and on every
 * node: backup tools and `find -inum` see a steady file system, and a listing can show numbers of names that have no node.
 *
 * A number is 48 bits of a hash of the path's bytes: exact in a double, far from the ends of 64 bits. Two names with one number are told
 * apart by the inode table (a step to the next free number); a listing may show the twin's number for as long as it has no node.
 */

/** The two running halves of the hash of a path, so that a directory is hashed once for all its names. */
interface PathHash {
  readonly low: number;
  readonly high: number;
}

/** The hash of the root's path. */
const ROOT_HASH: PathHash = { low: 0x9747b28c | 0, high: 0x1b873593 | 0 };

const LOW_PRIME = 0x01000193;
const HIGH_PRIME = 0x5bd1e995;
const SLASH = 47;

/** Goes on from the hash of a directory to that of a name in it. */
export function hashOfChild(directory: PathHash, name: string): PathHash {
  let low = Math.imul(directory.low ^ SLASH, LOW_PRIME);
  let high = Math.imul(directory.high ^ SLASH, HIGH_PRIME);
  for (let i = 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    low = Math.imul(low ^ byte, LOW_PRIME);
    high = Math.imul(high ^ byte, HIGH_PRIME);
    high ^= high >>> 15;
  }
  return { low, high };
}

/** The hash of a path below the root; '' is the root. */
export function hashOfPath(path: string): PathHash {
  if (path === '') return ROOT_HASH;
  let hash = ROOT_HASH;
  for (const name of path.split('/')) hash = hashOfChild(hash, name);
  return hash;
}

const FIRST_INO = 2;
const HASHED_NUMBERS = 2 ** 48;

/** @returns the number that a path asks for: 2 … 2^48 + 1 (1 is the root) */
export function inodeNumber(hash: PathHash): number {
  // Both halves go through a last mixing: names that differ in their last byte only would else differ in few bits.
  let low = hash.low ^ Math.imul(hash.high, 0x85ebca6b);
  low = Math.imul(low ^ (low >>> 16), 0xc2b2ae35);
  low ^= low >>> 13;
  let high = hash.high ^ Math.imul(hash.low, 0x27d4eb2f);
  high = Math.imul(high ^ (high >>> 15), 0x165667b1);
  high ^= high >>> 16;
  return FIRST_INO + (high & 0xffff) * 2 ** 32 + (low >>> 0);
}

/** The number to try when `ino` is taken. */
export function nextInodeNumber(ino: number): number {
  return ino + 1 >= HASHED_NUMBERS + FIRST_INO ? FIRST_INO : ino + 1;
}
