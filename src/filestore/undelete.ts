/**
 * Bringing deleted objects back from the trash of a container (retention.ts). It speaks to Swift alone, so it works with and without a running
 * mount: what is back in the container is what a mount finds when it is next asked for the name.
 *
 *    in the trash ──COPY, fresh metadata──► in the container       in the container already: left as it is, never overwritten
 *    gone from the trash: too late
 */
import { forEachAtOnce } from '../base/at-once.js';
import { FilestoreError } from '../base/errors.js';
import type { ObjectStore } from '../store/object-store.js';
import { isBeingDropped } from './container-metadata.js';
import { CLOSED_BY_NOBODY, closedByNobody } from './object-metadata.js';
import { isTrash, trashContainerOf } from './retention.js';

/**
 * `restored`: it is back (in a dry run: it would be). `there`: the container has it. `too-late`: Swift has removed the trash copy.
 * `unknown`: the trash never had it, or it is so long gone that nothing shows it any more.
 */
export type UndeleteOutcome = 'restored' | 'there' | 'too-late' | 'unknown';

export interface UndeleteRequest {
  readonly container: string;
  /** Names of objects; empty: all that the trash has. */
  readonly names: readonly string[];
  /** Only what was put into the trash at this time or later, ms since the epoch by this machine's clock. Names that are asked for one by one are not held against it. */
  readonly sinceMs: number | undefined;
  readonly dryRun: boolean;
}

interface Undeleted {
  readonly name: string;
  readonly outcome: UndeleteOutcome;
}

const AT_ONCE = 8;

/**
 * Each name with what became of it, a page at a time.
 * @throws FilestoreError not-found when the container (which may be about to go with its database) or its trash is not there; unavailable, forbidden, …
 */
export async function* undelete(store: ObjectStore, request: UndeleteRequest): AsyncGenerator<readonly Undeleted[]> {
  const { container, names } = request;
  const trash = trashContainerOf(container);
  const home = await store.headContainer(container);
  if (home === undefined || isBeingDropped(home)) {
    const told = home === undefined ? `there is no container ${container}` : `container ${container} is being removed`;
    throw new FilestoreError(
      'not-found',
      `${told}: its database was dropped or never was; make or restore the database first, then undelete`,
    );
  }
  const info = await store.headContainer(trash);
  if (info === undefined || !isTrash(info)) {
    throw new FilestoreError('not-found', `there is no trash ${trash}: nothing was deleted while delete_retention was set`);
  }
  if (names.length > 0) {
    yield await eachOf(names, (name) => undeleteNamed(store, request, name));
    return;
  }
  for await (const page of store.list(trash)) {
    const wanted = page.filter(
      ({ lastModifiedMs }) => request.sinceMs === undefined || lastModifiedMs >= request.sinceMs + store.clockAheadMs,
    );
    yield await eachOf(
      wanted.map(({ name }) => name),
      (name) => undeleteOne(store, request, name),
    );
  }
}

async function undeleteOne(store: ObjectStore, { container, dryRun }: UndeleteRequest, name: string): Promise<UndeleteOutcome> {
  const trash = trashContainerOf(container);
  const kept = await store.head(trash, name);
  if (kept === undefined) return 'too-late';
  if ((await store.head(container, name)) !== undefined) return 'there';
  if (dryRun) return 'restored';
  return (await store.copy(trash, name, container, name, { metadata: closedByNobody(kept.metadata) })) ? 'restored' : 'too-late';
}

async function undeleteNamed(store: ObjectStore, request: UndeleteRequest, name: string): Promise<UndeleteOutcome> {
  const outcome = await undeleteOne(store, request, name);
  if (outcome !== 'too-late') return outcome;
  const { container, dryRun } = request;
  if ((await store.head(container, name)) !== undefined) {
    // A node may have deleted it and wait out its grace: the newer time tells it that the file is wanted.
    if (!dryRun) await store.updateMetadata(container, name, CLOSED_BY_NOBODY);
    return 'there';
  }
  // Swift answers 404 as soon as the time is up, and clears its listing later.
  for await (const page of store.list(trashContainerOf(container), { prefix: name, limit: 1 })) {
    return page[0]?.name === name ? 'too-late' : 'unknown';
  }
  return 'unknown';
}

async function eachOf(names: readonly string[], work: (name: string) => Promise<UndeleteOutcome>): Promise<Undeleted[]> {
  const results: Undeleted[] = [];
  await forEachAtOnce(names.entries(), AT_ONCE, async ([index, name]) => {
    results[index] = { name, outcome: await work(name) };
  });
  return results;
}
