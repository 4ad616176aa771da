#!/usr/bin/env node
/**
 * The command's first lines. Node's thread pool takes its size from the environment when it is first used, and loading an ECMAScript module
 * uses it, so the size is set here, before any. Eight: reads of the FUSE device by the plain Node transport hold two threads for ever, and
 * the disk needs the others.
 */
/* eslint-disable @typescript-eslint/no-require-imports -- this one file is CommonJS */
import fs = require('node:fs');
import path = require('node:path');
import v8 = require('node:v8');
/* eslint-enable @typescript-eslint/no-require-imports */

if (!(Number(process.env['UV_THREADPOOL_SIZE']) >= 8)) process.env['UV_THREADPOOL_SIZE'] = '8'; // eslint-disable-line no-restricted-syntax -- the same
try {
  process.cwd();
} catch {
  // A working directory that was removed is no reason to refuse what names its paths from the root.
  process.chdir('/');
}
const command = process.argv[2] ?? '';
// These end after a few requests: to compile undici's HTTP parser (WebAssembly) with optimizations would cost them more than the requests, and
// a process does not end before its compiler has.
if (['swift', 'login'].includes(command)) v8.setFlagsFromString('--liftoff-only');
// What ends soon spends more on finding all modules than on its work, and has them in a few files where the build made those (docs/decisions/0014).
const isShort = ['swift', 'login', 'status', 'config', 'undelete', 'unmount', '--version', '--help'].includes(command);
const bundle: string = '../bundle/main.js';
void import(isShort && fs.existsSync(path.join(__dirname, bundle)) ? bundle : './main.js');
