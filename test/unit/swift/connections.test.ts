/** Certificates and proxies, on loopback. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { makeCertificate } from '../../helpers/certificate.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { v1Service } from '../../helpers/v1-service.js';

void describe('connections', () => {
  let dir: string;
  let secure: https.Server;
  let plain: http.Server;
  let proxy: http.Server;
  const proxied: string[] = [];
  const stores: SwiftStore[] = [];
  const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;

  const open = (settings: Partial<SwiftSettings>, log = new LogGuard()): SwiftStore => {
    const store = createSwiftStore(
      { ...TEST_SETTINGS, username: 'u', password: 'p', ...settings },
      { log: log.log(), userAgent: 'unit/1' },
    );
    stores.push(store);
    return store;
  };

  before(async () => {
    dir = tempDir('tls');
    const { key, cert } = makeCertificate(dir);
    secure = https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, v1Service);
    plain = http.createServer(v1Service);
    proxy = http.createServer((request, response) => {
      proxied.push(request.url ?? '');
      const target = new URL(request.url ?? '');
      const forward = http.request(target, { method: request.method, headers: request.headers }, (got) => {
        response.writeHead(got.statusCode ?? 502, got.headers);
        got.pipe(response);
      });
      request.pipe(forward);
    });
    proxy.on('connect', (request, socket) => {
      proxied.push(request.url ?? '');
      const [host, port] = (request.url ?? '').split(':');
      const through = net.connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        through.pipe(socket).pipe(through);
      });
      through.on('error', () => socket.destroy());
      socket.on('error', () => through.destroy());
    });
    for (const server of [secure, plain, proxy]) await new Promise<void>((resolve) => server.listen(0, resolve));
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    for (const server of [secure, plain, proxy]) {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    }
    removeDir(dir);
  });

  void test('a certificate of an unknown CA is refused with the remedy', async () => {
    const store = open({ authUrl: `https://localhost:${portOf(secure)}/auth/v1.0` });
    await assert.rejects(store.probe(), (error) => {
      assert.equal(kindOf(error), 'bad-config');
      assert.match(messageOf(error), /certificate is not trusted.*OS_CACERT/);
      return true;
    });
  });

  void test('its CA file makes it trusted', async () => {
    await open({ authUrl: `https://localhost:${portOf(secure)}/auth/v1.0`, caFile: path.join(dir, 'cert.pem') }).probe();
  });

  void test('a certificate for another name is refused although its CA is known', async () => {
    const store = open({ authUrl: `https://127.0.0.1:${portOf(secure)}/auth/v1.0`, caFile: path.join(dir, 'cert.pem') });
    await assert.rejects(store.probe(), (error) => kindOf(error) === 'bad-config');
  });

  void test('the insecure switch takes any certificate and is warned about', async () => {
    const log = new LogGuard();
    log.expect(/certificates-not-checked/);
    await open({ authUrl: `https://localhost:${portOf(secure)}/auth/v1.0`, insecure: true }, log).probe();
    assert.ok(log.has(/^WARN certificates-not-checked/));
  });

  void test('a CA file that cannot be read is named', () => {
    assert.throws(() => open({ caFile: path.join(dir, 'none.pem') }), /cannot read the CA file .*none\.pem.*; check ca_file \(OS_CACERT\)/);
  });

  void test('requests go through the HTTP proxy, also to https, and no_proxy is exempt', async () => {
    const proxyUrl = `http://127.0.0.1:${portOf(proxy)}`;
    await open({ authUrl: `http://localhost:${portOf(plain)}/auth/v1.0`, httpProxy: proxyUrl }).probe();
    assert.ok(proxied.some((url) => url.includes(`localhost:${portOf(plain)}`)));
    const caFile = path.join(dir, 'cert.pem');
    await open({ authUrl: `https://localhost:${portOf(secure)}/auth/v1.0`, httpsProxy: proxyUrl, caFile }).probe();
    assert.ok(proxied.some((url) => url.includes(`localhost:${portOf(secure)}`)));
    const before = proxied.length;
    await open({ authUrl: `http://localhost:${portOf(plain)}/auth/v1.0`, httpProxy: proxyUrl, noProxy: 'localhost' }).probe();
    assert.equal(proxied.length, before);
  });

  void test('a client certificate is shown to a server that asks for one, and without it the login fails with one line', async () => {
    const file = (name: string): string => path.join(dir, name);
    const ssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: dir });
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    ssl('req', '-x509', ...made, '-days', '2', '-subj', '/CN=the tests own CA', '-keyout', 'ca-key.pem', '-out', 'ca.pem');
    for (const [name, extension] of Object.entries({ server: 'subjectAltName=DNS:localhost', client: 'extendedKeyUsage=clientAuth' })) {
      writeFileSync(file(`${name}.ext`), extension);
      ssl('req', ...made, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`);
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
      ssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
    }
    const read = (name: string): Buffer => readFileSync(file(name));
    const shown: string[] = [];
    const mutual = https.createServer(
      { key: read('server-key.pem'), cert: read('server.pem'), ca: read('ca.pem'), requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        shown.push(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
        v1Service(request, response);
      },
    );
    await new Promise<void>((resolve) => mutual.listen(0, resolve));
    try {
      const settings = { authUrl: `https://localhost:${portOf(mutual)}/auth/v1.0`, caFile: file('ca.pem') };
      const clientCertificateFile = file('client.pem');
      await open({ ...settings, clientCertificateFile, clientKeyFile: file('client-key.pem') }).probe();
      assert.deepEqual([...new Set(shown)], ['client']);
      writeFileSync(file('both.pem'), Buffer.concat([read('client.pem'), read('client-key.pem')]));
      await open({ ...settings, clientCertificateFile: file('both.pem') }).probe();
      const seen = shown.length;
      await assert.rejects(open(settings).probe({ timeoutMs: 5000 }), (error) => {
        assert.match(messageOf(error), /^GET https:\/\/localhost:\d+\/auth\/v1\.0: /);
        assert.doesNotMatch(messageOf(error), /\n/);
        return true;
      });
      assert.equal(shown.length, seen);
      assert.throws(
        () => open({ ...settings, clientCertificateFile: file('none.pem') }),
        /cannot read the client certificate file .*none\.pem/,
      );
    } finally {
      mutual.closeAllConnections();
      mutual.close();
    }
  });

  void test('connections outlive a HEAD, and a server that sends something behind its answer to one does no harm', async () => {
    let opened = 0;
    let lateMs = -1;
    const raw = net.createServer((socket) => {
      opened++;
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        const refused = bytes.toString().includes('x-auth-token: old');
        const head = refused ? '401 Unauthorized\r\nTransfer-Encoding: chunked' : '204 No Content\r\nX-Container-Object-Count: 7';
        socket.write(`HTTP/1.1 ${head}\r\nConnection: keep-alive\r\n\r\n${refused && lateMs < 0 ? '0\r\n\r\n' : ''}`);
        if (refused && lateMs >= 0) setTimeout(() => socket.write('0\r\n\r\n'), lateMs);
      });
    });
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
    let tokens = ['t'];
    const keystone = http.createServer((_request, response) => {
      const url = `http://127.0.0.1:${portOf(raw)}/v1/AUTH_a`;
      response.writeHead(200, { 'x-storage-url': url, 'x-auth-token': tokens.shift() ?? 't' }).end();
    });
    await new Promise<void>((resolve) => keystone.listen(0, resolve));
    try {
      const authUrl = `http://localhost:${portOf(keystone)}/auth/v1.0`;
      const store = open({ authUrl, connections: 1 });
      for (let i = 0; i < 5; i++) assert.equal((await store.headContainer('c'))?.objectCount, 7);
      assert.equal(opened, 1);
      for (lateMs of [-1, 0, 5]) {
        tokens = ['old', 't'];
        const again = open({ authUrl, connections: 1 });
        for (let i = 0; i < 5; i++) assert.equal((await again.headContainer('c'))?.objectCount, 7);
      }
    } finally {
      keystone.closeAllConnections();
      keystone.close();
      await Promise.all(stores.splice(0).map((store) => store.close()));
      raw.close();
    }
  });

  void test('a request that HTTP cannot carry fails at once and says why, and Swift is not taken for away', async () => {
    const keystone = http.createServer((_request, response) => {
      const url = `http://localhost:${portOf(plain)}/v1/AUTH_a`;
      const serviceCatalog = [{ type: 'object-store', endpoints: [{ region: 'one', publicURL: url }] }];
      response.end(JSON.stringify({ access: { token: { id: 'a token with a €' }, serviceCatalog } }));
    });
    await new Promise<void>((resolve) => keystone.listen(0, resolve));
    try {
      const store = open({ authUrl: `http://localhost:${portOf(keystone)}/v2.0` });
      const startedMs = Date.now();
      for (let i = 0; i < 6; i++) {
        await assert.rejects(store.head('c', 'o'), (error) => {
          assert.equal(kindOf(error), 'invalid-argument');
          assert.match(messageOf(error), /^HEAD .*\/c\/o: the request cannot be sent: invalid x-auth-token header .*\(attempt 1\)$/);
          return true;
        });
      }
      assert.equal(store.health.state, 'closed');
      assert.ok(Date.now() - startedMs < 5000);
      const badAgent = createSwiftStore(
        { ...TEST_SETTINGS, authUrl: `http://localhost:${portOf(plain)}/auth/v1.0`, username: 'u', password: 'p' },
        { log: new LogGuard().log(), userAgent: 'unit\n1' },
      );
      stores.push(badAgent);
      await assert.rejects(badAgent.login(), { kind: 'bad-config', message: /cannot be sent: invalid user-agent header/ });
    } finally {
      keystone.closeAllConnections();
      keystone.close();
    }
  });

  void test('IPv6 addresses serve', async (t) => {
    const six = http.createServer(v1Service);
    try {
      await new Promise<void>((resolve, reject) => six.once('error', reject).listen(0, '::1', resolve));
    } catch {
      t.skip('this machine has no IPv6');
      return;
    }
    await open({ authUrl: `http://[::1]:${portOf(six)}/auth/v1.0` }).probe();
    six.closeAllConnections();
    six.close();
  });
});
