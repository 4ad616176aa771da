#!/usr/bin/env node
/**
 * The command's first lines. Node's thread pool takes its size from the environment when it is first used, and loading an ECMAScript module
 * uses it, so the size is set here, before any. Eight: reads of the FUSE device by the plain Node transport hold two threads for ever, and
 * the disk needs the others.
 */
if (!(Number(process.env['UV_THREADPOOL_SIZE']) >= 8)) process.env['UV_THREADPOOL_SIZE'] = '8'; // eslint-disable-line no-restricted-syntax -- the same
void import('./main.js');
