/** Whether a container holds what was stored after a moment: then it is the database of who stored that, whatever was dropped before. */
import type { ObjectStore, RequestOptions } from '../store/object-store.js';

/**
 * @param sinceMs by the store's clock, in ms since the epoch
 * @param among how many names are looked at; Infinity: all
 * @throws what the store throws
 */
export async function holdsWhatWasStoredSince(
  store: ObjectStore,
  container: string,
  sinceMs: number,
  among: number,
  options: RequestOptions,
): Promise<boolean> {
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
