/** Moves a tree by the product's own Swift client, as a program of its own so that its CPU can be counted: `put|get CONTAINER DIRECTORY LIST CONCURRENCY [SEGMENT_BYTES]`. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { createLog } from '../src/base/log.js';
import { saveObject } from '../src/swift/files/save-object.js';
import { sendFile } from '../src/swift/files/send-file.js';
import { createSwiftStore } from '../src/swift/swift-store.js';
import { TEST_SETTINGS } from '../test/helpers/swift-settings.js';

// As the command does (src/cli/odoo-swiftfs.cts).
setFlagsFromString('--liftoff-only');
const [what, container = '', directory = '', list = '', concurrency = '8', segments] = process.argv.slice(2);
const { ST_AUTH: authUrl = '', ST_USER: username = '', ST_KEY: password = '' } = process.env;
const settings = {
  ...TEST_SETTINGS,
  authUrl,
  username,
  password,
  connections: Number(concurrency),
  requestTimeoutMs: 600_000,
  ...(segments === undefined ? {} : { segmentBytes: Number(segments) }),
};
const store = createSwiftStore(settings, { log: createLog('warn', (line) => console.error(line)), userAgent: 'odoo-swiftfs-bench' });

/** Hashed and checked against Swift's ETag both ways. */
async function put(name: string): Promise<void> {
  await sendFile(store, container, name, path.join(directory, name), { inSegments: segments !== undefined });
}

async function get(name: string): Promise<void> {
  const found = await store.get(container, name);
  if (found === undefined) throw new Error(`${name} is not there`);
  const file = path.join(directory, name);
  const parent = path.dirname(file);
  if (!made.has(parent)) mkdirSync(parent, { recursive: true });
  made.add(parent);
  await saveObject(found, name, file);
}

const made = new Set<string>();
const work = what === 'put' ? put : get;
const left = readFileSync(list, 'utf8').split('\n').filter(Boolean);
if (what === 'put') await store.createContainer(container);
await Promise.all(
  Array.from({ length: Number(concurrency) }, async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name);
  }),
);
await store.close();
