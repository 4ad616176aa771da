/** Which requests a proxy sees and how, and what is told of one that refuses, is silent or is gone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';
import { kindOf, messageOf } from '../../../src/base/errors.js';
import { NoProxy } from '../../../src/swift/requests/no-proxy.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { makeCertificate } from '../../helpers/certificate.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { v1Service } from '../../helpers/v1-service.js';

void describe('proxies', () => {
  let dir: string;
  let secure: https.Server;
  let plain: http.Server;
  let proxy: http.Server;
  let caFile: string;
  const seen: string[] = [];
  const stores: SwiftStore[] = [];
  const portOf = (server: net.Server): number => (server.address() as AddressInfo).port;
  const urlOf = (server: net.Server): string => `http://127.0.0.1:${portOf(server)}`;
  const listen = async <S extends net.Server>(server: S, host = '127.0.0.1'): Promise<S> => {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
    return server;
  };
  const open = (settings: Partial<SwiftSettings>): SwiftStore => {
    const all = { ...TEST_SETTINGS, username: 'u', password: 'p', caFile, ...settings };
    const store = createSwiftStore(all, { log: new LogGuard().log(), userAgent: 'unit/1' });
    stores.push(store);
    return store;
  };
  const secureUrl = (): string => `https://localhost:${portOf(secure)}/auth/v1.0`;
  const plainUrl = (): string => `http://localhost:${portOf(plain)}/auth/v1.0`;
  const failsNaming = async (failing: Promise<unknown>, server: net.Server | string, message: RegExp): Promise<void> => {
    await assert.rejects(failing, (error) => {
      const told = messageOf(error);
      assert.equal(kindOf(error), 'unavailable', told);
      assert.ok(told.includes(`the HTTP proxy ${typeof server === 'string' ? server : urlOf(server)} `), told);
      assert.match(told, message);
      assert.match(told, /http_proxy/);
      assert.doesNotMatch(told, /auth_url|hidden|\n/);
      return true;
    });
  };

  before(async () => {
    dir = tempDir('proxies');
    const { key, cert } = makeCertificate(dir);
    caFile = cert;
    secure = await listen(https.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, v1Service));
    plain = await listen(http.createServer(v1Service));
    const note = (request: http.IncomingMessage): void => {
      seen.push([request.method, request.url, request.headers['proxy-authorization'] ?? ''].join(' ').trim());
    };
    proxy = http.createServer((request, response) => {
      note(request);
      const { 'proxy-authorization': _ours, ...headers } = request.headers;
      const { port, pathname } = new URL(request.url ?? '');
      const forward = http.request({ host: '127.0.0.1', port, path: pathname, method: request.method, headers }, (got) => {
        response.writeHead(got.statusCode ?? 502, got.headers);
        got.pipe(response);
      });
      request.pipe(forward);
    });
    proxy.on('connect', (request, socket) => {
      note(request);
      const through = net.connect(Number((request.url ?? '').split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        through.pipe(socket).pipe(through);
      });
      through.on('error', () => socket.destroy());
      socket.on('error', () => through.destroy());
    });
    await listen(proxy);
  });
  beforeEach(() => {
    seen.length = 0;
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    for (const server of [secure, plain, proxy]) {
      server.closeAllConnections();
      server.close();
    }
    removeDir(dir);
  });

  void test('an http:// URL is handed to the proxy whole, an https:// one goes through a tunnel, and both know its user', async () => {
    const url = `http://us%40er:pass@127.0.0.1:${portOf(proxy)}`;
    const known = `Basic ${Buffer.from('us@er:pass').toString('base64')}`;
    await open({ authUrl: plainUrl(), httpProxy: url, httpsProxy: url }).probe();
    const origin = `http://localhost:${portOf(plain)}`;
    assert.deepEqual(seen.splice(0), [`GET ${origin}/auth/v1.0 ${known}`, `HEAD ${origin}/v1/AUTH_a ${known}`]);
    await open({ authUrl: secureUrl(), httpProxy: url, httpsProxy: url }).probe();
    assert.deepEqual([...new Set(seen)], [`CONNECT localhost:${portOf(secure)} ${known}`]);
  });

  void test('a proxy for one scheme is none for the other', async () => {
    await open({ authUrl: secureUrl(), httpProxy: urlOf(proxy) }).probe();
    await open({ authUrl: plainUrl(), httpsProxy: urlOf(proxy) }).probe();
    assert.deepEqual(seen, []);
  });

  void test('a proxy that closes the connection fails the call, and is not asked again without a pause', async () => {
    let connections = 0;
    const closing = await listen(net.createServer((socket) => {
      connections++;
      socket.on('error', () => undefined).once('data', () => socket.end());
    })); // prettier-ignore
    try {
      await failsNaming(open({ authUrl: secureUrl(), httpsProxy: urlOf(closing) }).login(), closing, /closed the connection/);
      assert.equal(connections, 2, 'the login, and its one repetition');
      await failsNaming(open({ authUrl: plainUrl(), httpProxy: urlOf(closing) }).login(), closing, /connection was closed/);
      assert.equal(connections, 4);
    } finally {
      closing.close();
    }
  });

  void test('a proxy that never answers fails the call: CONNECT within the time for a connection, a request within that for an answer', async () => {
    const silent = await listen(net.createServer((socket) => socket.on('error', () => undefined).resume()));
    try {
      const startedMs = Date.now();
      const store = open({ authUrl: secureUrl(), httpsProxy: urlOf(silent), connectTimeoutMs: 300 });
      await failsNaming(store.login(), silent, /did not connect to localhost:\d+ within 300 ms/);
      assert.ok(Date.now() - startedMs < 5000);
      const forwarding = open({ authUrl: plainUrl(), httpProxy: urlOf(silent), headersTimeoutMs: 300 });
      await failsNaming(forwarding.login(), silent, /no answer within 300 ms; .* had no answer for us until then/);
    } finally {
      await Promise.all(stores.splice(0).map((store) => store.close()));
      silent.close();
    }
  });

  void test('a request after the login that times out or is reset names the proxy it went through, and never its password', async () => {
    let manner: 'silent' | 'reset' | 'stall' = 'silent';
    const misbehave = (socket: Duplex): void => {
      if (manner === 'reset') (socket as net.Socket).resetAndDestroy();
      if (manner === 'stall') socket.write('HTTP/1.1 200 OK\r\nX-Trans-Id: tx\r\nEtag: e\r\nContent-Length: 9\r\n\r\nabc');
    };
    const moody = http.createServer((request, response) => {
      const { host = '' } = request.headers;
      const session = { 'x-storage-url': `http://${host}/v1/AUTH_a`, 'x-auth-token': 't' };
      if (request.url?.endsWith('/auth/v1.0') === true) response.writeHead(200, session).end();
      else misbehave(request.socket);
    });
    moody.on('connect', (_request, socket) => {
      socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\n\r\n');
      socket.once('data', () => misbehave(socket));
    });
    await listen(moody);
    const url = urlOf(moody).replace('//', '//user:hidden@');
    const times = { headersTimeoutMs: 20_000, requestTimeoutMs: 400, stallTimeoutMs: 300 };
    const forwarding = (changed: Partial<SwiftSettings> = {}): SwiftStore =>
      open({ authUrl: plainUrl(), httpProxy: url, ...times, ...changed });
    const tunnelling = (changed: Partial<SwiftSettings> = {}): SwiftStore =>
      open({ token: 't', storageUrl: `https://localhost:${portOf(secure)}/v1/AUTH_a`, httpsProxy: url, ...times, ...changed });
    try {
      for (const store of [forwarding(), tunnelling()]) {
        await failsNaming(store.head('c', 'o'), moody, /no answer within 400 ms; .* had no answer for us until then/);
      }
      const early = { headersTimeoutMs: 300, connectTimeoutMs: 300, requestTimeoutMs: 30_000 };
      await failsNaming(forwarding(early).probe({ timeoutMs: 10_000 }), moody, /or the server behind it failed: no answer in time/);
      await failsNaming(tunnelling(early).probe({ timeoutMs: 10_000 }), moody, /or the server behind it failed: no connection in time/);
      manner = 'reset';
      for (const store of [forwarding(), tunnelling()])
        await failsNaming(store.probe({ timeoutMs: 10_000 }), moody, /failed: the connection was (reset|closed)/);
      manner = 'stall';
      const read = (await forwarding({ requestTimeoutMs: 20_000 }).get('c', 'o')) ?? assert.fail('not there');
      await failsNaming(text(read.body), moody, /or the server behind it failed: the answer stalled/);
    } finally {
      await Promise.all(stores.splice(0).map((store) => store.close()));
      moody.closeAllConnections();
      moody.close();
    }
  });

  void test('a proxy that refuses is told with what it said', async () => {
    let status = 0;
    const refusing = http.createServer((_request, response) => response.writeHead(status).end('<h1>no</h1>'));
    refusing.on('connect', (_request, socket) => socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`));
    await listen(refusing);
    try {
      for (status of [403, 407, 502, 503]) {
        const told = new RegExp(
          status === 407 ? 'asks for a user and a password \\(407\\)' : `did not let us through to .*answered ${status}`,
        );
        await failsNaming(open({ authUrl: secureUrl(), httpsProxy: urlOf(refusing) }).login(), refusing, told);
        await failsNaming(open({ authUrl: plainUrl(), httpProxy: urlOf(refusing) }).login(), refusing, told);
      }
      const known = urlOf(refusing).replace('//', '//user:hidden@');
      status = 407;
      await failsNaming(open({ authUrl: plainUrl(), httpProxy: known }).login(), refusing, /refuses its user and password/);
    } finally {
      refusing.closeAllConnections();
      refusing.close();
    }
  });

  void test('a proxy that is not there is told as such', async () => {
    const gone = await listen(net.createServer());
    const url = urlOf(gone);
    await new Promise((resolve) => gone.close(resolve));
    await failsNaming(open({ authUrl: secureUrl(), httpsProxy: url }).login(), url, /cannot be reached: connection refused/);
    await failsNaming(open({ authUrl: plainUrl(), httpProxy: url }).login(), url, /cannot be reached: connection refused/);
  });

  void test('what Swift itself refuses is not blamed on the proxy', async () => {
    const swift = await listen(http.createServer((_request, response) => response.writeHead(403, { 'x-trans-id': 'tx' }).end()));
    try {
      const authUrl = `http://localhost:${portOf(swift)}/auth/v1.0`;
      await assert.rejects(open({ authUrl, httpProxy: urlOf(proxy) }).login(), (error) => kindOf(error) === 'bad-credentials');
    } finally {
      swift.closeAllConnections();
      swift.close();
    }
  });

  void test('a host in a block of no_proxy is reached without one', async () => {
    const authUrl = `http://127.0.0.1:${portOf(plain)}/auth/v1.0`;
    await open({ authUrl, httpProxy: urlOf(proxy), noProxy: '127.0.0.0/8' }).probe();
    assert.deepEqual(seen, []);
    await open({ authUrl, httpProxy: urlOf(proxy), noProxy: '10.0.0.0/8' }).probe();
    assert.equal(seen.length, 2);
  });

  void test('an IPv6 address in no_proxy is reached without one', async (t) => {
    const six = await listen(http.createServer(v1Service), '::1').catch(() => undefined);
    if (six === undefined) return t.skip('this machine has no IPv6');
    await open({ authUrl: `http://[::1]:${portOf(six)}/auth/v1.0`, httpProxy: urlOf(proxy), noProxy: '::1' }).probe();
    assert.deepEqual(seen, []);
    six.closeAllConnections();
    six.close();
  });

  void test('no_proxy knows names, what is below them, ports, addresses, blocks of them and the star', () => {
    const matches: [string, string, number, boolean][] = [
      ['swift.test', 'swift.test', 80, true],
      ['swift.test', 'a.SWIFT.test', 80, true],
      ['swift.test', 'otherswift.test', 80, false],
      ['.swift.test other', 'a.swift.test', 443, true],
      ['*.swift.test', 'a.swift.test', 443, true],
      ['swift.test:8080', 'swift.test', 8080, true],
      ['swift.test:8080', 'swift.test', 80, false],
      ['::1', '::1', 80, true],
      ['0:0::1', '::1', 80, true],
      ['[::1]', '::1', 80, true],
      ['[::1]:8080', '::1', 8080, true],
      ['[::1]:8080', '::1', 80, false],
      ['a,*', 'b', 80, true],
      ['10.0.0.0/8', '10.255.1.2', 80, true],
      ['10.0.0.0/8', '11.0.0.1', 80, false],
      ['192.168.7.9/24,x', '192.168.7.1', 443, true],
      ['10.1.2.3/32', '10.1.2.4', 80, false],
      ['0.0.0.0/0', '8.8.8.8', 80, true],
      ['0.0.0.0/0', 'fd00::1', 80, false],
      ['10.0.0.0/8', '10.example', 80, false],
      ['fd00::/8', 'fdab::1', 80, true],
      ['[fd00::]/8', 'fdab::1', 80, true],
      ['fd00::/8', 'fe80::1', 80, false],
      ['10.0.0.0/8', '::ffff:10.1.2.3', 80, true],
      ['no/block', 'no', 80, false],
      ['', 'b', 80, false],
    ];
    for (const [list, host, port, expected] of matches)
      assert.equal(new NoProxy(list).has(host, port), expected, `${list} ${host}:${port}`);
    for (const list of ['10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/255.0.0.0']) {
      const check = { kind: 'bad-config', message: new RegExp(`^${list} is no block of addresses .*no_proxy`) };
      assert.throws(() => open({ authUrl: plainUrl(), httpProxy: urlOf(proxy), noProxy: `a ${list}` }), check);
    }
  });
});
