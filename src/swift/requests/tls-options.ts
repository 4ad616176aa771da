/** The certificates and the key that the settings name, looked at before the first connection, where a mistake in them can be named. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates } from 'node:tls';
import { FilestoreError, messageOf } from '../../base/errors.js';
import type { SwiftSettings } from '../swift-settings.js';

export interface TlsOptions {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

/** The text of a file. */
type Read = (path: string) => string;

/** @throws FilestoreError bad-config when a file cannot be read, is not what it is named as, or lacks its other half */
export function tlsOptions(settings: SwiftSettings, read: Read): TlsOptions {
  const { caFile, clientCertificateFile: certFile, clientKeyFile } = settings;
  if (certFile === undefined && clientKeyFile !== undefined) {
    const what = 'client_key (OS_KEY) is set without client_cert (OS_CERT), which it is the key of';
    throw new FilestoreError('bad-config', `${what}; set both, or neither`);
  }
  return {
    ...(caFile === undefined ? {} : { ca: [...rootCertificates, readAuthorities(caFile, read)] }),
    ...(certFile === undefined ? {} : readOwn(certFile, clientKeyFile, read)),
    ...(settings.insecure ? { rejectUnauthorized: false } : {}),
  };
}

/** Node takes a file without a certificate for an empty list, and then trusts nobody it names. */
function readAuthorities(path: string, read: Read): string {
  const pem = readPem('CA', path, 'ca_file (OS_CACERT)', read);
  if (pem.includes('-----BEGIN TRUSTED CERTIFICATE-----')) return pem;
  try {
    new X509Certificate(pem);
  } catch (error) {
    throw useless('CA', path, 'certificate', 'ca_file (OS_CACERT)', error);
  }
  return pem;
}

/** @param keyFile without it the key is in the same file */
function readOwn(certFile: string, keyFile: string | undefined, read: Read): { cert: string; key: string } {
  const cert = readPem('client certificate', certFile, 'client_cert (OS_CERT)', read);
  const key = keyFile === undefined ? cert : readPem('client key', keyFile, 'client_key (OS_KEY)', read);
  // Asked of Node itself, so that what is refused here is what would be refused later. Without the roots, which nobody needs for it.
  const taken = (part: { cert?: string; key?: string }): unknown => {
    try {
      createSecureContext({ ...part, ca: [] });
      return undefined;
    } catch (error) {
      return error;
    }
  };
  const certError = taken({ cert });
  if (certError !== undefined) throw useless('client certificate', certFile, 'certificate', 'client_cert (OS_CERT)', certError);
  const keyError = taken({ key });
  if (keyError !== undefined) throw keyFile === undefined ? keyless(certFile, keyError) : noKey(keyFile, keyError);
  const pairError = taken({ cert, key });
  if (pairError === undefined) return { cert, key };
  const message = `the client key in ${keyFile ?? certFile} does not belong to the certificate in ${certFile}; check client_cert and client_key`;
  throw new FilestoreError('bad-config', message, { cause: pairError });
}

function noKey(keyFile: string, cause: unknown): FilestoreError {
  return useless('client key', keyFile, 'private key without a passphrase', 'client_key (OS_KEY)', cause);
}

function keyless(certFile: string, cause: unknown): FilestoreError {
  const what = `client_cert (OS_CERT) is set without client_key (OS_KEY), and its file ${certFile} holds no private key without a passphrase (PEM)`;
  return new FilestoreError('bad-config', `${what}; set client_key`, { cause });
}

function useless(what: string, path: string, holds: string, option: string, cause: unknown): FilestoreError {
  return new FilestoreError('bad-config', `the ${what} file ${path} holds no readable ${holds} (PEM); check ${option}`, { cause });
}

function readPem(what: string, path: string, option: string, read: Read): string {
  try {
    return read(path);
  } catch (error) {
    throw new FilestoreError('bad-config', `cannot read the ${what} file ${path}: ${messageOf(error)}; check ${option}`, { cause: error });
  }
}
