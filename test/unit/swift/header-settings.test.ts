/** Values that go into HTTP headers and cannot: told with their option when the client is made, before anything is asked of anybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindOf, messageOf, type ErrorKind } from '../../../src/base/errors.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

const open = (settings: Partial<SwiftSettings>): SwiftStore =>
  createSwiftStore({ ...TEST_SETTINGS, ...settings }, { log: SILENT_LOG, userAgent: 'unit' });

const refused = (settings: Partial<SwiftSettings>, kind: ErrorKind, message: RegExp): void => {
  assert.throws(
    () => open(settings),
    (error) => {
      assert.equal(kindOf(error), kind, messageOf(error));
      assert.match(messageOf(error), message);
      assert.doesNotMatch(messageOf(error), /s3cret|\n/);
      return true;
    },
  );
};

const v1 = { authUrl: 'http://127.0.0.1:9/auth/v1.0', username: 'u', password: 'p' } as const;

void test('a user, key or token that no header takes is refused at the start, and not shown', () => {
  refused({ ...v1, password: 's3cret€' }, 'bad-credentials', /^the key has a character beyond Latin-1 .*; check password \(ST_KEY\)$/);
  refused({ ...v1, password: 's3cret\n' }, 'bad-credentials', /^the key has a line break .*ST_KEY\)$/);
  refused({ ...v1, username: 'u€' }, 'bad-credentials', /^the user has .*; check username/);
  refused({ ...v1, projectName: 'p\t\n' }, 'bad-credentials', /^the project has a line break .*; check project_name/);
  refused({ ...v1, authUrl: 'http://127.0.0.1:9/login', authVersion: '1', password: '€' }, 'bad-credentials', /ST_KEY/);
  const token = { storageUrl: 'http://127.0.0.1:9/v1/AUTH_a', token: 's3cret\u0007' };
  refused(token, 'bad-credentials', /^the token has a control character .*; check token \(OS_TOKEN\)$/);
});

void test('a storage policy that no header takes is refused at the start', () => {
  refused({ ...v1, storagePolicy: 'gold€' }, 'bad-config', /^the storage policy has a character beyond Latin-1 .*; check storage_policy$/);
  refused({ ...v1, storagePolicy: 'gold\nx: y' }, 'bad-config', /^the storage policy has a line break .*storage_policy$/);
});

void test('what travels in JSON, or nowhere, may hold anything', async () => {
  const keystone = { authUrl: 'http://127.0.0.1:9/v3', username: 'Jürgen €', projectName: '€' };
  for (const settings of [
    { ...keystone, password: '€\n' },
    { ...v1, password: 'ü', username: 'a:b', projectName: '€' },
    { ...keystone, token: '€' },
  ]) {
    await open({ ...settings, storagePolicy: 'gold' }).close();
  }
});
