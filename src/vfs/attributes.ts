/** From what a filestore knows of a file to what stat(2) shows. */
import type { Stat } from '../filestore/filestore.js';
import type { Attributes, AttributesAnswer, Entry } from '../fuse/file-system.js';
import type { Node } from './node.js';

/** Who owns everything below the mount. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Programs size their buffers by st_blksize (Python's `open` among them): large enough that a copy loop makes few requests. */
const FILE_BLOCK_BYTES = 512 * 1024;
const DIRECTORY_BLOCK_BYTES = 4096;

function attributesOf(node: Node, stat: Stat, owner: Owner): Attributes {
  const isDirectory = node.kind === 'directory';
  return {
    ino: node.ino,
    kind: node.kind,
    mode: stat.mode,
    nlink: node.deleted ? 0 : isDirectory ? 2 : 1,
    uid: owner.uid,
    gid: owner.gid,
    sizeBytes: stat.sizeBytes,
    blockSizeBytes: isDirectory ? DIRECTORY_BLOCK_BYTES : FILE_BLOCK_BYTES,
    atimeMs: stat.mtimeMs,
    mtimeMs: stat.mtimeMs,
    ctimeMs: stat.mtimeMs,
  };
}

/** While somebody writes, nothing may be believed for long: other processes must see the file grow. */
function validMs(node: Node, stat: Stat): number {
  return node.deleted || node.latestWriter !== undefined ? 0 : stat.validMs;
}

export function attributesAnswer(node: Node, stat: Stat, owner: Owner): AttributesAnswer {
  return { attributes: attributesOf(node, stat, owner), attributesValidMs: validMs(node, stat) };
}

/** An answer that reaches the kernel: counts its lookup. */
export function entryAnswer(node: Node, stat: Stat, owner: Owner): Entry {
  node.lookups++;
  const valid = validMs(node, stat);
  return { attributes: attributesOf(node, stat, owner), attributesValidMs: valid, entryValidMs: valid, generation: 0 };
}
