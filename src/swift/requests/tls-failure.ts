/** What TLS says when no connection comes about, and what to do about each. OpenSSL's own words are lines of library names and numbers. */

interface TlsFailure {
  readonly reason: 'untrusted' | 'unreachable' | 'lost';
  readonly told: string;
  readonly remedy: string;
}

/** What Node reports for a certificate it does not trust (node:tls, X509 certificate error codes). */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|_TLS_|^HOSTNAME_MISMATCH$/;
const WRONG_HOST = /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/;
/** OpenSSL on bytes that are no TLS: most often those of an HTTP answer. */
const NOT_TLS = /wrong version number|packet length too long|http request|unknown protocol/;
/** What a server says that wants our certificate; before TLS 1.3 it had no better word than a failed handshake. */
const OUR_CERTIFICATE = /alert (certificate|bad certificate|unsupported certificate|unknown ca|access denied|handshake failure)/;

/** @returns undefined for what has nothing to do with TLS */
export function tlsFailureOf(code: string, message: string): TlsFailure | undefined {
  const openssl = /^ERR_SSL_/.test(code) || /SSL routines/.test(message);
  if (openssl) return handshakeFailure(`${code} ${message}`.replaceAll('_', ' ').toLowerCase(), code, message);
  if (!UNTRUSTED.test(code)) return undefined;
  if (code === 'CERT_HAS_EXPIRED') {
    return untrusted(`the server's certificate has expired (${code})`, 'have it renewed, or set the clock of this machine right');
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return untrusted(`the server's certificate is not valid yet (${code})`, 'set the clock of this machine right');
  }
  if (WRONG_HOST.test(code)) {
    const told = `the server's certificate is for another name: ${message} (${code})`;
    return untrusted(told, 'use a name that is in the certificate, or have one made for this name');
  }
  return untrusted(`the server's certificate is not trusted: ${message} (${code})`, 'name the CA that signed it (ca_file, OS_CACERT)');
}

function handshakeFailure(words: string, code: string, message: string): TlsFailure {
  if (NOT_TLS.test(words)) {
    return {
      reason: 'unreachable',
      told: `the server does not speak TLS (${code})`,
      remedy: 'use http:// in its URL, or its port for TLS',
    };
  }
  const said = /SSL routines:[^:]*:([^:\n]+)/.exec(message)?.[1] ?? message.split('\n', 1)[0] ?? '';
  const told = `TLS with the server failed: ${said} (${code})`;
  if (OUR_CERTIFICATE.test(words)) return untrusted(told, 'it may want another certificate of us; check client_cert and client_key');
  // Perhaps in the middle of an answer, so that the request may have been carried out.
  return { reason: 'lost', told, remedy: 'check the TLS versions and ciphers of the server' };
}

function untrusted(told: string, remedy: string): TlsFailure {
  return { reason: 'untrusted', told, remedy };
}
