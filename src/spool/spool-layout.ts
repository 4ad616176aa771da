/** Where things lie below `SPOOL_DIR/v1/DATABASE/`. A change of the layout is a new version folder. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DIRECTORY_MODE } from './disk-calls.js';
import { makeDurableDirectory } from './durable-directory.js';

export const SPOOL_FORMAT = 'v1';

/** Longest folder name that is the database's name itself; NAME_MAX is 255. */
const FOLDER_NAME_MAX = 200;

export interface SpoolLayout {
  readonly root: string;
  readonly staging: string;
  readonly sealed: string;
  readonly torn: string;
  readonly local: string;
  readonly journal: string;
  /** Blocks that are given up for the journal on a full disk. */
  readonly reserve: string;
  /** The segments of the write-ahead log. */
  readonly ahead: readonly [string, string];
}

/**
 * @param database byte string
 * @returns the folder's name: bytes other than letters, digits, `_`, `-` and `.` are percent-encoded, and so is a leading dot. A name that
 *   gets too long is cut and ends in `~` and the SHA-1 of the whole.
 */
export function databaseFolder(database: string): string {
  const hex = (c: string): string => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  const encoded = database.replace(/^\.|[^\w.-]/g, hex);
  if (encoded.length <= FOLDER_NAME_MAX) return encoded;
  return `${encoded.slice(0, 100)}~${createHash('sha1').update(database, 'latin1').digest('hex')}`;
}

/** @returns the database that has this folder, as a byte string; undefined where the name was cut, or no database has it */
export function databaseOfFolder(folder: string): string | undefined {
  const database = folder.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return databaseFolder(database) === folder ? database : undefined;
}

export function spoolLayout(directory: string, database: string): SpoolLayout {
  return layoutIn(directory, databaseFolder(database));
}

/** @param folder of a database */
export function layoutIn(directory: string, folder: string): SpoolLayout {
  const root = join(directory, SPOOL_FORMAT, folder);
  return {
    root,
    staging: join(root, 'staging'),
    sealed: join(root, 'sealed'),
    torn: join(root, 'torn'),
    local: join(root, 'local'),
    journal: join(root, 'journal'),
    reserve: join(root, 'reserve'),
    ahead: [join(root, 'ahead.0'), join(root, 'ahead.1')],
  };
}

/** Makes what is missing, durably, readable by nobody else. */
export function makeLayout(layout: SpoolLayout): void {
  makeDurableDirectory(layout.root, DIRECTORY_MODE);
  makeFolders(layout);
}

/** As {@link makeLayout}, below a directory that is there: where it is not, its disk may be gone, and nothing is to be made in its place. @throws what the disk says */
export function makeFolders(layout: SpoolLayout): void {
  statSync(layout.root);
  for (const path of [layout.staging, layout.sealed, layout.torn, layout.local]) makeDurableDirectory(path, DIRECTORY_MODE);
}
