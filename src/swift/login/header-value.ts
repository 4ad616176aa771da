/** Credentials that travel in HTTP headers. Neither undici nor Swift says which of several headers it cannot take, and trying again does not help. */
import { FilestoreError } from '../../base/errors.js';

/** RFC 9110, 5.5: visible characters, blanks and tabs; beyond ASCII one byte a character. */
const NOT_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * The message says what kind of character is in the way, and never which: it is part of a secret.
 * @throws FilestoreError bad-credentials when no HTTP header can hold `value`
 */
export function checkHeaderValue(what: string, option: string, value: string): void {
  const found = NOT_IN_HEADERS.exec(value)?.[0];
  if (found === undefined) return;
  const kind =
    found === '\n' || found === '\r'
      ? 'a line break'
      : found < ' ' || found === '\x7f'
        ? 'a control character'
        : 'a character beyond Latin-1';
  throw new FilestoreError('bad-credentials', `the ${what} has ${kind} in it, which no HTTP header takes; check ${option}`);
}
