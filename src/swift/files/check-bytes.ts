/** Bytes that came under an object's name, held against the SHA-1 in that name where there is one, else against the MD5 that Swift tells. */
import { FilestoreError } from '../../base/errors.js';
import { contentSha1 } from '../../base/names.js';
import type { ObjectInfo } from '../../store/object-store.js';

/**
 * `name`: the bytes hash to the object's name. `etag`: to what Swift tells. `nothing`: neither says anything of them. `etag-not-name`: they are what
 * Swift has, but not what their name promises.
 */
export type Check = 'name' | 'etag' | 'nothing' | 'etag-not-name';

/** Which sum of the bytes is looked at first, and mostly alone. */
export function firstSumOf(name: string): 'sha1' | 'md5' {
  return contentSha1(name) === undefined ? 'md5' : 'sha1';
}

/**
 * @param where the bytes are now, for the message
 * @param sum their sum by {@link firstSumOf}
 * @param md5 asked where that is not enough
 * @throws FilestoreError corrupt when they are neither what their name nor what Swift says
 */
export async function checkBytes(
  where: string,
  name: string,
  info: ObjectInfo,
  sum: string,
  md5: () => string | Promise<string>,
): Promise<Check> {
  const promised = contentSha1(name);
  if (sum === promised) return 'name';
  if (info.md5 === undefined) {
    if (promised === undefined) return 'nothing';
    throw new FilestoreError('corrupt', `what came to ${where} has SHA-1 ${sum}, its name says ${promised}; try again`);
  }
  const found = promised === undefined ? sum : await md5();
  if (found === info.md5) return promised === undefined ? 'etag' : 'etag-not-name';
  throw new FilestoreError('corrupt', `what came to ${where} has MD5 ${found}, Swift's object has ${info.md5}; try again`);
}
