/** Whether a container holds what was stored after a moment: then it is the database of who stored that, whatever was dropped before. */
import type { ObjectStore, RequestOptions } from '../store/object-store.js';

export interface Looked {
  /** How many names of the listing are looked at; Infinity: all. */
  readonly among: number;
  /** Objects that were stored since then, as is known here: a listing may not show them yet. */
  readonly named?: readonly string[];
}

/**
 * @param sinceMs by the store's clock, in ms since the epoch
 * @throws what the store throws
 */
export async function holdsWhatWasStoredSince(
  store: ObjectStore,
  container: string,
  sinceMs: number,
  { among, named = [] }: Looked,
  options: RequestOptions,
): Promise<boolean> {
  for (const name of named) if ((await store.head(container, name, options)) !== undefined) return true;
  const limit = among === Infinity ? {} : { limit: among };
  for await (const page of store.list(container, { ...options, ...limit })) {
    for (const { name, lastModifiedMs } of page) {
      // A listing may lag behind a delete.
      if (lastModifiedMs > sinceMs && (await store.head(container, name, options)) !== undefined) return true;
    }
    if (among !== Infinity) return false;
  }
  return false;
}
