/** Certificates that are renewed while the store is in use, on loopback. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { SwiftSettings } from '../../../src/swift/swift-settings.js';
import { createSwiftStore, type SwiftStore } from '../../../src/swift/swift-store.js';
import { LogGuard } from '../../helpers/log-guard.js';
import { TEST_SETTINGS } from '../../helpers/swift-settings.js';
import { removeDir, tempDir } from '../../helpers/temp-dir.js';
import { v1Service } from '../../helpers/v1-service.js';

describe('renewed certificates', () => {
  let dir: string;
  let server: https.Server;
  let store: SwiftStore | undefined;
  let log: LogGuard;
  /** Whose certificate was shown. */
  let shown: string[];
  const file = (name: string): string => path.join(dir, `${name}.pem`);
  const read = (name: string): Buffer => readFileSync(file(name));
  /** The certificate NAME.pem, its own CA, and NAME-key.pem. */
  const make = (name: string): void => {
    const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', ...kind, ...names, '-keyout', file(`${name}-key`), '-out', file(name)], { stdio: 'ignore' });
  };
  const open = (settings: Partial<SwiftSettings>): SwiftStore => {
    const { port } = server.address() as AddressInfo;
    const all = { ...TEST_SETTINGS, username: 'u', password: 'p', authUrl: `https://localhost:${port}/auth/v1.0`, ...settings };
    return (store = createSwiftStore(all, { log: log.log(), userAgent: 'unit/1' }));
  };
  /** As a renewal at the server does; whoever is connected has to connect anew. */
  const serve = (name: string): void => {
    server.setSecureContext({ key: read(`${name}-key`), cert: read(name) });
    server.closeAllConnections();
  };

  beforeEach(async () => {
    dir = tempDir('renewed');
    log = new LogGuard();
    shown = [];
    for (const name of ['old', 'new']) make(name);
    const options = { key: read('old-key'), cert: read('old'), requestCert: true, rejectUnauthorized: false };
    server = https.createServer(options, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      // A certificate of nobody has no subject, whatever its type says.
      shown.push(String((subject as { CN?: string } | undefined)?.CN));
      v1Service(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
  });
  afterEach(async () => {
    await store?.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    removeDir(dir);
    log.assertQuiet();
  });

  it('Certificates that are renewed on the disk are used without a restart.', async () => {
    for (const name of ['ca', 'cert', 'key']) writeFileSync(file(name), read(name === 'key' ? 'old-key' : 'old'));
    const used = open({ caFile: file('ca'), clientCertificateFile: file('cert'), clientKeyFile: file('key') });
    await used.headContainer('c');
    assert.equal(shown.at(-1), 'old');
    serve('new');
    await assert.rejects(used.headContainer('c'), /certificate is not trusted/);
    writeFileSync(file('ca'), read('new'));
    await used.headContainer('c');
    assert.equal(shown.at(-1), 'old');
    // By a rename, as tools do that renew certificates.
    for (const [name, from] of [
      ['key', 'new-key'],
      ['cert', 'new'],
    ] as const) {
      writeFileSync(file('draft'), read(from));
      renameSync(file('draft'), file(name));
    }
    serve('new');
    await used.headContainer('c');
    assert.equal(shown.at(-1), 'new');
    assert.ok(log.has(/^INFO certificates-read /));
  });

  it('what is renewed and cannot serve is told once, and what was there before is used until it can', async () => {
    log.expect(/^WARN certificates-not-read .*holds no readable certificate/);
    writeFileSync(file('ca'), read('old'));
    const used = open({ caFile: file('ca') });
    await used.headContainer('c');
    writeFileSync(file('ca'), '-----BEGIN CERTIFICATE-----\n');
    for (let times = 0; times < 3; times++) {
      server.closeAllConnections();
      await used.headContainer('c');
    }
    assert.equal(log.lines.filter((line) => line.includes('certificates-not-read')).length, 1);
    writeFileSync(file('ca'), read('new'));
    serve('new');
    await used.headContainer('c');
  });
});
