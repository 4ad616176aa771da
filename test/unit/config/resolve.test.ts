import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { MASK } from '../../../src/base/shown-url.js';
import { checkLogin } from '../../../src/config/check-login.js';
import type { Host } from '../../../src/config/host.js';
import { resolveSettings, type ResolveInput } from '../../../src/config/resolve.js';
import { shownOptions } from '../../../src/config/show.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { hostWith } from './host.js';

const directory = tempDir('config');
after(() => removeDir(directory));

let serial = 0;
function configFile(content: string, mode = 0o600): string {
  const file = `${directory}/config-${serial++}.yaml`;
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

function settingsOf(input: Partial<ResolveInput>, host: Host = hostWith()): ReturnType<typeof resolveSettings>['settings'] {
  return resolveSettings({ flags: {}, ...input }, host).settings;
}

function refusal(input: Partial<ResolveInput>, host: Host = hostWith()): string {
  try {
    settingsOf(input, host);
  } catch (error) {
    assert.equal((error as { kind?: string }).kind, 'bad-config');
    return (error as Error).message;
  }
  return assert.fail('was not refused');
}

test('a flag goes before the file, the file before the variables, ours before those of OpenStack', () => {
  const file = configFile('region: from-file\n');
  const host = hostWith({ ODOO_SWIFTFS_REGION: 'from-ours', OS_REGION_NAME: 'from-os' });
  assert.equal(settingsOf({ flags: { region: 'from-flag' }, configFile: file }, host).region, 'from-flag');
  assert.equal(settingsOf({ configFile: file }, host).region, 'from-file');
  assert.equal(settingsOf({}, host).region, 'from-ours');
  assert.equal(settingsOf({}, hostWith({ OS_REGION_NAME: 'from-os' })).region, 'from-os');
  assert.equal(settingsOf({}, hostWith({ ODOO_SWIFTFS_CONFIG: file })).region, 'from-file');
});

test('defaults follow the user: system directories for root, the home for others', () => {
  const root = settingsOf({});
  assert.equal(root.spoolDirectory, '/var/lib/odoo-swiftfs');
  assert.equal(root.allowOther, true);
  const user = settingsOf({}, hostWith({ XDG_CACHE_HOME: '/c' }, { uid: 1000, gid: 100 }));
  assert.equal(user.spoolDirectory, '/nowhere/home/.local/share/odoo-swiftfs');
  assert.equal(user.cacheDirectory, '/c/odoo-swiftfs');
  assert.deepEqual([user.allowOther, user.uid, user.gid], [false, undefined, undefined]);
});

test('values of the file are taken as they are written: a mode is octal, a password may look like a number', () => {
  const settings = settingsOf({
    configFile: configFile('umask: 022\npassword: 0123\nusername: "yes"\nwrite_timeout: 5s\ncache_size: 1GiB\ninsecure: yes\n'),
  });
  assert.deepEqual(
    [settings.umask, settings.password, settings.username, settings.writeTimeoutMs, settings.cacheBudgetBytes, settings.insecure],
    [0o022, '0123', 'yes', 5000, 2 ** 30, true],
  );
});

test('a request_deadline that would cut off a close() is refused, with both options and what it would do', () => {
  assert.match(
    refusal({ flags: { request_deadline: '12s' } }),
    /^request_deadline .* write_timeout, which is "10s" \(set by default\), not "12s" \(set by --request-deadline\)/,
  );
  assert.match(refusal({ flags: { write_timeout: '2m' } }), /write_timeout, which is "2m" \(set by --write-timeout\), not "120s"/);
  assert.equal(settingsOf({ flags: { request_deadline: '15s' } }).requestDeadlineMs, 15_000);
});

test('an unknown key is refused with its line and the key that was meant', () => {
  const file = configFile('# mine\nregion: a\ncache_szie: 1GiB\n');
  assert.equal(refusal({ configFile: file }), `${file}:3: unknown option cache_szie; did you mean cache_size?`);
});

test('an unknown variable of ours is refused with the one that was meant', () => {
  assert.match(refusal({}, hostWith({ ODOO_SWIFTFS_REGOIN: 'x' })), /^ODOO_SWIFTFS_REGOIN: .*did you mean ODOO_SWIFTFS_REGION\?/);
});

test('a bad unit names the key, the value, where it was set and what is right', () => {
  const file = configFile('write_timeout: 10\n');
  assert.equal(
    refusal({ configFile: file }),
    `write_timeout must be a duration with its unit, such as 400ms, 10s, 5m, 2h or 14d, not "10" (set by ${file}:1)`,
  );
  assert.match(refusal({ flags: { cache_size: '64M' } }), /^cache_size must be a size .* not "64M" \(set by --cache-size\)$/);
  assert.match(refusal({}, hostWith({ ODOO_SWIFTFS_UMASK: '9' })), /^umask must be an octal mask.*\(set by ODOO_SWIFTFS_UMASK\)$/);
  assert.match(refusal({ flags: { umask: '777' } }), /^umask must .* leaves the owner every right, such as 022 or 077, not "777"/);
  assert.equal(settingsOf({ flags: { umask: '077' } }).umask, 0o077);
  assert.match(refusal({ flags: { nodes: 'two' } }), /^nodes must be one or many, not "two"/);
  assert.match(refusal({}, hostWith({ OS_AUTH_URL: 'keystone:5000' })), /^auth_url must be a URL.*\(set by OS_AUTH_URL\)$/);
});

test('a secret is not repeated when its value is refused', () => {
  const message = refusal({}, hostWith({ ODOO_SWIFTFS_HTTP_PROXY: 'socks://user:hunter2@proxy' }));
  assert.match(message, /^http_proxy must be a URL/);
  assert.doesNotMatch(message, /hunter2/);
});

test('a file that holds a secret and can be read by others is refused; without a secret it is not', () => {
  const open = configFile('region: a\npassword: hunter2\n', 0o640);
  assert.equal(refusal({ configFile: open }), `${open}:2: holds password, but others can read the file; run: chmod 600 ${open}`);
  assert.equal(settingsOf({ configFile: configFile('region: a\n', 0o644) }).region, 'a');
});

test('what is not a mapping of words to values is refused with its place', () => {
  assert.match(refusal({ configFile: configFile('- a\n- b\n') }), /must be lines of "option: value", with a space behind the colon$/);
  assert.match(
    refusal({ configFile: configFile('uid: 1\nregion:a\ngid: 1\n') }),
    /:2:1: not YAML: .*; write "option: value", with a space/,
  );
  assert.match(refusal({ configFile: configFile('region: [a, b]\n') }), /:1: region must be one value/);
  assert.match(refusal({ configFile: configFile('region:\n') }), /:1: region has no value/);
  assert.match(refusal({ configFile: configFile('region: a\nregion: b\n') }), /:2:1: not YAML: duplicate key; write each key once$/);
  assert.match(refusal({ configFile: configFile('region: "a\n') }), /: not YAML: /);
  assert.equal(refusal({ configFile: '/nowhere/at/all.yaml' }), 'config file /nowhere/at/all.yaml: there is no such file');
  assert.equal(settingsOf({ configFile: configFile('') }).containerPrefix, 'odoo');
  assert.equal(settingsOf({ configFile: configFile('container_prefix: ""\n') }).containerPrefix, '');
});

test('a password that begins with a sign of YAML is refused, instead of losing its first word', () => {
  for (const written of ['*abc', '&abc', '&abc def', '!abc', '!abc def', '!!abc def', '! def']) {
    const file = configFile(`password: ${written}\n`);
    assert.equal(refusal({ configFile: file }), `${file}:1: password begins with a sign of YAML (& * !); put it in single quotes`);
  }
  assert.equal(settingsOf({ configFile: configFile('password: !!str abc\n') }).password, 'abc');
  assert.match(refusal({ configFile: configFile('password: {abc}\n') }), /one that begins with \{ or \[ in single quotes$/);
  assert.equal(settingsOf({ configFile: configFile("password: '&abc #def'\n") }).password, '&abc #def');
});

test('ST_* are used when no other login is told of, and a flag may change one of them', () => {
  const st = { ST_AUTH: 'http://swift/auth/v1.0', ST_USER: 'test:tester', ST_KEY: 'k' };
  const alone = settingsOf({}, hostWith(st));
  assert.deepEqual([alone.authUrl, alone.username, alone.password], ['http://swift/auth/v1.0', 'test:tester', 'k']);
  const elsewhere = settingsOf({ flags: { auth_url: 'http://other/auth/v1.0' } }, hostWith(st));
  assert.deepEqual([elsewhere.authUrl, elsewhere.username, elsewhere.password], ['http://other/auth/v1.0', 'test:tester', 'k']);
  const file = configFile('auth_url: http://k/v3\napplication_credential_id: id\napplication_credential_secret: s\n');
  assert.equal(settingsOf({ configFile: file }, hostWith(st)).username, undefined);
  const both = settingsOf({}, hostWith({ ...st, OS_AUTH_URL: 'http://keystone/v3', OS_USERNAME: 'u', OS_PASSWORD: 'p' }));
  assert.deepEqual([both.authUrl, both.username, both.password], ['http://keystone/v3', 'u', 'p']);
});

test('old names of the OpenStack variables are understood', () => {
  const settings = settingsOf(
    {},
    hostWith({ OS_TENANT_NAME: 'shop', OS_IDENTITY_API_VERSION: '2.0', OS_ENDPOINT_TYPE: 'internalURL', OS_CACERT: '/ca.pem' }),
  );
  assert.deepEqual([settings.projectName, settings.authVersion, settings.interface, settings.caFile], ['shop', '2', 'internal', '/ca.pem']);
});

test('a password in the environment does not spoil the application credential in the file', () => {
  const file = configFile('auth_url: http://k/v3\napplication_credential_id: id\napplication_credential_secret: s\n');
  const settings = settingsOf({ configFile: file }, hostWith({ OS_PASSWORD: 'stray', OS_TOKEN: 'stray' }));
  assert.equal(settings.password, undefined);
  assert.equal(settings.token, undefined);
  assert.equal(settings.applicationCredentialSecret, 's');
});

test('a name goes before the id of a later source, and an id before its name', () => {
  const os = {
    OS_PROJECT_ID: 'os-project-id',
    OS_PROJECT_NAME: 'os-project',
    OS_USER_ID: 'os-user-id',
    OS_USER_DOMAIN_ID: 'os-domain-id',
    OS_PROJECT_DOMAIN_NAME: 'os-project-domain',
    OS_APPLICATION_CREDENTIAL_ID: 'os-credential-id',
    OS_APPLICATION_CREDENTIAL_SECRET: 's',
  };
  const flags = { project_name: 'p', username: 'u', application_credential_name: 'c' };
  const file = configFile('user_domain_name: d\nproject_domain_id: e\nproject_id: file-project-id\n');
  const resolved = resolveSettings({ flags, configFile: file }, hostWith(os));
  const { settings } = resolved;
  assert.deepEqual([settings.projectName, settings.projectId], ['p', undefined]);
  assert.deepEqual([settings.username, settings.userId], ['u', undefined]);
  assert.deepEqual([settings.userDomainName, settings.userDomainId], ['d', undefined]);
  assert.deepEqual([settings.projectDomainId, settings.projectDomainName], ['e', undefined]);
  assert.deepEqual([settings.applicationCredentialName, settings.applicationCredentialId], ['c', undefined]);
  const shown = shownOptions(resolved).map(({ name }) => name);
  assert.ok(shown.includes('project_name') && !shown.includes('project_id') && !shown.includes('user_id'));

  const ours = settingsOf({}, hostWith({ ...os, ODOO_SWIFTFS_PROJECT_NAME: 'ours' }));
  assert.deepEqual([ours.projectName, ours.projectId], ['ours', undefined]);
  const tenant = settingsOf({ flags: { project_id: 'i' } }, hostWith({ OS_TENANT_NAME: 'shop' }));
  assert.deepEqual([tenant.projectId, tenant.projectName], ['i', undefined]);
});

test('an id and a name of one source both stand', () => {
  const settings = settingsOf({}, hostWith({ OS_PROJECT_ID: 'i', OS_PROJECT_NAME: 'n' }));
  assert.deepEqual([settings.projectId, settings.projectName], ['i', 'n']);
});

test('clouds.yaml fills in what is not set, under secure.yaml, found on the standard path', () => {
  const home = `${directory}/home`;
  mkdirSync(`${home}/.config/openstack`, { recursive: true });
  writeFileSync(
    `${home}/.config/openstack/clouds.yaml`,
    `clouds:
  prod:
    profile: vendor
    auth: { username: u, project_name: p, user_domain_name: d, project_domain_id: default }
    region_name: RegionOne
    interface: internal
    identity_api_version: 3
    verify: false
`,
  );
  writeFileSync(`${home}/.config/openstack/secure.yaml`, 'clouds: { prod: { auth: { password: s3cret } } }\n');
  writeFileSync(
    `${home}/.config/openstack/clouds-public.yaml`,
    'public-clouds: { vendor: { auth: { auth_url: "https://vendor/v3" }, region_name: Other } }\n',
  );
  const settings = settingsOf({ flags: { region: 'RegionTwo' } }, hostWith({ OS_CLOUD: 'prod' }, { home }));
  assert.deepEqual(
    [settings.authUrl, settings.username, settings.password, settings.projectName, settings.userDomainName, settings.projectDomainId],
    ['https://vendor/v3', 'u', 's3cret', 'p', 'd', 'default'],
  );
  assert.deepEqual([settings.region, settings.interface, settings.authVersion, settings.insecure], ['RegionTwo', 'internal', '3', true]);
  assert.match(
    refusal({ flags: { os_cloud: 'prdo' } }, hostWith({}, { home })),
    /^--os-cloud: .* has no cloud "prdo"; did you mean prod\?$/,
  );
  assert.match(refusal({}, hostWith({ OS_CLOUD: 'prod' })), /^OS_CLOUD: cloud "prod": no clouds.yaml in /);
});

test('clouds.yaml and the file are taken as written, and a mistake in them is told without their text', () => {
  const hostOf = (auth: string): Host =>
    hostWith({ OS_CLOUD: 'one', OS_CLIENT_CONFIG_FILE: configFile(`clouds:\n  one:\n    identity_api_version: 3\n    auth:\n${auth}`) });
  for (const written of ['12345678901234567890', '0123', '1e3', '0x10', 'true', '1.0']) {
    const settings = settingsOf(
      {},
      hostOf(`      password: ${written}\n      project_id: ${written}\n      username: null\n      user_id:\n`),
    );
    assert.deepEqual([settings.password, settings.projectId], [written, written]);
    assert.deepEqual([settings.username, settings.userId, settings.authVersion], [undefined, undefined, '3']);
    const file = configFile(`password: ${written}\nusername: ${written}\nproject_name: ${written}\n`);
    const { password, username, projectName } = settingsOf({ configFile: file });
    assert.deepEqual([password, username, projectName], [written, written, written]);
  }
  for (const wrong of [
    '"hunter2',
    '@hunter2',
    '"a" hunter2',
    '[hunter2',
    'hunter2: hunter2: hunter2',
    '"\\hunter2"',
    '%hunter2',
    '}hunter2',
  ]) {
    const message = refusal({}, hostOf(`      password: ${wrong}\n`));
    assert.match(message, /^\/\S+\.yaml:\d+:\d+: not YAML: [^\n]+$/, wrong);
    assert.doesNotMatch(message, /hunter2/);
    assert.doesNotMatch(refusal({ configFile: configFile(`password: ${wrong}\n`) }), /hunter2|\n/);
  }
  assert.match(refusal({}, hostOf('      password: *hunter2\n')), /^\/\S+\.yaml: a value begins with \* and names nothing; [^\n]+quotes/);
});

test('a password within a URL that is refused is not repeated', () => {
  assert.match(
    refusal({}, hostWith({ OS_AUTH_URL: 'ftp://me:hunter2@keystone/v3' })),
    /"ftp:\/\/me:\*+@keystone\/v3" \(set by OS_AUTH_URL\)$/,
  );
  assert.doesNotMatch(refusal({}, hostWith({ OS_AUTH_URL: 'https://me:hun/ter2@keystone/v3' })), /ter2/);
});

test('a default domain is an id, and stands in where none is named', () => {
  const domainsOf = (host: Host, flags: Record<string, string> = {}): readonly (string | undefined)[] => {
    const { userDomainId, userDomainName, projectDomainId, projectDomainName } = settingsOf({ flags }, host);
    return [userDomainId, userDomainName, projectDomainId, projectDomainName];
  };
  assert.deepEqual(domainsOf(hostWith({ OS_DEFAULT_DOMAIN: 'default' })), ['default', undefined, 'default', undefined]);
  const named = { OS_DEFAULT_DOMAIN: 'default', OS_USER_DOMAIN_NAME: 'acme', OS_PROJECT_DOMAIN_ID: 'p' };
  assert.deepEqual(domainsOf(hostWith(named)), [undefined, 'acme', 'p', undefined]);
  assert.deepEqual(domainsOf(hostWith({ OS_DEFAULT_DOMAIN: 'default' }), { user_domain_name: 'acme' }), [
    undefined,
    'acme',
    'default',
    undefined,
  ]);

  const cloud = (lines: string): readonly (string | undefined)[] => {
    const file = configFile(`clouds:\n  one:\n    ${lines}\n`);
    return domainsOf(hostWith({ OS_CLOUD: 'one', OS_CLIENT_CONFIG_FILE: file }));
  };
  assert.deepEqual(cloud('auth: { default_domain: default }'), ['default', undefined, 'default', undefined]);
  assert.deepEqual(cloud('default_domain: default'), ['default', undefined, 'default', undefined]);
  assert.deepEqual(cloud('auth: { default_domain: default, user_domain_name: acme }'), [undefined, 'acme', 'default', undefined]);
  assert.deepEqual(cloud('auth: { default_domain: default, domain_name: acme }'), [undefined, 'acme', undefined, 'acme']);
});

test('missing credentials are named with where to set them', () => {
  const lacking = (environment: Record<string, string>): string => {
    try {
      checkLogin(settingsOf({}, hostWith(environment)));
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing';
  };
  assert.match(lacking({}), /^missing auth_url \(OS_AUTH_URL\): .*clouds.yaml/);
  assert.match(lacking({ OS_AUTH_URL: 'http://k' }), /^missing username \(OS_USERNAME\)/);
  assert.match(lacking({ OS_AUTH_URL: 'http://k', OS_USERNAME: 'u' }), /^missing password \(OS_PASSWORD\)/);
  assert.match(lacking({ OS_AUTH_URL: 'http://k', OS_APPLICATION_CREDENTIAL_ID: 'i' }), /^missing application_credential_secret/);
  assert.equal(lacking({ OS_AUTH_TOKEN: 't', OS_STORAGE_URL: 'http://s/v1/AUTH_x' }), 'nothing');
  const st = { ST_AUTH: 'http://s/auth/v1.0', ST_USER: 'u', ST_KEY: 'k' };
  assert.equal(lacking(st), 'nothing');
  assert.match(
    lacking({ ...st, OS_AUTH_URL: 'http://k' }),
    /^missing username .* ST_KEY \(which count only while OS_AUTH_URL, .* are unset\)/,
  );
});

test('what is shown says who set it, and masks every secret', () => {
  const host = hostWith({
    OS_PASSWORD: 'hunter2',
    http_proxy: 'http://me:hunter2@proxy:3128',
    OS_AUTH_URL: 'https://me:hunter2@keystone/v3',
  });
  const shown = shownOptions(resolveSettings({ flags: { region: 'r' } }, host));
  assert.deepEqual(
    shown.find(({ name }) => name === 'region'),
    { name: 'region', value: 'r', setBy: '--region' },
  );
  assert.deepEqual(
    shown.find(({ name }) => name === 'password'),
    { name: 'password', value: MASK, setBy: 'OS_PASSWORD' },
  );
  assert.equal(shown.find(({ name }) => name === 'write_timeout')?.setBy, 'default');
  assert.doesNotMatch(JSON.stringify(shown), /hunter2/);
});
