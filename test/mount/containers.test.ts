/** Odoo in a container: a program in a mount namespace of its own, as Docker, Podman and Kubernetes make them, beside a daemon outside. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { atExit } from '../helpers/at-exit.js';
import { makeBlob, writeBlob } from '../helpers/blobs.js';
import { runOk } from '../helpers/processes.js';
import { removeDir, tempDir } from '../helpers/temp-dir.js';
import { startMount } from '../helpers/with-mount.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

/** Binds a directory of the host to one of its own, then answers each path it is told with the sum of that file, or with what `sha1sum` says of it. */
const SCRIPT = `
mount --rbind "$1" "$2" && mount --make-rslave "$2" && echo ready
while read -r name; do sha1sum "$2/$name" 2>&1 | sed 's/.*: //'; done`;

class Container {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(hostDirectory: string, ownDirectory: string) {
    const args = ['--mount', '--propagation', 'slave', 'sh', '-c', SCRIPT, 'sh', hostDirectory, ownDirectory];
    this.#process = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    assert.ok(this.#process.stdout !== null);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  static async start(hostDirectory: string): Promise<Container> {
    const container = new Container(hostDirectory, tempDir('container'));
    assert.equal(await container.#line(), 'ready');
    return container;
  }

  /** @returns the first word: the sum of the file's bytes, or of what was refused */
  async sum(name: string): Promise<string> {
    this.#process.stdin?.write(`${name}\n`);
    return (await this.#line()).replace(/ .*/, '');
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.stdin?.end();
    await ended;
  }

  async #line(): Promise<string> {
    const { value } = await this.#lines.next();
    return value as string;
  }
}

describe('a program in a container', () => {
  let swift: Swift;
  let base: string;
  let takeBack: () => void;
  before(async () => {
    swift = await withSwift();
    // Systemd makes the mounts of a host shared; a container engine needs that to pass them on.
    base = tempDir('host');
    await runOk('mount', ['--bind', base, base]);
    takeBack = atExit(() => execFileSync('umount', ['-l', base]));
    await runOk('mount', ['--make-private', base]);
    await runOk('mount', ['--make-shared', base]);
  });
  after(async () => {
    takeBack();
    await runOk('umount', ['-l', base]);
    removeDir(base);
    await swift.stop();
  });

  it('A container that binds the directory above the mount point as a slave sees each mount that is made there later: the first, the one after a kill and the one after a restart.', async () => {
    const mountPoint = path.join(base, 'odoo', 'filestore');
    await fs.mkdir(mountPoint, { recursive: true });
    const early = await Container.start(path.dirname(mountPoint));
    const mount = await startMount({ swift, dirs: { mountPoint } });
    const late = await Container.start(path.dirname(mountPoint));
    const blob = makeBlob(1);
    const assertRead = async (when: string): Promise<void> => {
      for (const container of [early, late])
        assert.equal(await container.sum(`filestore/prod/${blob.name}`), path.basename(blob.name), when);
    };
    try {
      await fs.mkdir(mount.file('prod'));
      await writeBlob(mount.file('prod'), blob);
      await assertRead('the first mount');
      await mount.kill9();
      await mount.restart();
      await assertRead('after a kill');
      await mount.restart();
      await assertRead('after a restart');
    } finally {
      await Promise.all([early.end(), late.end()]);
      await mount.stop();
    }
  });
});
