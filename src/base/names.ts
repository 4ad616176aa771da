/**
 * Names and paths below a mount. Linux names are bytes, so a name travels as a *byte string*: a JavaScript string with one character
 * (0..255) a byte, as `Buffer.toString('latin1')` makes it. Byte strings compare, hash and concatenate as the bytes do.
 * A path is names joined by '/', without a leading slash; '' is the root.
 */
import { FilestoreError } from './errors.js';

/** Longest name in bytes, as every Linux file system has it (NAME_MAX). */
export const NAME_MAX_BYTES = 255;

const SLASH = 47;
/** Length of a SHA-1 in hexadecimal digits. */
const SHA1_DIGITS = 40;

/** Whether the rest of a string from `start` on is a SHA-1. Runs several times in every stat and open. */
function isSha1At(text: string, start: number): boolean {
  if (text.length - start !== SHA1_DIGITS) return false;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 102 || (code > 57 && code < 97)) return false;
  }
  return true;
}

/**
 * The SHA-1 a path promises for its bytes, or undefined for a file that is not content-named.
 * Content-named are `xx/SHA`, the `xxx/SHA` of Odoo 7 and the flat `SHA` of the 2016 module, where xx and xxx are the first digits of
 * SHA. A marker `checklist/xx/SHA` is not: its bytes are empty and its name is another file's.
 * @param path path below the database directory
 */
export function contentSha1(path: string): string | undefined {
  const start = path.length - SHA1_DIGITS;
  if ((start !== 0 && start !== 3 && start !== 4) || !isSha1At(path, start)) return undefined;
  if (start > 0 && path.charCodeAt(start - 1) !== SLASH) return undefined;
  for (let i = 0; i < start - 1; i++) if (path.charCodeAt(i) !== path.charCodeAt(start + i)) return undefined;
  return path.slice(start);
}

/** Where a blob lies, below its database's directory. @param sha1 40 lower case hex digits */
export function blobPathOf(sha1: string): string {
  return `${sha1.slice(0, 2)}/${sha1}`;
}

/** Whether a path lies in the checklist, Odoo's queue of names its garbage collector is to look at (10.0 and later). */
export function isMarkerPath(path: string): boolean {
  return path === 'checklist' || path.startsWith('checklist/');
}

export function joinPath(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** @returns the directory of a path and the name in it; the directory of a first-level name is ''. */
export function splitPath(path: string): { directory: string; name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { directory: '', name: path } : { directory: path.slice(0, slash), name: path.slice(slash + 1) };
}

export function fromUtf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** @returns the text for people: UTF-8 decoded, bytes that are not UTF-8 and control characters shown as \xNN. */
export function displayName(name: string): string {
  const text = decodeUtf8(name);
  const hex = (c: string): string => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return text === undefined ? name.replace(/[^\x20-\x7e]/g, hex) : text.replace(/[\x00-\x1f\x7f]/g, hex);
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// eslint-disable-next-line no-control-regex -- NUL to DEL is exactly ASCII
const ASCII = /^[\x00-\x7f]*$/;

function decodeUtf8(name: string): string | undefined {
  if (ASCII.test(name)) return name;
  try {
    return STRICT_UTF8.decode(Buffer.from(name, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Longest object name Swift takes, in bytes of UTF-8 (`max_object_name_length` of a default Swift: 400 for 1025 bytes). */
const OBJECT_NAME_MAX_BYTES = 1024;

/**
 * The name of a path's object in Swift.
 * @throws FilestoreError invalid-name when the path is not UTF-8 (Swift answers 412), name-too-long past 1,024 bytes
 */
export function objectNameOf(path: string): string {
  if (path.length > OBJECT_NAME_MAX_BYTES) {
    throw new FilestoreError('name-too-long', `${displayName(path)}: object names in Swift end at ${OBJECT_NAME_MAX_BYTES} bytes`);
  }
  const text = decodeUtf8(path);
  if (text === undefined) {
    throw new FilestoreError('invalid-name', `${displayName(path)}: Swift stores names in UTF-8 only; rename the file`);
  }
  return text;
}

/** The path of an object's name: the inverse of {@link objectNameOf}. */
export function pathOfObject(objectName: string): string {
  return ASCII.test(objectName) ? objectName : fromUtf8(objectName);
}

/** Whether a path of an object's name is one: every part of it can stand in a directory. */
export function isPath(path: string): boolean {
  return path.split('/').every((name) => name !== '' && name !== '.' && name !== '..' && name.length <= NAME_MAX_BYTES);
}

/**
 * @throws FilestoreError when a name cannot stand in a directory: empty, '.', '..', with '/' or NUL, over 255 bytes
 */
export function assertName(name: string): void {
  if (name.length > NAME_MAX_BYTES) throw new FilestoreError('name-too-long', `${displayName(name.slice(0, 40))}…: longer than 255 bytes`);
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FilestoreError('invalid-argument', `"${displayName(name)}" is not a file name`);
  }
}
