/** Logins against stubs on loopback: what is sent, what is believed, and what each refusal tells the admin. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Agent } from 'undici';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import { kindOf, messageOf, type ErrorKind } from '../../../src/base/errors.js';
import { SILENT_LOG } from '../../../src/base/log.js';
import { login } from '../../../src/swift/login/login.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore } from '../../../src/swift/swift-store.js';
import { FakeClock } from '../../helpers/clock.js';
import { keystoneV2, LoginStub } from '../../helpers/keystone-v2-stub.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';

void describe('login', () => {
  let stub: LoginStub;
  const dispatcher = new Agent();
  const context = { dispatcher, clock: SYSTEM_CLOCK, userAgent: 'unit', timeoutMs: 20_000 };
  const attempt = (settings: Partial<SwiftSettings>) => login(context, { ...TEST_SETTINGS, ...settings });
  const failsAs = async (settings: Partial<SwiftSettings>, kind: ErrorKind, message: RegExp): Promise<void> => {
    await assert.rejects((async () => attempt(settings))(), (error) => {
      assert.equal(kindOf(error), kind, messageOf(error));
      assert.match(messageOf(error), message);
      assert.doesNotMatch(messageOf(error), /s3cret/);
      return true;
    });
  };

  before(async () => {
    stub = await LoginStub.start(keystoneV2);
  });
  after(async () => {
    await dispatcher.destroy();
    await stub.close();
  });

  const v2 = { username: 'odoo', password: 'secret', projectName: 'odoo', region: 'two' } as const;

  void test('v2.0 logs in by tenant name and takes the region and interface asked for', async () => {
    stub.answerWith(keystoneV2);
    const session = await attempt({ ...v2, authUrl: `${stub.url}/v2.0/`, interface: 'internal' });
    assert.equal(session.token, 'v2-token');
    assert.equal(session.storageUrl, 'http://two.internal/v1/AUTH_odoo');
    assert.equal(session.report.expiresAtMs, Date.parse('2030-01-01T00:00:00Z'));
    assert.deepEqual(session.report.regions, ['one', 'two']);
    assert.deepEqual(session.report.roles, ['member']);
  });

  void test('v2.0 takes a token in place of a password', async () => {
    const session = await attempt({ authUrl: `${stub.url}/v2.0`, token: 'unscoped-token', projectName: 'odoo', region: 'one' });
    assert.equal(session.report.way, 'v2 token');
  });

  void test('v2.0 refusals name the remedy', async () => {
    const at = { ...v2, authUrl: `${stub.url}/v2.0` };
    await failsAs({ ...at, password: 's3cret' }, 'bad-credentials', /password or project is wrong/);
    await failsAs({ ...at, region: 'three' }, 'bad-config', /region "three".*one, two/);
    await failsAs(
      { authUrl: at.authUrl, username: 'odoo', password: 'secret', projectName: 'odoo' },
      'bad-config',
      /several regions \(one, two\).*OS_REGION_NAME/,
    );
    await failsAs({ authUrl: at.authUrl, username: 'odoo', password: 'secret' }, 'bad-config', /not scoped.*OS_PROJECT_NAME/);
    await failsAs({ ...at, interface: 'admin' }, 'bad-config', /no admin object store.*internal, public/);
  });

  void test('the version is found at the root of a service, and its own links are not followed', async () => {
    stub.answerWith((request) =>
      request.url === '/'
        ? { status: 300, json: { versions: { values: [{ id: 'v2.0', links: [{ href: 'http://inside.invalid/v2.0' }] }] } } }
        : keystoneV2(request),
    );
    assert.equal((await attempt({ ...v2, authUrl: stub.url })).report.way, 'v2 password');
    stub.answerWith(keystoneV2);
    await failsAs({ ...v2, authUrl: stub.url }, 'bad-config', /does not say which login versions/);
  });

  void test('an auth URL of another version is brought to the one asked for', async () => {
    stub.answerWith(keystoneV2);
    assert.equal((await attempt({ ...v2, authUrl: `${stub.url}/v3`, authVersion: '2' })).report.way, 'v2 password');
  });

  void test('the life of a token is counted from its login by our own clock, however far that is off', async () => {
    const clock = new FakeClock(Date.parse('2024-05-01T00:00:00Z'));
    const lifeMs = async (settings: Partial<SwiftSettings>): Promise<number> => {
      const session = await login({ ...context, clock }, { ...TEST_SETTINGS, ...settings });
      assert.equal(session.issuedMs, clock.nowMs());
      return (session.expiresAtMs ?? NaN) - clock.nowMs();
    };
    const v3 = { authUrl: `${stub.url}/v3`, username: 'u', password: 'p', storageUrl: 'http://swift.example/v1/AUTH_b' };
    const v3Token = { expires_at: '2020-01-01T01:00:00.000000Z', project: { name: 'odoo' } };
    stub.answerWith(() => ({
      status: 201,
      headers: { 'x-subject-token': 't' },
      json: { token: { ...v3Token, issued_at: '2020-01-01T00:00:00.000000Z' } },
    }));
    assert.equal(await lifeMs(v3), 3_600_000);
    stub.answerWith(() => ({
      status: 201,
      headers: { 'x-subject-token': 't', date: 'Wed, 01 Jan 2020 00:30:00 GMT' },
      json: { token: v3Token },
    }));
    assert.equal(await lifeMs(v3), 1_800_000);
    stub.answerWith(() => ({
      status: 200,
      json: {
        access: { token: { id: 't', tenant: {}, expires: '2020-01-01T02:00:00Z', issued_at: '2020-01-01T00:00:00.123456' } },
      },
    }));
    const zone = process.env['TZ'];
    process.env['TZ'] = 'Asia/Tokyo';
    try {
      assert.equal(await lifeMs({ ...v3, authUrl: `${stub.url}/v2.0` }), 7_199_877);
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });

  void test('a token that ended before it was issued is used until it is refused, and costs no login a request', async () => {
    const times = { issued_at: '2020-01-01T01:00:00Z', expires_at: '2020-01-01T00:00:00Z' };
    stub.answerWith(() => ({ status: 201, headers: { 'x-subject-token': 't' }, json: { token: { ...times, project: { name: 'odoo' } } } }));
    const session = await attempt({
      authUrl: `${stub.url}/v3`,
      username: 'u',
      password: 'p',
      storageUrl: 'http://swift.example/v1/AUTH_b',
    });
    assert.equal(session.expiresAtMs, undefined);
  });

  void test('a root that is somewhere else is told with where, and a catalog without regions with what to take away', async () => {
    stub.answerWith(() => ({ status: 301, headers: { location: 'https://keystone.example/' } }));
    await failsAs({ ...v2, authUrl: stub.url }, 'bad-config', /answered 301, go to https:\/\/keystone.example\/: set auth_url/);
    const catalog = [{ type: 'object-store', endpoints: [{ interface: 'public', region: null, url: 'http://swift.example/v1/AUTH_b' }] }];
    stub.answerWith(() => ({ status: 201, headers: { 'x-subject-token': 't' }, json: { token: { project: { name: 'odoo' }, catalog } } }));
    await failsAs(
      { ...v2, authUrl: `${stub.url}/v3` },
      'bad-config',
      /no object store in region "two"; take region \(OS_REGION_NAME\) away/,
    );
  });

  void test('v1 sends user and key as headers and joins a project to a bare user', async () => {
    stub.answerWith(() => ({
      status: 200,
      headers: { 'x-storage-url': 'http://swift.example/v1/AUTH_a/', 'x-auth-token': 'v1-token', 'x-auth-token-expires': '60' },
    }));
    const session = await attempt({ authUrl: `${stub.url}/auth/v1.0`, username: 'tester', projectName: 'test', password: 'k' });
    assert.equal(stub.seen.at(-1)?.headers['x-auth-user'], 'test:tester');
    assert.equal(session.storageUrl, 'http://swift.example/v1/AUTH_a');
    assert.ok(session.expiresAtMs !== undefined && session.expiresAtMs > Date.now());
  });

  void test('v1 is known by the end of the URL, also by the one in the documents of Ceph', async () => {
    stub.answerWith(() => ({ status: 204, headers: { 'x-storage-url': 'http://rgw.example/swift/v1', 'x-storage-token': 't' } }));
    for (const end of ['/auth', '/auth/', '/auth/1.0', '/auth/v1', '/auth/v1.0', '/swift/auth/1.0/']) {
      const { report, owner } = await attempt({ authUrl: `${stub.url}${end}`, username: 'test:swift', password: 'k' });
      assert.deepEqual([report.way, owner], ['v1', 'test'], end);
    }
  });

  void test('a catalog that does not say which object store is meant is refused, and is not to say another one at the next login', async () => {
    const catalogOf = (...urls: string[]) =>
      urls.map((url) => ({ type: 'object-store', endpoints: [{ interface: 'public', region_id: 'one', url }] }));
    const serve = (...urls: string[]): void =>
      stub.answerWith(() => ({ status: 201, headers: { 'x-subject-token': 't' }, json: { token: { project: { id: 'p' }, catalog: catalogOf(...urls) } } })); // prettier-ignore
    const at = { authUrl: `${stub.url}/v3`, username: 'u', password: 'p', projectName: 'odoo' };
    serve('http://swift.example/v1/AUTH_p', 'http://rgw.example/swift/v1/AUTH_p');
    await failsAs(at, 'bad-config', /several public object stores \(http:\/\/rgw.*, http:\/\/swift.*\); set storage_url/);
    assert.equal(
      (await attempt({ ...at, storageUrl: 'http://rgw.example/swift/v1/AUTH_p' })).storageUrl,
      'http://rgw.example/swift/v1/AUTH_p',
    );
    serve('http://swift.example/v1/AUTH_p', 'http://swift.example/v1/AUTH_p/');
    assert.equal((await attempt(at)).storageUrl, 'http://swift.example/v1/AUTH_p');
    serve('http://swift.example/v1/AUTH_%(tenant_id)s');
    await failsAs(at, 'bad-config', /still has %\(tenant_id\)s in the place of an id.*set storage_url/);
    serve('http://[::1]:8080/object-store/swift/v1/AUTH_p/');
    assert.equal((await attempt(at)).storageUrl, 'http://[::1]:8080/object-store/swift/v1/AUTH_p');
  });

  void test('an object store that joins the catalog later ends no session: the next one is for the store that is served from', async (t) => {
    const swift = await LoginStub.start(({ headers }) => ({
      status: headers['x-auth-token'] === `t${logins}` ? 200 : 401,
      headers: { etag: 'd41d8cd98f00b204e9800998ecf8427e' },
    }));
    t.after(() => swift.close());
    let logins = 0;
    const urls = [`${swift.url}/v1/AUTH_p`];
    const catalog = () => urls.map((url) => ({ type: 'object-store', endpoints: [{ interface: 'public', region_id: 'one', url }] }));
    stub.answerWith(() => ({ status: 201, headers: { 'x-subject-token': `t${++logins}` }, json: { token: { project: { id: 'p' }, catalog: catalog() } } })); // prettier-ignore
    const settings = { ...TEST_SETTINGS, authUrl: `${stub.url}/v3`, username: 'u', password: 'p', projectName: 'odoo' };
    const store = createSwiftStore(settings, { log: SILENT_LOG, userAgent: 'unit' });
    t.after(() => store.close());
    assert.equal((await store.head('c', 'o'))?.sizeBytes, 0);
    urls.unshift('http://rgw.example/swift/v1/AUTH_p');
    // As if it had been revoked.
    logins = 10;
    assert.equal((await store.head('c', 'o'))?.sizeBytes, 0);
    assert.equal(logins, 11);
  });

  void test('v1 refusals name the remedy', async () => {
    const at = { authUrl: `${stub.url}/auth/v1.0`, username: 'test:tester', password: 's3cret' };
    stub.answerWith(() => ({ status: 401 }));
    await failsAs(at, 'bad-credentials', /user or key is wrong/);
    stub.answerWith(() => ({ status: 200 }));
    await failsAs(at, 'bad-config', /no v1 login/);
    stub.answerWith(() => ({ status: 404 }));
    await failsAs(at, 'bad-config', /check auth_url and auth_version/);
    stub.answerWith(() => ({ status: 302, headers: { location: 'https://elsewhere/' } }));
    await failsAs(at, 'bad-config', /elsewhere/);
    stub.answerWith(() => ({ status: 503 }));
    await failsAs(at, 'unavailable', /answered 503/);
    await failsAs({ authUrl: at.authUrl, username: 'x' }, 'bad-config', /ST_USER, ST_KEY/);
  });

  void test('v3 sends an application credential without a scope, and a password with one', async () => {
    const token = { token: { expires_at: '2030-01-01T00:00:00.000000Z', project: { name: 'odoo' }, catalog: [
      { type: 'object-store', endpoints: [{ interface: 'public', region_id: 'one', url: 'http://swift.example/v1/AUTH_b' }] },
    ] } }; // prettier-ignore
    stub.answerWith(() => ({ status: 201, headers: { 'x-subject-token': 'v3-token' }, json: token }));
    const authUrl = `${stub.url}/identity/v3`;
    const sent = (): unknown => JSON.parse(stub.seen.at(-1)?.body ?? '');

    await attempt({ authUrl, applicationCredentialId: 'id', applicationCredentialSecret: 's', projectName: 'ignored' });
    assert.deepEqual(sent(), {
      auth: { identity: { methods: ['application_credential'], application_credential: { id: 'id', secret: 's' } } },
    });

    const byName = { applicationCredentialName: 'n', applicationCredentialSecret: 's', username: 'u', userDomainName: 'D' };
    await attempt({ authUrl, ...byName });
    const user = { name: 'u', domain: { name: 'D' } };
    assert.deepEqual(sent(), {
      auth: { identity: { methods: ['application_credential'], application_credential: { name: 'n', secret: 's', user } } },
    });

    const session = await attempt({ authUrl, username: 'u', password: 'p', projectName: 'odoo' });
    assert.deepEqual(sent(), {
      auth: {
        identity: { methods: ['password'], password: { user: { name: 'u', domain: { id: 'default' }, password: 'p' } } },
        scope: { project: { name: 'odoo', domain: { id: 'default' } } },
      },
    });
    assert.equal(stub.seen.at(-1)?.url, '/identity/v3/auth/tokens');
    assert.equal(session.storageUrl, 'http://swift.example/v1/AUTH_b');

    await attempt({ authUrl, token: 't', projectId: 'p1' });
    assert.deepEqual(sent(), { auth: { identity: { methods: ['token'], token: { id: 't' } }, scope: { project: { id: 'p1' } } } });
  });

  void test('a ready token needs its storage URL and no login at all', async () => {
    const before = stub.seen.length;
    const session = await attempt({ token: 'ready', storageUrl: 'http://swift.example/v1/AUTH_c/' });
    assert.equal(session.storageUrl, 'http://swift.example/v1/AUTH_c');
    assert.equal(stub.seen.length, before);
    await failsAs({ token: 'ready' }, 'bad-config', /OS_STORAGE_URL/);
    await failsAs({ token: 'ready', storageUrl: 'swift.example' }, 'bad-config', /not an http or https URL/);
  });

  void test('a refusal that is not in the words of Keystone names auth_url first', async () => {
    const at = { authUrl: `${stub.url}/v3`, username: 'u', password: 's3cret', projectName: 'p' };
    for (const status of [400, 401, 412]) {
      const kind = status === 401 ? 'bad-credentials' : 'bad-config';
      stub.answerWith(() => ({ status, text: '<html><h1>Bad Request</h1></html>' }));
      await failsAs(at, kind, /[:;] check auth_url first, for this is no answer of Keystone; else user, password/);
      stub.answerWith(() => ({ status, json: { error: { message: 'in its own words' } } }));
      await assert.rejects(attempt(at), (error) => /user, password/.test(messageOf(error)) && !/auth_url/.test(messageOf(error)));
    }
    stub.answerWith(() => ({ status: 412, text: 'Bad URL' }));
    await failsAs({ ...at, authUrl: `${stub.url}/auth/v1.0` }, 'bad-config', /check auth_url first.*v1 login/);
  });

  void test('a password within auth_url is printed nowhere', async () => {
    const { host } = new URL(stub.url);
    const at = { username: 'u', password: 'p', projectName: 'p' };
    stub.answerWith(() => ({ status: 401 }));
    await failsAs({ ...at, authUrl: `http://me:s3cret@${host}/v3` }, 'bad-credentials', /me:\*+@/);
    await failsAs({ ...at, authUrl: `http://me:s3cret@${host}/other` }, 'bad-config', /does not say which login versions/);
    await failsAs({ ...at, authUrl: `ftp://me:s3cret@${host}/v3` }, 'bad-config', /not an http or https URL/);
    stub.answerWith(keystoneV2);
    const session = await attempt({ ...v2, authUrl: `http://me:s3cret@${host}/v2.0` });
    assert.doesNotMatch(JSON.stringify(session), /s3cret/);
  });

  void test('a storage URL without an account is refused before anything is asked', async () => {
    const before = stub.seen.length;
    for (const end of ['', '/', '/v1', '/v1/', '/v1.0']) {
      await failsAs(
        { token: 'ready', storageUrl: `http://swift.example:8080${end}` },
        'bad-config',
        /must end in \/v1\/AUTH_… \(the account\)$/,
      );
    }
    await failsAs({ ...v2, authUrl: stub.url, storageUrl: 'http://swift.example/v1' }, 'bad-config', /names no account/);
    assert.equal(stub.seen.length, before);
    const ceph = 'https://rgw.example/swift/v1';
    assert.equal((await attempt({ token: 'ready', storageUrl: ceph })).storageUrl, ceph);
  });

  void test('settings that cannot log in anywhere say what is missing', async () => {
    await failsAs({}, 'bad-config', /OS_AUTH_URL or ST_AUTH/);
    await failsAs({ authUrl: 'ftp://x/v3' }, 'bad-config', /OS_PASSWORD/);
    await failsAs({ authUrl: 'ftp://x/v3', username: 'u', password: 'p' }, 'bad-config', /not an http or https URL/);
    await failsAs({ authUrl: `${stub.url}/v3`, applicationCredentialId: 'x' }, 'bad-config', /no secret/);
  });

  void test('nobody at the auth URL is an outage with the URL in its message', async () => {
    const gone = await LoginStub.start(keystoneV2);
    const { url } = gone;
    await gone.close();
    await failsAs({ authUrl: `${url}/v3`, username: 'u', password: 's3cret' }, 'unavailable', new RegExp(`${url}.*ECONNREFUSED.*auth_url`));
  });
});
