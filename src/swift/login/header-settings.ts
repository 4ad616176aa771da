/**
 * Settings that travel in HTTP headers. Neither undici nor Swift says which of several headers it cannot take, and trying again does not help:
 * they are looked at before anything is sent.
 */
import { FilestoreError, type ErrorKind } from '../../base/errors.js';
import type { SwiftSettings } from '../swift-settings.js';
import { toldService } from './discovery.js';

/** RFC 9110, 5.5: visible characters, blanks and tabs; beyond ASCII one byte a character. */
const NOT_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * A secret is in a header only where it is a ready token, or where the login is v1: others send it in JSON, which takes anything.
 * @throws FilestoreError bad-credentials, bad-config when no HTTP header can hold a value that goes into one
 */
export function checkHeaderSettings(settings: SwiftSettings): void {
  const { token, storageUrl, storagePolicy, username, password, projectName } = settings;
  check('storage policy', 'storage_policy', storagePolicy, 'bad-config');
  if (token !== undefined && storageUrl !== undefined) check('token', 'token (OS_TOKEN)', token, 'bad-credentials');
  else if (toldService(settings)?.version === '1') {
    check('user', 'username (ST_USER)', username, 'bad-credentials');
    if (username?.includes(':') === false) check('project', 'project_name (OS_PROJECT_NAME)', projectName, 'bad-credentials');
    check('key', 'password (ST_KEY)', password, 'bad-credentials');
  }
}

/** The message says what kind of character is in the way, and never which: it is perhaps part of a secret. */
function check(what: string, option: string, value: string | undefined, kind: ErrorKind): void {
  const found = NOT_IN_HEADERS.exec(value ?? '')?.[0];
  if (found === undefined) return;
  const character =
    found === '\n' || found === '\r'
      ? 'a line break'
      : found < ' ' || found === '\x7f'
        ? 'a control character'
        : 'a character beyond Latin-1';
  throw new FilestoreError(kind, `the ${what} has ${character} in it, which no HTTP header takes; check ${option}`);
}
