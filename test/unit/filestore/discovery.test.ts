/** Which databases are found in the account while the mount runs, over a store in memory. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { mountInMemory } from '../../helpers/filestore-in-memory.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { MemoryStore } from '../../helpers/memory-store.js';
import { tempDir } from '../../helpers/temp-dir.js';

test('A database that cannot be opened hides none behind it from the list of databases.', async () => {
  const store = new MemoryStore();
  const spoolDirectory = tempDir('discovery');
  const mount = await mountInMemory(store, new LogGuard().log(), { database: undefined, nodes: 'many', spoolDirectory });
  try {
    for (const database of ['bad', 'good']) await store.createContainer(`odoo-${database}`, { 'osf-database': database });
    mkdirSync(path.join(spoolDirectory, 'v1'), { recursive: true });
    writeFileSync(path.join(spoolDirectory, 'v1', 'bad'), 'no directory');
    assert.ok((await mount.client.readdir('')).includes('good'));
  } finally {
    await mount.close();
  }
});

test('A container of another tool that becomes a database is found.', async () => {
  const store = new MemoryStore();
  const mount = await mountInMemory(store, new LogGuard().log(), { database: undefined, nodes: 'many', containerPrefix: '' });
  try {
    await store.createContainer('shop', {});
    assert.deepEqual(await mount.client.readdir(''), []);
    store.takeAway('shop');
    assert.deepEqual(await mount.client.readdir(''), []);
    await store.createContainer('shop', { 'osf-database': 'shop' });
    assert.deepEqual(await mount.client.readdir(''), ['shop']);
  } finally {
    await mount.close();
  }
});
