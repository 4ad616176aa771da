/** The lab itself: that the servers the other tests stand on are real, fail as they are told to, and go without a trace. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { request } from 'undici';
import { makeBlob } from '../helpers/blobs.js';
import { FaultProxy } from '../helpers/fault-proxy.js';
import { SwiftClient } from '../helpers/swift-client.js';
import { withKeystone } from '../helpers/with-keystone.js';
import { withSwift } from '../helpers/with-swift.js';
import type { Swift } from '../helpers/with-swift.js';

describe('a real Swift on loopback', () => {
  let swift: Swift;
  let proxy: FaultProxy;
  let client: SwiftClient;
  before(async () => {
    swift = await withSwift();
    proxy = await FaultProxy.start(swift.url);
    client = await SwiftClient.login(proxy.authUrl, swift.user, swift.key);
    await client.makeContainer('lab');
  });
  after(async () => {
    await client.close();
    await proxy.close();
    const { dir } = swift;
    await swift.stop();
    assert.equal(fs.existsSync(dir), false);
  });

  it('stores an object and lists it with its MD5', async () => {
    const blob = makeBlob(1);
    await client.put('lab', blob.name, blob.content);
    assert.deepEqual(await client.list('lab'), [{ name: blob.name, bytes: blob.content.length, hash: blob.md5 }]);
    assert.deepEqual(await client.get('lab', blob.name), blob.content);
    assert.equal(await client.get('lab', 'aa/missing'), undefined);
  });

  it('counts the requests that pass by method, log-ins apart', async () => {
    const blob = makeBlob(2);
    proxy.resetCounts();
    await client.put('lab', blob.name, blob.content);
    await client.head('lab', blob.name);
    await (await SwiftClient.login(proxy.authUrl, swift.user, swift.key)).close();
    assert.deepEqual(proxy.counts(), { PUT: 1, HEAD: 1, AUTH: 1 });
  });

  it('misbehaves as a rule says, as often as it says, and then no more', async () => {
    const blob = makeBlob(3, 200_000);
    await client.put('lab', blob.name, blob.content);
    proxy.add({ method: 'GET', do: 'status', status: 503, headers: { 'retry-after': '1' }, times: 1 });
    assert.equal((await client.raw('GET', `lab/${blob.name}`)).status, 503);
    proxy.add({ method: 'GET', do: 'corrupt', bytes: 100_000, times: 1 });
    const corrupt = await client.get('lab', blob.name);
    assert.notDeepEqual(corrupt, blob.content);
    assert.equal(corrupt?.length, blob.content.length);
    for (const fault of [{ do: 'truncate', bytes: 1000 }, { do: 'reset' }] as const) {
      proxy.add({ method: 'GET', ...fault, times: 1 });
      await assert.rejects(client.get('lab', blob.name), fault.do);
    }
    proxy.add({ method: 'PUT', do: 'lost', times: 1 });
    await assert.rejects(client.put('lab', 'lost', 'stored although nobody heard of it'));
    assert.equal(String(await client.get('lab', 'lost')), 'stored although nobody heard of it');
    proxy.add({ method: 'PUT', do: 'half', bytes: 70_000, times: 1 });
    await assert.rejects(client.put('lab', 'half', blob.content));
    assert.equal(await client.get('lab', 'half'), undefined);
    assert.deepEqual(await client.get('lab', blob.name), blob.content);
    proxy.clear();
  });

  it('refuses connections while the proxy is down and serves again once it is up', async () => {
    await proxy.down();
    await assert.rejects(client.head('lab'));
    await proxy.up();
    assert.notEqual(await client.head('lab'), undefined);
  });

  it('answers 503 while its object server is gone, and keeps what it had', async () => {
    const blob = makeBlob(4);
    await client.put('lab', blob.name, blob.content);
    await swift.faults.kill('object');
    assert.equal((await client.raw('PUT', 'lab/x', {}, 'x')).status, 503);
    await swift.up();
    const again = await swift.client();
    assert.deepEqual(await again.get('lab', blob.name), blob.content);
  });
});

describe('a real Keystone on loopback', () => {
  it('gives user odoo a token whose catalog leads, through the proxy of the region, to a Swift that takes it', async () => {
    const keystone = await withKeystone();
    try {
      const login = await request(`${keystone.authUrl}/auth/tokens`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          auth: {
            identity: { methods: ['password'], password: { user: { name: 'odoo', domain: { name: 'Default' }, password: 'odoo-secret' } } },
            scope: { project: { name: 'odoo', domain: { name: 'Default' } } },
          },
        }),
      });
      assert.equal(login.statusCode, 201);
      const { token } = (await login.body.json()) as {
        token: { catalog: { type: string; endpoints: { interface: string; url: string }[] }[] };
      };
      const store = token.catalog.find(({ type }) => type === 'object-store');
      const url = store?.endpoints.find((endpoint) => endpoint.interface === 'public')?.url;
      const region = keystone.regions[0];
      assert.ok(url !== undefined && region !== undefined);
      assert.ok(url.startsWith(`${region.proxy.url}/v1/AUTH_`), url);
      const answer = await request(`${url}/c`, { method: 'PUT', headers: { 'x-auth-token': String(login.headers['x-subject-token']) } });
      await answer.body.dump();
      assert.equal(answer.statusCode, 201);
      assert.deepEqual(region.proxy.counts(), { PUT: 1 });
      assert.match(keystone.applicationCredentialId, /^[0-9a-f]{32}$/);
    } finally {
      await keystone.stop();
    }
  });
});
