#!/usr/bin/env node
// Runs the benchmark: node scripts/testing/run-bench.mjs [--build DIR] [--journal] [--smoke | --full] [--only GROUP,…]
//
// The project must be built. The servers it measures beside ours are said by `scripts/install-deps bench`; what is missing is told here, at
// the start, and not found out in the middle of a run.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeJournaledDisk } from './journaled-disk.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const args = process.argv.slice(2);
const at = args.indexOf('--build');
const build = path.resolve(root, at < 0 ? 'dist' : (args.splice(at, 2)[1] ?? 'dist'));
const main = path.join(build, 'bench/main.js');

function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(2);
}

function journaled() {
  try {
    return makeJournaledDisk(scratch);
  } catch (error) {
    fs.rmSync(scratch, { recursive: true, force: true });
    return fail(`no disk with a journal: ${error.message}`);
  }
}

if (!fs.existsSync(main)) fail(`${main} is not there; run: npm run build`);
if (process.getuid() !== 0) fail('must run as root: it drops the caches of the kernel between two measurements');
const alone = args.includes('--alone');
const missing = (alone ? ['cc'] : ['cc', 'rclone', 's3fs', 'swift']).filter(
  (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0,
);
if (!alone && !fs.existsSync(path.join(root, '.state/fuse-native/node_modules/fuse-native'))) missing.push('fuse-native');
if (missing.length > 0) fail(`${missing.join(', ')} is missing; run: scripts/install-deps bench`);

// Everything of a run lies here, and a run that was killed leaves nothing else.
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'odoo-swiftfs-bench-'));
const disk = args.includes('--journal') ? journaled() : { directory: scratch, close: () => undefined };
const child = spawn(process.execPath, [main, ...args], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, TMPDIR: disk.directory, SWIFT_S3: '1' },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  disk.close();
  if (!fs.readFileSync('/proc/mounts', 'latin1').includes(` ${scratch}/`))
    fs.rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
  process.exitCode = signal === null ? (code ?? 1) : 130;
});
