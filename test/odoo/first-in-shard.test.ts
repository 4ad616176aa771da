/** A sentence of docs/SEMANTICS.md about directories: Odoo's workers, several at once, over the real mount and a Swift that is some way away. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runOk } from '../helpers/processes.js';
import { projectRoot } from '../helpers/project.js';
import { withProxiedSwift, type ProxiedSwift } from '../helpers/proxied-swift.js';
import { startMount, type Mount } from '../helpers/with-mount.js';

const WORKERS = 8;
const SHARDS = 15;
const SWIFT_MS = 30;
/** Of 120: on a local disk one or two of them fail, too. It was 105. */
const MOST_FAILURES = 4;

describe('docs/SEMANTICS.md: directories', () => {
  let proxied: ProxiedSwift;
  let mount: Mount;
  before(async () => {
    proxied = await withProxiedSwift();
    mount = await startMount({
      swift: { ...proxied.swift, authUrl: proxied.proxy.authUrl },
      database: 'workers',
      args: ['--nodes', 'many'],
    });
    proxied.proxy.add({ do: 'delay', ms: SWIFT_MS });
  });
  after(async () => {
    await mount.stop();
    await proxied.swift.stop();
  });

  it('Of workers that find in the same moment that a shard is not there, one makes it, and the others find it made.', async () => {
    const script = path.join(projectRoot, 'test/odoo/first-in-shard.py');
    const answer = await runOk('/usr/bin/python3', [script, mount.path, String(WORKERS), String(SHARDS)]);
    const { writes, failed } = JSON.parse(answer) as { writes: number; failed: string[] };
    assert.equal(writes, WORKERS * SHARDS);
    assert.ok(failed.length <= MOST_FAILURES, failed.join('\n'));
    for (const error of failed) assert.match(error, /^FileExistsError/);
    const shards = (await fs.readdir(mount.path)).filter((name) => name.length === 2);
    assert.equal(new Set(shards).size, SHARDS);
    assert.equal(shards.length, SHARDS);
    for (const shard of shards) {
      const [blob = '', ...others] = await fs.readdir(mount.file(shard));
      assert.deepEqual(others, []);
      const content = await fs.readFile(mount.file(shard, blob));
      assert.equal(createHash('sha1').update(content).digest('hex'), blob);
    }
    await mount.drained();
  });

  it('A directory that one program has looked for is made once by another right after.', async () => {
    for (let shard = 0xe0; shard < 0xf0; shard++) {
      const directory = mount.file(shard.toString(16));
      const script = 'if [ -d "$0" ]; then exit 1; fi; mkdir "$0" && [ -d "$0" ] && ! mkdir "$0" 2>/dev/null';
      await runOk('/bin/sh', ['-c', script, directory]);
      assert.ok((await fs.stat(directory)).isDirectory());
    }
  });
});
