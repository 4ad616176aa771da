// An ext4 with a journal, as servers have it, in an image of its own on a loop device: where the machine's own disk has no journal, each file
// that is made costs as much as files were removed in the last half minute (ext4's recently_deleted), whoever removed them.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

/** Sparse: what a run takes of it is the machine's. */
const SIZE = '24G';

/**
 * @param {string} directory where the image lies
 * @returns {{ directory: string, close: () => void }} where it is mounted; its end takes the loop device along
 */
export function makeJournaledDisk(directory) {
  const image = path.join(directory, 'disk.img');
  const mountPoint = path.join(directory, 'disk');
  fs.mkdirSync(mountPoint);
  execFileSync('truncate', ['-s', SIZE, image]);
  execFileSync('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
  const device = execFileSync('losetup', ['--find', '--show', '--direct-io=on', image], { encoding: 'utf8' }).trim();
  try {
    execFileSync('mount', ['-t', 'ext4', device, mountPoint]);
  } finally {
    // Of a device that is in use it means: when it is not any more.
    spawnSync('losetup', ['--detach', device]);
  }
  return { directory: mountPoint, close: () => void spawnSync('umount', [mountPoint], { stdio: 'inherit' }) };
}
