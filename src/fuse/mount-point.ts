/**
 * Is a directory fit to be mounted on? A daemon that was killed leaves a dead mount (ENOTCONN).
 *
 *   [directory]                    free
 *   [directory][dead]              covered by the new mount, or taken away right before it
 *   [directory][dead][dead]…       a daemon that covered one was killed too: all but the lowest are taken away first
 *
 * INVARIANT: the directory itself is never bare while a mount is being made, but for the moment in which somebody has to look at it
 * (`MountOptions.onUncovered`, fusermount3). Programs would take its emptiness for "no such file", and what they write there would be hidden
 * by the mount that follows. Behind a dead mount they get ENOTCONN.
 */
import { realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { FilestoreError } from '../base/errors.js';
import { abortAndDetach } from '../base/mount-info.js';
import { mountAt, mountsAt } from './mount-table.js';
import { runCommand } from './run-command.js';

/** The last two to what is asked while the kernel takes the connection down. */
const DEAD = new Set(['ENOTCONN', 'ECONNABORTED', 'ECANCELED']);
const ANSWER_MS = 5_000;
const COMMAND_MS = 10_000;

/** @returns the path without symbolic links, as the mount table shows it; the last name is not asked, a dead mount would fail it */
export async function canonicalMountPoint(path: string): Promise<string> {
  const absolute = isAbsolute(path) ? resolve(path) : resolve(process.cwd(), path);
  if (absolute === '/') throw new FilestoreError('bad-config', 'mount point / is the root of the system; name another directory');
  let parent: string;
  try {
    parent = await realpath(dirname(absolute));
  } catch (error) {
    throw missing(path, error);
  }
  const there = join(parent, basename(absolute));
  if ((await mountAt(there)) !== undefined) return there;
  try {
    return await realpath(there);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(path, error);
    return there;
  }
}

function missing(path: string, cause: unknown): FilestoreError {
  return new FilestoreError('bad-config', `mount point ${path} does not exist; create it with: mkdir -p ${path}`, { cause });
}

/**
 * Looks and changes nothing.
 * @param path canonical
 * @returns how many mounts of killed daemons lie there; 0: the directory is free
 * @throws FilestoreError bad-config, busy, not-permitted
 */
export async function checkMountPoint(path: string, subtype: string): Promise<number> {
  const mounts = await mountsAt(path);
  const above = mounts.at(-1);
  const isOurs = above !== undefined && (above.type === `fuse.${subtype}` || above.type === 'fuse');
  const state = await stateOf(path);
  switch (state) {
    case 'dead': {
      const lowest = mounts.findLastIndex(({ type }, index) => index < mounts.length - 1 && type !== `fuse.${subtype}`);
      return Math.max(1, mounts.length - 1 - lowest);
    }
    case 'directory':
      if (isOurs && above.type !== 'fuse') {
        throw new FilestoreError('busy', `${path} is mounted already (${above.source}); unmount it first: odoo-swiftfs unmount ${path}`);
      }
      return 0;
    case 'other':
      throw new FilestoreError('bad-config', `mount point ${path} is not a directory`);
    case 'missing':
      throw missing(path, undefined);
    case 'forbidden':
      throw isOurs
        ? new FilestoreError('busy', `${path} is mounted already by another user (${above.source})`)
        : new FilestoreError('not-permitted', `mount point ${path} may not be entered by this user`);
    case 'silent':
      throw new FilestoreError(
        'busy',
        `${path} does not answer within ${ANSWER_MS} ms; if its server hangs, end that; if that does not help, run as root: ${abortAndDetach(path)}`,
      );
  }
}

/**
 * Takes away dead mounts until at most so many are left.
 * @returns how many are left
 * @throws FilestoreError not-permitted; busy, when one that serves came to light
 */
export async function clearDeadMounts(path: string, subtype: string, left: number): Promise<number> {
  for (let before = Number.POSITIVE_INFINITY; ;) {
    const dead = await checkMountPoint(path, subtype);
    if (dead <= left) return dead;
    if (dead >= before) throw new FilestoreError('busy', `${path}: a dead mount stays although it was unmounted; run: umount -l ${path}`);
    before = dead;
    await detach(path);
  }
}

/** Takes away the dead mount that ours had covered, if it is still what lies there. @param device `major:minor` of the dead mount */
export async function clearCovered(path: string, device: string): Promise<void> {
  if ((await mountAt(path))?.device === device) await detach(path);
}

type PointState = 'directory' | 'other' | 'missing' | 'dead' | 'forbidden' | 'silent';

async function stateOf(path: string): Promise<PointState> {
  let timer: NodeJS.Timeout | undefined;
  const silent = new Promise<PointState>((resolve) => (timer = setTimeout(resolve, ANSWER_MS, 'silent')));
  // statfs always reaches the server; the attributes of a root may still stand in the kernel's cache after its server has died.
  const asked = statfs(path)
    .then(() => stat(path))
    .then(
      (stats): PointState => (stats.isDirectory() ? 'directory' : 'other'),
      (error: NodeJS.ErrnoException): PointState => {
        if (DEAD.has(error.code ?? '')) return 'dead';
        if (error.code === 'ENOENT') return 'missing';
        return error.code === 'ENOTDIR' ? 'other' : 'forbidden';
      },
    );
  try {
    return await Promise.race([asked, silent]);
  } finally {
    clearTimeout(timer);
  }
}

/** Detaches lazily: with umount, and where that is not ours to do, with fusermount3. */
async function detach(path: string): Promise<void> {
  const attempts: string[] = [];
  for (const [command, ...args] of [
    ['umount', '-l', path],
    ['fusermount3', '-u', '-z', '--', path],
  ] as const) {
    try {
      const outcome = await runCommand(command, args, COMMAND_MS);
      if (outcome.exitCode === 0) return;
      attempts.push(outcome.standardError);
    } catch (error) {
      attempts.push((error as Error).message);
    }
  }
  throw new FilestoreError(
    'not-permitted',
    `${path} is a dead mount that cannot be cleared: ${attempts.join('; ')}; run as root: umount -l ${path}`,
  );
}
