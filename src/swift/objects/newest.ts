import type { FindOptions } from '../../store/object-store.js';

/** Headers of a HEAD or GET: all servers are asked, and the newest answer counts. One of them may have missed what was just stored. */
export const NEWEST = { 'x-newest': 'true' } as const;

/** Of a request whose options may ask for the newest answer. */
export function newestHeaders({ newest }: FindOptions): Readonly<Record<string, string>> {
  return newest === true ? NEWEST : {};
}
