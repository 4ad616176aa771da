/**
 * What a path below a database is for. Odoo's layout decides what may be asked of Swift and what is this machine's business alone.
 */
import { contentSha1, isMarkerPath, isPath, joinPath, splitPath } from '../base/names.js';

/**
 * - `marker`: below `checklist/`, Odoo's queue of names to check (10.0+). Local: plain files with true times.
 * - `blob`: content-named, immutable.
 * - `alias`: `xx/SHA.__gc`, a blob on its way out in the newest Odoo. Local.
 * - `temporary`: below `upload/`, `*.__new`, or rsync's `xx/.SHA.RANDOM`: on its way to a content name. Sealed here, never published under this name.
 * - `other`: any other file or directory: last close wins.
 */
type PathKind = 'marker' | 'blob' | 'alias' | 'temporary' | 'other';

const ALIAS_SUFFIX = '.__gc';
const NEW_SUFFIX = '.__new';

export function kindOfPath(path: string): PathKind {
  if (path.length >= 40 && contentSha1(path) !== undefined) return 'blob';
  if (isMarkerPath(path)) return 'marker';
  if (path.endsWith(ALIAS_SUFFIX) && contentSha1(path.slice(0, -ALIAS_SUFFIX.length)) !== undefined) return 'alias';
  if (path.startsWith('upload/') || path.endsWith(NEW_SUFFIX) || isRsyncName(path)) return 'temporary';
  return 'other';
}

/** `.NAME.XXXXXX`, as rsync names what it writes before it is renamed to NAME (`get_tmpname` in its receiver.c), of a content name. */
function isRsyncName(path: string): boolean {
  const { directory, name } = splitPath(path);
  return name.length === 48 && RSYNC_NAME.test(name) && contentSha1(joinPath(directory, name.slice(1, 41))) !== undefined;
}
const RSYNC_NAME = /^\.[0-9a-f]{40}\.[A-Za-z0-9]{6}$/;

/** `xx`, `xxx`, `upload`: a directory that Odoo makes. */
export function isOdooDirectory(path: string): boolean {
  return DIRECTORY_SHAPE.test(path);
}
const DIRECTORY_SHAPE = /^(?:[0-9a-f]{2,3}|upload)$/;

/**
 * Whether an object of this name is a file of the database. What else lies in a container was put there by other tools: pseudo-directories (`ab/`,
 * `a//b`), and copies of what never goes to Swift (markers, temporaries, aliases).
 */
export function isFileInSwift(path: string): boolean {
  const kind = kindOfPath(path);
  return kind === 'blob' || (kind === 'other' && isPath(path));
}

/** The blob behind a name: of an alias, what it stands for. */
export function blobOfPath(path: string): string {
  return kindOfPath(path) === 'alias' ? blobOfAlias(path) : path;
}

/** The blob that an alias stands for. */
export function blobOfAlias(alias: string): string {
  return alias.slice(0, -ALIAS_SUFFIX.length);
}
