/** Each mistake with certificates, keys and TLS has its own line, which says what to do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kindOf, messageOf, type ErrorKind } from '../../../src/base/errors.js';
import { wireFailureOf } from '../../../src/swift/requests/wire-failure.js';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';

void describe('TLS', () => {
  let dir: string;
  const stores: SwiftStore[] = [];
  const file = (name: string): string => path.join(dir, name);
  const ssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore', cwd: dir });
  const open = (settings: Partial<SwiftSettings>): SwiftStore => {
    const all = { ...TEST_SETTINGS, username: 'u', password: 'p', ...settings };
    const store = createSwiftStore(all, { log: new LogGuard().log(), userAgent: 'unit/1' });
    stores.push(store);
    return store;
  };
  const tells = (kind: ErrorKind, ...parts: RegExp[]) => {
    return (error: unknown): true => {
      assert.equal(kindOf(error), kind, messageOf(error));
      for (const part of parts) assert.match(messageOf(error), part);
      assert.doesNotMatch(messageOf(error), /\n/);
      return true;
    };
  };
  const loginFails = async (server: net.Server, host: string, check: (error: unknown) => true, settings: Partial<SwiftSettings> = {}) => {
    await new Promise<void>((resolve) => server.listen(0, resolve));
    try {
      const { port } = server.address() as AddressInfo;
      await assert.rejects(open({ authUrl: `https://${host}:${port}/auth/v1.0`, ...settings }).login(), check);
    } finally {
      server.close();
    }
  };
  const serving = (name: string): https.Server =>
    https.createServer({ key: readFileSync(file(`${name}-key.pem`)), cert: readFileSync(file(`${name}.pem`)) });

  before(() => {
    dir = tempDir('tls-failures');
    for (const [name, days] of Object.entries({ valid: '2', other: '2', expired: '-1' })) {
      writeFileSync(file(`${name}.ext`), 'subjectAltName=DNS:localhost');
      const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}-key.pem`];
      ssl('req', ...key, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
      const signed = ['-signkey', `${name}-key.pem`, '-days', days, '-extfile', `${name}.ext`];
      ssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.pem`);
    }
    writeFileSync(file('empty.pem'), '');
    writeFileSync(file('garbage.pem'), '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n');
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    removeDir(dir);
  });

  void test('an expired certificate is for its owner to renew, and no matter of CAs', async () => {
    const check = tells('bad-config', /has expired .*; have it renewed/, /^(?!.*ca_file)/);
    await loginFails(serving('expired'), 'localhost', check, { caFile: file('expired.pem') });
  });

  void test('a certificate for another name is told with the names it is for', async () => {
    const check = tells('bad-config', /for another name.*127\.0\.0\.1/, /use a name that is in the certificate/, /^(?!.*ca_file)/);
    await loginFails(serving('valid'), '127.0.0.1', check, { caFile: file('valid.pem') });
  });

  void test('a certificate of an unknown CA is told with the option that names one', async () => {
    await loginFails(serving('valid'), 'localhost', tells('bad-config', /not trusted/, /ca_file, OS_CACERT/));
  });

  void test('a server without TLS is told as one, in one line', async () => {
    await loginFails(http.createServer(), 'localhost', tells('unavailable', /does not speak TLS/, /http:\/\//));
    const chatty = net.createServer((socket) => socket.on('error', () => undefined).write('220 ready for mail\r\n'));
    await loginFails(chatty, 'localhost', tells('unavailable', /does not speak TLS/));
  });

  void test('a server that wants a certificate of ours is told with the options that name it', () => {
    const error = Object.assign(new Error('C0:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:rec.c:1:\n'), {
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    });
    assert.equal(wireFailureOf(error).reason, 'untrusted');
    assert.match(wireFailureOf(error).message, /^TLS .*tlsv13 alert certificate required.*client_cert and client_key$/);
  });

  void test('a CA file without a certificate is told at the start', () => {
    for (const name of ['empty.pem', 'garbage.pem', 'valid-key.pem']) {
      const check = tells('bad-config', new RegExp(`CA file .*${name} holds no readable certificate`), /ca_file/);
      assert.throws(() => open({ caFile: file(name) }), check);
    }
  });

  void test('a client certificate or key that cannot serve is told at the start, with its option', () => {
    const own = (clientCertificateFile: string, clientKeyFile?: string) => (): SwiftStore =>
      open({
        clientCertificateFile: file(clientCertificateFile),
        ...(clientKeyFile === undefined ? {} : { clientKeyFile: file(clientKeyFile) }),
      });
    assert.throws(
      own('valid.pem', 'other-key.pem'),
      tells('bad-config', /other-key\.pem does not belong to .*valid\.pem; check client_cert/),
    );
    assert.throws(own('garbage.pem', 'valid-key.pem'), tells('bad-config', /garbage\.pem holds no readable certificate .*client_cert/));
    assert.throws(own('valid.pem', 'garbage.pem'), tells('bad-config', /garbage\.pem holds no readable private key .*client_key/));
    assert.throws(
      own('valid.pem'),
      tells('bad-config', /client_key \(OS_KEY\), and its file .*valid\.pem holds no private key .*; set client_key$/),
    );
    assert.throws(
      () => open({ clientKeyFile: file('valid-key.pem') }),
      tells('bad-config', /^client_key \(OS_KEY\) is set without client_cert \(OS_CERT\).*; set both, or neither$/),
    );
    own('valid.pem', 'valid-key.pem')();
  });
});
