/**
 * What a path below a database is for. Odoo's layout decides what may be asked of Swift and what is this machine's business alone.
 */
import { contentSha1, isMarkerPath } from '../base/names.js';

/**
 * - `marker`: below `checklist/`, Odoo's queue of names to check (10.0+). Local: plain files with true times.
 * - `blob`: content-named, immutable.
 * - `alias`: `xx/SHA.__gc`, a blob on its way out in the newest Odoo (ruling 13). Local.
 * - `temporary`: below `upload/`, or `*.__new`: on its way to a content name. Sealed here, never published under this name.
 * - `other`: any other file or directory: last close wins.
 */
export type PathKind = 'marker' | 'blob' | 'alias' | 'temporary' | 'other';

const ALIAS_SUFFIX = '.__gc';
const NEW_SUFFIX = '.__new';

export function kindOfPath(path: string): PathKind {
  if (path.length >= 40 && contentSha1(path) !== undefined) return 'blob';
  if (isMarkerPath(path)) return 'marker';
  if (path.endsWith(ALIAS_SUFFIX) && contentSha1(path.slice(0, -ALIAS_SUFFIX.length)) !== undefined) return 'alias';
  if (path.startsWith('upload/') || path.endsWith(NEW_SUFFIX)) return 'temporary';
  return 'other';
}

/** The blob behind a name: of an alias, what it stands for. */
export function blobOfPath(path: string): string {
  return kindOfPath(path) === 'alias' ? blobOfAlias(path) : path;
}

/** The blob that an alias stands for. */
export function blobOfAlias(alias: string): string {
  return alias.slice(0, -ALIAS_SUFFIX.length);
}
