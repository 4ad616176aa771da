/**
 * Which container a database has: `prefix-database`, lowercased, as the 2016 module named it.
 * Linux allows far more in a directory's name than Swift in a container's, so the door is here: a database whose name cannot become a
 * container is refused when its directory is made, never at a blob (a refused blob is a silently lost document up to Odoo 18).
 */
import { FilestoreError } from '../base/errors.js';
import { displayName } from '../base/names.js';

/** Swift's `max_container_name_length`, in bytes of UTF-8; kept back are the letters of the longest container beside it. */
const CONTAINER_NAME_MAX_BYTES = 256 - '_trash_segments'.length;

/**
 * @param prefix option `container_prefix`; empty means the bare database name
 * @param database byte string
 * @throws FilestoreError invalid-name, name-too-long: the message says what to change
 */
export function containerName(prefix: string, database: string): string {
  assertDatabaseName(database);
  const text = Buffer.from(database, 'latin1').toString('utf8');
  const name = (prefix === '' ? text : `${prefix}-${text}`).toLowerCase();
  if (Buffer.byteLength(name, 'utf8') > CONTAINER_NAME_MAX_BYTES) {
    throw new FilestoreError(
      'name-too-long',
      `database "${displayName(database)}": its container's name would pass Swift's limit; use a shorter name`,
    );
  }
  return name;
}

/** With what the containers of all databases begin. */
export function containerNamesPrefix(prefix: string): string {
  return prefix === '' ? '' : `${prefix.toLowerCase()}-`;
}

/**
 * Refuses a new database whose container would be, or be taken for, one that stands beside another database's: the segments of large objects (Swift's
 * custom) and the trash of `delete_retention`.
 * @param container what {@link containerName} made of it
 * @throws FilestoreError invalid-name
 */
export function assertNotBeside(container: string, database: string): void {
  if (!isBeside(container)) return;
  throw new FilestoreError(
    'invalid-name',
    `database "${displayName(database)}" would have the container ${container}, a name kept for what belongs to another database; choose a name that does not end in _segments or _trash`,
  );
}

/** Whether a container's name is that of one beside a database's. */
export function isBeside(container: string): boolean {
  return /_(?:segments|trash)$/.test(container);
}

/**
 * @throws FilestoreError invalid-name for what cannot be a database: empty, `.`, `..`, with '/', control characters, or not UTF-8
 */
function assertDatabaseName(database: string): void {
  const bad = (why: string): never => {
    throw new FilestoreError('invalid-name', `database name "${displayName(database)}" ${why}; choose another name`);
  };
  if (database === '' || database === '.' || database === '..') bad('is not a name');
  if (database.includes('/')) bad('contains a slash');
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\x00-\x1f\x7f]/.test(database)) bad('contains a control character');
  if (!isUtf8(database)) bad('is not UTF-8');
}

function isUtf8(name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes);
}
