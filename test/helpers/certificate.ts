/** A certificate for localhost that signs itself. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';

interface CertificateFiles {
  readonly key: string;
  readonly cert: string;
}

/** @returns `key.pem` and `cert.pem` in a directory; the certificate is its own CA */
export function makeCertificate(directory: string): CertificateFiles {
  const [key, cert] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key, cert };
}
