/** Commands that have to wait for Swift. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginStub } from '../../helpers/keystone-v2-stub.js';
import { runCli } from '../../helpers/with-mount.js';

test('a command goes on after a pause in which nothing is open: it does not end as if all were done', async () => {
  let asked = 0;
  const headers = { connection: 'close' };
  // The account lists a container that is gone: both are asked three times, with pauses.
  const stub = await LoginStub.start(({ url }) => {
    asked++;
    return url.startsWith('/v1/AUTH_a?') ? { status: 200, json: [{ name: 'ghost' }], headers } : { status: 404, headers };
  });
  try {
    const env = { OS_STORAGE_URL: `${stub.url}/v1/AUTH_a`, OS_AUTH_TOKEN: 't' };
    const { code, stderr } = await runCli(['swift', 'stat', 'ghost'], env);
    assert.match(stderr, /ghost/);
    assert.notEqual(code, 0);
    assert.equal(asked, 7);
  } finally {
    await stub.close();
  }
});
