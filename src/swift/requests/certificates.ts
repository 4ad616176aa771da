/**
 * Connections with the certificates as they lie on the disk: who renews ca_file, client_cert or client_key need not start the mount again. Before each
 * new TLS connection the files are looked at, by other threads, since one may lie on a disk that hangs: then those of before serve.
 *
 * INVARIANT: what is on the disk takes the place of what is used only as a whole, and when it can serve: files are renewed one after another.
 */
import { readFileSync, statSync, type Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { buildConnector as Connector } from 'undici';
import buildConnector from 'undici/lib/core/connect.js';
import { asError, FilestoreError, messageOf } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { SingleFlight } from '../../base/single-flight.js';
import { untilAborted } from '../../base/until-aborted.js';
import type { SwiftSettings } from '../swift-settings.js';
import { tlsOptions, type TlsOptions } from './tls-options.js';

const LOOK_MS = 1_000;

export class Certificates {
  readonly #settings: SwiftSettings;
  readonly #log: Log;
  readonly #files: readonly string[];
  readonly #looks = new SingleFlight<void>();
  /** Of the files that are used. */
  #stamp: string;
  /** Of those that cannot serve, and the log says so. */
  #refusedStamp: string | undefined;
  #tls: TlsOptions;
  /** By host and port: each remembers the sessions of one server. */
  readonly #connectors = new Map<string, Connector.connector>();

  /** @throws FilestoreError bad-config when a file cannot serve */
  constructor(settings: SwiftSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    const { caFile, clientCertificateFile, clientKeyFile } = settings;
    this.#files = [caFile, clientCertificateFile, clientKeyFile].filter((file) => file !== undefined);
    // First, so that what is changed while they are read is read again.
    this.#stamp = stampOf(this.#files.map((file) => statSync(file, { throwIfNoEntry: false })));
    this.#tls = tlsOptions(settings, (file) => readFileSync(file, 'utf8'));
  }

  readonly connect: Connector.connector = (options, callback) => {
    if (options.protocol !== 'https:' || this.#files.length === 0) return this.#connector(options.host)(options, callback);
    this.#lookSoon()
      .then(() => this.#connector(options.host)(options, callback))
      .catch((error: unknown) => callback(asError(error), null));
  };

  #connector(host = ''): Connector.connector {
    let connector = this.#connectors.get(host);
    if (connector === undefined) {
      connector = buildConnector({ timeout: this.#settings.connectTimeoutMs, ...this.#tls });
      this.#connectors.set(host, connector);
    }
    return connector;
  }

  /** Never rejects. */
  async #lookSoon(): Promise<void> {
    const late = (): Error => new FilestoreError('unavailable', `no answer of the disk within ${LOOK_MS} ms`);
    const look = this.#looks.run('look', () => this.#look());
    await untilAborted(look, AbortSignal.timeout(LOOK_MS), late).catch((error: unknown) => {
      this.#log.debug('certificates-not-looked-at', { reason: messageOf(error) });
    });
  }

  /** @throws what the disk says when they cannot be looked at: renewed by a rename, one may be gone for a moment */
  async #look(): Promise<void> {
    // One after another: on a disk that hangs each would hold a thread.
    const found: Stats[] = [];
    for (const file of this.#files) found.push(await stat(file));
    const stamp = stampOf(found);
    if (stamp === this.#stamp) return;
    try {
      const texts = new Map(await Promise.all(this.#files.map(async (file) => [file, await readFile(file, 'utf8')] as const)));
      this.#tls = tlsOptions(this.#settings, (file) => texts.get(file) ?? '');
    } catch (error) {
      if (stamp !== this.#refusedStamp)
        this.#log.warn('certificates-not-read', {
          reason: messageOf(error),
          meaning: 'the files were changed; those of before are used as long as the new ones cannot serve',
        });
      this.#refusedStamp = stamp;
      return;
    }
    this.#stamp = stamp;
    this.#connectors.clear();
    this.#log.info('certificates-read', { files: this.#files.join(' '), meaning: 'the files were changed; new connections use them' });
  }
}

function stampOf(files: readonly (Stats | undefined)[]): string {
  return files.map((file) => (file === undefined ? '' : `${file.ino} ${file.size} ${file.mtimeMs} ${file.ctimeMs}`)).join(', ');
}
