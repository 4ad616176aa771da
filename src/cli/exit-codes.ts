/** Exit codes by kind of error, after sysexits(3), so that systemd and scripts can tell what a restart may cure from what it cannot. */
import { kindOf, type ErrorKind } from '../base/errors.js';

/** `status` of a place where nothing is mounted; as `systemctl status` has it. */
export const EXIT_NO_MOUNT = 3;

/** As the shell tells SIGPIPE: standard output was closed by who read it. */
export const EXIT_BROKEN_PIPE = 141;
export const EXIT_IO = 74;

const USAGE = 64;
const DATA = 65;
const NO_INPUT = 66;
const UNAVAILABLE = 69;
const SOFTWARE = 70;
const TEMPORARY = 75;
const NO_PERMISSION = 77;
const CONFIG = 78;

const EXIT_CODES = {
  'not-found': NO_INPUT,
  exists: DATA,
  'not-directory': DATA,
  'is-directory': DATA,
  'not-empty': DATA,
  'cross-device': DATA,
  'invalid-argument': USAGE,
  'invalid-name': DATA,
  'name-too-long': DATA,
  'too-large': DATA,
  'no-space': EXIT_IO,
  'read-only': EXIT_IO,
  'not-permitted': NO_PERMISSION,
  forbidden: NO_PERMISSION,
  'bad-credentials': NO_PERMISSION,
  unavailable: UNAVAILABLE,
  corrupt: EXIT_IO,
  busy: TEMPORARY,
  unsupported: USAGE,
  'bad-handle': SOFTWARE,
  stale: TEMPORARY,
  interrupted: TEMPORARY,
  'bad-config': CONFIG,
  internal: SOFTWARE,
} as const satisfies Record<ErrorKind, number>;

export function exitCodeOf(error: unknown): number {
  return EXIT_CODES[kindOf(error)];
}
