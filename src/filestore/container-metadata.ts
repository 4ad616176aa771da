/** What a container's metadata says of its database (docs/FORMATS.md). */
import { fromUtf8 } from '../base/names.js';
import type { ContainerInfo, Metadata } from '../store/object-store.js';

/**
 * Of a drop with `nodes: many`: when it began, in ms since the epoch. Its deletes, and at last the container itself, may take their
 * time; from the mark on the database is gone for every node, until one makes it anew and takes the mark away. Then the drop leaves the container.
 */
export const DROPPED_KEY = 'osf-dropped';

/** Holds the database's true name: containers are lowercased, databases are not. Percent-encoded. */
const DATABASE_KEY = 'osf-database';

export function isBeingDropped(info: ContainerInfo): boolean {
  return dropMarkOf(info) !== undefined;
}

/** @returns undefined when it is not being dropped */
export function dropMarkOf(info: ContainerInfo): string | undefined {
  return info.metadata[DROPPED_KEY];
}

/** @returns the true database name of a container, as a byte string, from its metadata; undefined when it does not say */
export function databaseOf(info: ContainerInfo): string | undefined {
  const value = info.metadata[DATABASE_KEY];
  return value === undefined ? undefined : fromUtf8(decodeURIComponent(value));
}

/** Metadata that makes a container the database's. @param database byte string */
export function claimOf(database: string): Metadata {
  return { [DATABASE_KEY]: encodeURIComponent(Buffer.from(database, 'latin1').toString('utf8')) };
}
