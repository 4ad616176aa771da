/** What a Node program does with files, below the directory given as argument. Exits with a trace when something is not as it should be. */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';

const directory = process.argv[2];
assert.ok(directory !== undefined, 'usage: posix-node-program.js DIRECTORY');

await fs.mkdir(path.join(directory, 'a/b/c'), { recursive: true });
const file = path.join(directory, 'a/b/c/x');
await fs.writeFile(file, 'one', { flag: 'wx' });
await assert.rejects(fs.writeFile(file, 'two', { flag: 'wx' }), { code: 'EEXIST' });
await fs.appendFile(file, ' two');
assert.equal(await fs.readFile(file, 'utf8'), 'one two');
await fs.copyFile(file, `${file}.copy`);
await fs.rename(`${file}.copy`, path.join(directory, 'y'));
assert.equal(await fs.readFile(path.join(directory, 'y'), 'utf8'), 'one two');
const handle = await fs.open(path.join(directory, 'y'), 'r+');
try {
  await handle.write(Buffer.from('THREE'), 0, 5, 4);
  assert.equal((await handle.stat()).size, 9);
  await handle.truncate(3);
  await handle.utimes(1_000, 1_000);
  assert.equal((await handle.readFile('utf8')).length, 3);
} finally {
  await handle.close();
}
assert.equal((await fs.stat(path.join(directory, 'y'))).mtimeMs, 1_000_000);
assert.deepEqual((await fs.readdir(directory, { recursive: true })).sort(), ['a', 'a/b', 'a/b/c', 'a/b/c/x', 'y']);
await fs.access(file, fs.constants.R_OK | fs.constants.W_OK);
await assert.rejects(fs.rmdir(directory), { code: 'ENOTEMPTY' });
await fs.rm(directory, { recursive: true });
await assert.rejects(fs.stat(directory), { code: 'ENOENT' });
