/** Names as they stand in a URL or in the headers that hold a path. */
import { FilestoreError } from '../../base/errors.js';

/** Everything but unreserved characters and '/' is encoded; a lone surrogate is no UTF-8. @throws FilestoreError invalid-name */
function encode(text: string): string {
  try {
    return encodeURIComponent(text).replaceAll('%2F', '/');
  } catch {
    throw new FilestoreError('invalid-name', `${JSON.stringify(text)} is not Unicode text, which Swift's names are`);
  }
}

/** @throws FilestoreError invalid-name: a container's name has 1 to 256 bytes and no '/' */
export function containerPath(container: string): string {
  if (container === '' || container.includes('/') || Buffer.byteLength(container) > 256) {
    throw new FilestoreError('invalid-name', `"${container.slice(0, 80)}" is no container name: 1 to 256 bytes without "/"`);
  }
  return `/${encode(container)}`;
}

/**
 * '.' and '..' as parts of a name are legal in Swift but not in a URL: HTTP clients and proxies resolve them.
 * @throws FilestoreError invalid-name
 */
export function objectPath(container: string, name: string): string {
  if (name.split('/').some((part) => part === '.' || part === '..')) {
    throw new FilestoreError('invalid-name', `${container}/${name}: "." and ".." cannot be part of an object's name`);
  }
  return unresolvedPath(container, name);
}

/**
 * The same for where no URL is meant (a bulk delete's list), so that nobody resolves a '.' or '..' of another tool's names.
 * @throws FilestoreError invalid-name
 */
export function unresolvedPath(container: string, name: string): string {
  if (name === '') throw new FilestoreError('invalid-name', `an object in ${container} needs a name`);
  return `${containerPath(container)}/${encode(name)}`;
}

export function query(values: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(values)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`]))
    .join('&');
}
