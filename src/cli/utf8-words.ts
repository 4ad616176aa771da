/** Node puts U+FFFD in the place of bytes that are no UTF-8, so that a name would be another one than was meant. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { FilestoreError } from '../base/errors.js';

/** @throws FilestoreError invalid-name for a word of the command line that is not UTF-8 */
export function refuseOtherThanUtf8(args: readonly string[]): void {
  const garbled = args.find((arg) => arg.includes('\ufffd'));
  if (garbled === undefined || isUtf8(readFileSync('/proc/self/cmdline'))) return;
  throw new FilestoreError('invalid-name', `${garbled} is not UTF-8, as the names in Swift are; give it in UTF-8`);
}
