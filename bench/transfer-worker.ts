/** Moves a tree by the product's own Swift client, as a program of its own so that its CPU can be counted: `put|get CONTAINER DIRECTORY LIST CONCURRENCY`. */
import { createReadStream, createWriteStream, mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createLog } from '../src/base/log.js';
import { digestFile } from '../src/base/file-digest.js';
import { createSwiftStore } from '../src/swift/swift-store.js';
import { TEST_SETTINGS } from '../test/helpers/swift-settings.js';

const [what, container = '', directory = '', list = '', concurrency = '8'] = process.argv.slice(2);
const { ST_AUTH: authUrl = '', ST_USER: username = '', ST_KEY: password = '' } = process.env;
const settings = { ...TEST_SETTINGS, authUrl, username, password, connections: Number(concurrency), requestTimeoutMs: 600_000 };
const store = createSwiftStore(settings, { log: createLog('warn', (line) => console.error(line)), userAgent: 'odoo-swiftfs-bench' });

async function put(name: string): Promise<void> {
  const file = path.join(directory, name);
  const sizeBytes = statSync(file).size;
  const { md5 } = await digestFile(file);
  const read = (start: number, end: number) => createReadStream(file, { start, end: end - 1, highWaterMark: 256 * 1024 });
  await store.put(container, name, { sizeBytes, md5, read: sizeBytes <= 1024 * 1024 ? () => readFileSync(file) : read });
}

async function get(name: string): Promise<void> {
  const found = await store.get(container, name);
  if (found === undefined) throw new Error(`${name} is not there`);
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  await pipeline(found.body, createWriteStream(file));
}

const work = what === 'put' ? put : get;
const left = readFileSync(list, 'utf8').split('\n').filter(Boolean);
await store.createContainer(container);
await Promise.all(
  Array.from({ length: Number(concurrency) }, async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
  }),
);
await store.close();
