/** Every example of docs/LOGIN.md and docs/CONFIGURATION.md is read as a config file and logs in, the way it says. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Agent } from 'undici';
import { SYSTEM_CLOCK } from '../../../src/base/clock.js';
import { resolveSettings } from '../../../src/config/resolve.js';
import { login } from '../../../src/swift/login/login.js';
import { LoginStub, type StubAnswer, type StubRequest } from '../../helpers/keystone-v2-stub.js';
import { projectRoot } from '../../helpers/project.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

const ENDPOINT = 'http://swift.example.org/v1/AUTH_a';

/** A service of all three versions that takes anything well-formed. */
function anyService(request: StubRequest): StubAnswer {
  const catalogV3 = [{ type: 'object-store', endpoints: [{ interface: 'public', region_id: 'RegionOne', url: ENDPOINT }] }];
  const catalogV2 = [{ type: 'object-store', endpoints: [{ region: 'RegionOne', publicURL: ENDPOINT }] }];
  switch (request.url) {
    case '/v3/auth/tokens':
      return { status: 201, headers: { 'x-subject-token': 't' }, json: { token: { project: { name: 'odoo' }, catalog: catalogV3 } } };
    case '/v2.0/tokens':
      return { status: 200, json: { access: { token: { id: 't', tenant: { name: 'odoo' } }, serviceCatalog: catalogV2 } } };
    case '/auth/v1.0':
      return { status: 200, headers: { 'x-storage-url': ENDPOINT, 'x-auth-token': 't' } };
    default:
      return { status: 404 };
  }
}

const examplesOf = (document: string): { way: string; yaml: string }[] =>
  [...readFileSync(path.join(projectRoot, document), 'utf8').matchAll(/```yaml\n# way: (.+)\n([^`]+)```/g)].map(([, way, yaml]) => ({
    way: way ?? '',
    yaml: yaml ?? '',
  }));

const WAYS = ['ready token', 'v1', 'v2 password', 'v3 application credential', 'v3 password', 'v3 token'];

for (const document of ['docs/LOGIN.md', 'docs/CONFIGURATION.md']) checkExamples(document, examplesOf(document));

function checkExamples(document: string, examples: readonly { way: string; yaml: string }[]): void {
  void describe(`examples of ${document}`, () => {
    let stub: LoginStub;
    let dir: string;
    const dispatcher = new Agent();

    before(async () => {
      stub = await LoginStub.start(anyService);
      dir = tempDir('login');
    });
    after(async () => {
      await dispatcher.destroy();
      await stub.close();
      removeDir(dir);
    });

    void test('there is one for every way in', () => {
      assert.deepEqual([...new Set(examples.map(({ way }) => way))].sort(), WAYS);
    });

    for (const [index, { way, yaml }] of examples.entries()) {
      void test(`example ${index + 1} logs in by ${way}`, async () => {
        const configFile = path.join(dir, `${index}.yaml`);
        writeFileSync(configFile, yaml.replace(/https:\/\/(keystone|swift)\.example\.org(?!\/v1\/)/, stub.url), { mode: 0o600 });
        const host = { environment: {}, home: dir, workingDirectory: dir, uid: 1000, gid: 1000 };
        const { settings } = resolveSettings({ flags: {}, configFile }, host);
        const context = { dispatcher, clock: SYSTEM_CLOCK, userAgent: 'unit', timeoutMs: 20_000 };
        const session = await login(context, settings);
        assert.equal(session.report.way, way);
        assert.match(session.storageUrl, /swift\.example\.org\/v1\/AUTH_/);
      });
    }
  });
}
