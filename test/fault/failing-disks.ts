/** Disks of a test's own, and mounts whose spool or cache lies on them. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Blob } from '../helpers/blobs.js';
import { eventually, run, runOk } from '../helpers/processes.js';
import type { ProxiedSwift } from '../helpers/proxied-swift.js';
import { tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import type { Mount } from '../helpers/with-mount.js';

const IMAGE_BYTES = 64 << 20;
const ARGS = '--write-timeout 1s --lookup-wait 200ms --read-timeout 4s --drain-timeout 2s --cache-floor 0'.split(' ');

/** What of a file is in memory is read from its disk again. */
export async function forgetPages(file: string): Promise<void> {
  const program = 'import os,sys; f=os.open(sys.argv[1],os.O_RDONLY); os.fsync(f); os.posix_fadvise(f,0,0,os.POSIX_FADV_DONTNEED)';
  await runOk('python3', ['-c', program, file]);
}

/** A disk of its own with so much room. */
export async function withDisk(sizeBytes: number, work: (directory: string) => Promise<void>): Promise<void> {
  const directory = tempDir('disk');
  await runOk('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', directory]);
  try {
    await work(directory);
  } finally {
    await runOk('umount', ['-l', directory]);
  }
}

/** An ext4 of its own, whose disk loses everything from the first byte of a file on, pages in memory included. */
export async function withBadDisk(work: (directory: string, spoil: (file: string) => Promise<void>) => Promise<void>): Promise<void> {
  const image = path.join(tempDir('image'), 'disk');
  await fs.writeFile(image, '');
  await fs.truncate(image, IMAGE_BYTES);
  await runOk('mkfs.ext4', ['-q', '-b', '4096', '-O', '^has_journal', image]);
  const directory = tempDir('disk');
  await runOk('mount', ['-o', 'loop', image, directory]);
  const spoil = async (file: string): Promise<void> => {
    await forgetPages(file);
    const extents = await runOk('filefrag', ['-b4096', '-v', file]);
    const firstBlock = /^ +0: +0\.\. +\d+: +(\d+)\.\./m.exec(extents)?.[1];
    assert.ok(firstBlock !== undefined, extents);
    await fs.truncate(image, Number(firstBlock) * 4096);
  };
  try {
    await work(directory, spoil);
  } finally {
    await runOk('umount', ['-l', directory]);
  }
}

/** Refused as busy while a file is open for writing, or a removed one is open at all: the daemon closes those a moment after it answered. */
export async function makeReadOnly(directory: string): Promise<void> {
  await eventually('the disk turns read-only', async () => (await run('mount', ['-o', 'remount,ro', directory])).code === 0);
  await assert.rejects(fs.writeFile(path.join(directory, 'probe'), ''), { code: 'EROFS' });
}

interface Setting {
  readonly database: string;
  readonly args?: readonly string[];
  readonly spool?: string;
  readonly cache?: string;
}

/** A mount with short waits, through the proxy, which is up again at the end. */
export async function withMountOn(
  { swift, proxy }: ProxiedSwift,
  { database, args = [], spool, cache }: Setting,
  work: (mount: Mount) => Promise<void>,
): Promise<void> {
  const dirs = { ...(spool === undefined ? {} : { spool }), ...(cache === undefined ? {} : { cache }) };
  const mount = await startMount({ swift: { ...swift, authUrl: proxy.authUrl }, database, args: [...ARGS, ...args], dirs });
  try {
    await work(mount);
  } finally {
    await proxy.up();
    await mount.stop();
  }
}

/** All of these are read, in Swift, and nothing else is. */
export async function assertStored({ swift }: ProxiedSwift, mount: Mount, database: string, blobs: readonly Blob[]): Promise<void> {
  await mount.drained();
  const client = await swift.client();
  assert.deepEqual(await client.names(`odoo-${database}`), blobs.map(({ name }) => name).sort());
  for (const { name, content } of blobs) {
    assert.deepEqual(await fs.readFile(mount.file(name)), content);
    assert.deepEqual(await client.get(`odoo-${database}`, name), content);
  }
}
