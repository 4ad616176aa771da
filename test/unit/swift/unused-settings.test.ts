/** Settings that say where the files are, and to which a login of version 1 does not listen: told once, when the client is made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore } from '../../../src/swift/swift-store.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

const warnings = async (settings: Partial<SwiftSettings>): Promise<readonly string[]> => {
  const log = new LogGuard();
  const store = createSwiftStore({ ...TEST_SETTINGS, ...settings }, { log: log.log(), userAgent: 'unit' });
  await store.close();
  return log.lines;
};

const v1 = { authUrl: 'http://127.0.0.1:9/auth/v1.0', username: 'test:tester', password: 'p' } as const;

void test('region, interface and project that a v1 login does not know are warned of', async () => {
  const lines = await warnings({ ...v1, region: 'RegionOne', interface: 'internal', projectName: 'other' });
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^WARN login-options-unused options="region interface project_name" remedy=/);
});

void test('a project that is the account, and other logins, are not warned of', async () => {
  assert.deepEqual(await warnings({ ...v1, projectName: 'test' }), []);
  assert.deepEqual(await warnings({ ...v1, username: 'tester', projectName: 'test' }), []);
  assert.deepEqual(await warnings({ ...v1, authUrl: 'http://127.0.0.1:9/v3', region: 'RegionOne' }), []);
  assert.deepEqual(await warnings({ ...v1, region: 'RegionOne', token: 't', storageUrl: 'http://127.0.0.1:9/v1/AUTH_a' }), []);
});
