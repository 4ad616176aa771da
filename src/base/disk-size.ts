/** What statfs(2) says of the disk under a directory. */
import { statfsSync } from 'node:fs';

export interface DiskSize {
  readonly bytes: number;
  readonly freeBytes: number;
  /** Inodes in all; Infinity as below. */
  readonly names: number;
  /** Inodes left; Infinity for file systems that make them as they need them, which count none at all. */
  readonly freeNames: number;
}

/** How large a disk is, and what it has left for us. @throws what the disk says */
export function sizeOfDisk(directory: string): DiskSize {
  const { bavail, blocks, bsize, files, ffree } = statfsSync(directory);
  return { bytes: blocks * bsize, freeBytes: bavail * bsize, names: files || Infinity, freeNames: files === 0 ? Infinity : ffree };
}
