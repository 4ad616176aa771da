#!/usr/bin/env node
// Puts the modules and packages of a program into a few files: node scripts/bundle.mjs
//
// Node finds, reads and links each of some three hundred modules by itself, which cost a command more than its work (docs/decisions/0014).
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const dist = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../dist');

/** What only one command needs, e.g. the mount, becomes a file of its own, loaded when it is called. */
async function bundle(program, into) {
  const [done, outdir] = [path.join(dist, into), path.join(dist, `${into}.new`)];
  fs.rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: [path.join(dist, program)],
    outdir,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // Packages that are CommonJS ask for Node's own modules by `require`.
    banner: { js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" },
    logLevel: 'warning',
  });
  fs.rmSync(done, { recursive: true, force: true });
  fs.renameSync(outdir, done);
}

await bundle('src/cli/main.js', 'src/bundle');
await bundle('bench/transfer-worker.js', 'bench/bundle');
