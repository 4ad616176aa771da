/** Every way into a real Keystone with two regions and two domains, and the one clear line each mistake gives. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { kindOf, messageOf, type ErrorKind } from '../../src/base/errors.js';
import type { SwiftSettings } from '../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../src/swift/swift-store.js';
import { LogGuard } from '../helpers/log-guard.js';
import { bodyOf, readBytes } from '../helpers/store-bytes.js';
import { keystoneSettings, TEST_SETTINGS } from '../helpers/swift-settings.js';
import { withKeystone, type Keystone } from '../helpers/with-keystone.js';
import { runCli } from '../helpers/with-mount.js';

void describe('login at Keystone', () => {
  let keystone: Keystone;
  const stores: SwiftStore[] = [];
  const log = new LogGuard();

  const open = (settings: SwiftSettings): SwiftStore => {
    const store = createSwiftStore(settings, { log: log.log(), userAgent: 'login' });
    stores.push(store);
    return store;
  };
  const odoo = (changed: Partial<SwiftSettings> = {}): SwiftStore => open(keystoneSettings(keystone.authUrl, changed));
  /** All containers and objects of the user odoo, and what Swift knows of each container. */
  const contents = async (): Promise<unknown> => {
    const found: unknown[] = [];
    for await (const containers of odoo().listContainers('')) {
      for (const name of containers) {
        const objects: unknown[] = [];
        for await (const page of odoo().list(name)) objects.push(...page);
        found.push([name, await odoo().headContainer(name), objects]);
      }
    }
    return found;
  };
  const failsAs = async (promise: Promise<unknown>, kind: ErrorKind, message: RegExp): Promise<void> => {
    await assert.rejects(promise, (error) => {
      assert.equal(kindOf(error), kind, messageOf(error));
      assert.match(messageOf(error), message);
      assert.doesNotMatch(messageOf(error), /\n/);
      return true;
    });
  };

  before(async () => {
    keystone = await withKeystone({ regions: ['RegionOne', 'RegionTwo'] });
  });
  beforeEach(() => {
    for (const proxy of [keystone.proxy, ...keystone.regions.map((region) => region.proxy)]) {
      proxy.clear();
      proxy.resetCounts();
    }
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await keystone.stop();
    log.assertQuiet();
  });

  void test('a password leads to the region chosen, and each region has its own objects', async () => {
    const one = odoo();
    const two = odoo({ region: 'RegionTwo' });
    const report = await one.login();
    assert.deepEqual([report.way, report.user, report.project], ['v3 password', 'odoo', 'odoo']);
    assert.deepEqual(report.regions, ['RegionOne', 'RegionTwo']);
    assert.ok(report.expiresAtMs !== undefined && report.expiresAtMs > Date.now());
    await one.createContainer('here');
    await one.put('here', 'x', bodyOf('x'));
    assert.equal((await readBytes(one, 'here', 'x'))?.toString(), 'x');
    assert.equal(await two.headContainer('here'), undefined);
  });

  void test('the version is found at the root of the service, and domains default to Default', async () => {
    const { username, password, projectName, region } = keystoneSettings('');
    const settings = { ...TEST_SETTINGS, authUrl: keystone.proxy.url, username, password, projectName, region } as SwiftSettings;
    assert.equal((await open(settings).login()).way, 'v3 password');
  });

  void test('a user of another domain comes into its own project', async () => {
    const alice = { username: 'alice', password: 'alice-secret', userDomainName: 'acme', projectName: 'files', projectDomainName: 'acme' };
    assert.equal((await odoo(alice).login()).project, 'files');
  });

  void test('an application credential needs nothing but its id and secret, or its name and user', async () => {
    const { applicationCredentialId, applicationCredentialSecret, authUrl } = keystone;
    const region = 'RegionOne';
    const byId = open({ ...TEST_SETTINGS, authUrl, region, applicationCredentialId, applicationCredentialSecret });
    assert.equal((await byId.login()).way, 'v3 application credential');
    await byId.probe();
    const byName = odoo({ applicationCredentialName: 'filestore', applicationCredentialSecret });
    assert.equal((await byName.login()).project, 'odoo');
  });

  void test('a thousand calls cost one login', async () => {
    const store = odoo();
    await store.createContainer('many');
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 10 }, (_, j) => store.head('many', `${i}-${j}`)));
    assert.equal(keystone.proxy.seen.length, 1);
  });

  void test('a reader reads and is refused when it writes', async () => {
    const reader = odoo({ username: 'odoo-reader' });
    assert.equal((await readBytes(reader, 'here', 'x'))?.toString(), 'x');
    await failsAs(reader.put('here', 'y', bodyOf('y')), 'forbidden', /PUT .* 403 .*role/);
  });

  void test('login --check tells who may only read from who may write, and changes nothing', async () => {
    const check = async (env: Readonly<Record<string, string>> = {}): Promise<string> => {
      const { code, stdout, stderr } = await runCli(['login', '--check'], { ...keystone.env, ...env });
      assert.deepEqual([code, stderr], [0, '']);
      assert.match(stdout, /^login +good \(v3 password\)$/m);
      return /^rights +(.*)$/m.exec(stdout)?.[1] ?? stdout;
    };
    const reader = { OS_USERNAME: 'odoo-reader' };
    const mounts = [
      ['odoo-any', {}],
      ['odoo-fresh', { ODOO_SWIFTFS_DATABASE: 'fresh' }],
      ['odoo-there', {}],
    ] as const;
    for (const [container, settings] of mounts) {
      if (container === 'odoo-there') await odoo().createContainer(container);
      const before = await contents();
      assert.equal(await check(settings), 'reads and writes', container);
      const refusal = `writing is refused in container ${container} \\(403\\): .*role .*member; reader is not enough`;
      assert.match(await check({ ...settings, ...reader }), new RegExp(`^reads only: ${refusal}$`));
      assert.deepEqual(await contents(), before);
    }
    keystone.regions[0]?.proxy.add({ do: 'status', status: 405, method: 'POST', times: 1 });
    assert.match(await check(), /^reads only: .* \(405\): .*read only$/);
    keystone.regions[0]?.proxy.add({ do: 'status', status: 503, method: 'POST', times: 1 });
    assert.match(await check(), /^reads; whether it may write could not be told: POST .* 503/);
  });

  void test('each wrong setting gives one line with the remedy', async () => {
    const wrong: [Partial<SwiftSettings>, ErrorKind, RegExp][] = [
      [{ password: 'wrong' }, 'bad-credentials', /password/],
      [{ projectName: 'nowhere' }, 'bad-credentials', /project/],
      [{ userDomainName: 'nowhere' }, 'bad-credentials', /user domain/],
      [{ projectDomainName: 'acme' }, 'bad-credentials', /project domain/],
      [{ region: 'RegionThree' }, 'bad-config', /RegionOne, RegionTwo/],
      [{ interface: 'wrong' as 'public' }, 'bad-config', /set interface .*admin, internal, public|set interface/],
      [{ authUrl: `${keystone.proxy.url}/v2.0` }, 'bad-config', /404.*auth_version/],
      [{ authUrl: `${keystone.proxy.url}/nowhere/v3` }, 'bad-config', /auth_url/],
      [{ applicationCredentialId: 'nobody', applicationCredentialSecret: 'x' }, 'bad-credentials', /application credential/],
    ];
    for (const [changed, kind, message] of wrong) await failsAs(odoo(changed).login(), kind, message);
    const { authUrl } = keystone;
    await failsAs(
      open({ ...TEST_SETTINGS, authUrl, username: 'odoo', password: 'odoo-secret' }).login(),
      'bad-config',
      /not scoped.*project_name/,
    );
    const noRegion = { ...TEST_SETTINGS, authUrl, username: 'odoo', password: 'odoo-secret', projectName: 'odoo' };
    await failsAs(open(noRegion).login(), 'bad-config', /several regions \(RegionOne, RegionTwo\).*OS_REGION_NAME/);
  });

  void test('Keystone away is an outage, also where Swift says 401, and passes by itself', async () => {
    const store = odoo();
    await store.login();
    await keystone.proxy.down();
    log.expect(/login-failed/);
    // As Swift does for a token it cannot check because Keystone is away.
    keystone.regions[0]?.proxy.add({ do: 'status', status: 401, method: 'HEAD', times: 1 });
    await failsAs(store.head('here', 'x', { timeoutMs: 5000 }), 'unavailable', /v3\/auth\/tokens/);
    await keystone.proxy.up();
    const untilMs = Date.now() + 60_000;
    for (;;) {
      try {
        assert.equal((await store.head('here', 'x'))?.sizeBytes, 1);
        return;
      } catch (error) {
        if (kindOf(error) !== 'unavailable' || Date.now() > untilMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  });

  void test('a login that is limited is held back as Retry-After asks', async () => {
    keystone.proxy.add({ do: 'status', status: 429, headers: { 'retry-after': '1' }, times: 1 });
    const store = odoo();
    assert.equal((await store.head('here', 'x'))?.sizeBytes, 1);
    assert.equal(keystone.proxy.seen.length, 2);
    const [first, second] = keystone.proxy.seen;
    assert.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 950);
  });
});
