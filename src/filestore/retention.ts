/**
 * What is kept of a deleted object for `delete_retention`: a server-side copy in the container `CONTAINER_trash`, made before the DELETE, which
 * Swift removes by itself (X-Delete-After). The original is really deleted, so it is absent for everybody at once, a create over it is a plain PUT,
 * and no expiry ever stands on an object that somebody may write anew.
 *
 *    object ──COPY, X-Delete-After──► trash copy ──time──► gone (404 at once; Swift's expirer clears the listing later)
 *       └──DELETE                        └──COPY, fresh metadata──► object (odoo-swiftfs undelete)
 *
 * INVARIANT: no DELETE is sent before the copy was confirmed or Swift said that there is nothing to copy.
 */
import { forEachAtOnce } from '../base/at-once.js';
import { FilestoreError, kindOf, type ErrorKind } from '../base/errors.js';
import { objectNameOf } from '../base/names.js';
import { SingleFlight } from '../base/single-flight.js';
import type { ContainerInfo, ObjectStore, RequestOptions } from '../store/object-store.js';

/** Container metadata that marks a trash: a database may be named so, and its files must not get mixed up with what was deleted. */
const TRASH_MARK = 'osf-trash';
const COPIES_AT_ONCE = 4;
/** Swift copies before it answers: 5 GB take most of a minute. */
const COPY_TIMEOUT_MS = 300_000;
/** Kinds that are about the one object that was to be copied; others (rights, a quota) would be the same for the next. */
const OF_THE_OBJECT: ReadonlySet<ErrorKind> = new Set(['busy', 'too-large', 'corrupt', 'invalid-name']);

export function trashContainerOf(container: string): string {
  return `${container}_trash`;
}

export function isTrash(info: ContainerInfo): boolean {
  return info.metadata[TRASH_MARK] === 'true';
}

export class Trash {
  readonly #store: ObjectStore;
  readonly #container: string;
  readonly #retentionMs: number;
  readonly #making = new SingleFlight<void>();
  #made = false;

  /** @param retentionMs 0: nothing is kept */
  constructor(store: ObjectStore, container: string, retentionMs: number) {
    this.#store = store;
    this.#container = container;
    this.#retentionMs = retentionMs;
  }

  /** Nothing is kept, and nobody is asked. */
  get isOff(): boolean {
    return this.#retentionMs <= 0;
  }

  /**
   * Call before the DELETE of these objects; what is not there needs no copy.
   * @param paths byte strings
   * @returns of those that Swift refuses to copy, why: they are not to be deleted, the others may be
   * @throws FilestoreError unavailable, …; exists when a container of that name is no trash of ours
   */
  async keepMany(paths: readonly string[], options: RequestOptions = {}): Promise<ReadonlyMap<string, FilestoreError>> {
    const refused = new Map<string, FilestoreError>();
    if (this.isOff) return refused;
    await forEachAtOnce(paths, COPIES_AT_ONCE, async (path) => {
      const error = await this.#keepOne(objectNameOf(path), options);
      if (error !== undefined) refused.set(path, error);
    });
    return refused;
  }

  /** The same for one. @throws FilestoreError what Swift refuses, too */
  async keep(path: string, options: RequestOptions = {}): Promise<void> {
    const refusal = (await this.keepMany([path], options)).get(path);
    if (refusal !== undefined) throw refusal;
  }

  /** @returns what says something of this object alone */
  async #keepOne(name: string, options: RequestOptions): Promise<FilestoreError | undefined> {
    for (let isLast = false; ; isLast = true) {
      if (!this.#made) await this.#making.run('make', () => this.#make(options));
      try {
        await this.#store.copy(this.#container, name, trashContainerOf(this.#container), name, {
          timeoutMs: COPY_TIMEOUT_MS,
          ...options,
          deleteAfterSeconds: Math.max(1, Math.ceil(this.#retentionMs / 1000)),
        });
        return undefined;
      } catch (error) {
        if (error instanceof FilestoreError && OF_THE_OBJECT.has(error.kind)) return error;
        // Somebody removed the empty trash since we made it.
        if (isLast || kindOf(error) !== 'not-found') throw error;
        this.#made = false;
      }
    }
  }

  async #make(options: RequestOptions): Promise<void> {
    const trash = trashContainerOf(this.#container);
    const before = await this.#store.headContainer(trash, options);
    if (before !== undefined && !isTrash(before)) {
      throw new FilestoreError(
        'exists',
        `container ${trash} is there and is no trash of ours (a database of that name?); deletes wait: rename one of the two, or unset delete_retention`,
      );
    }
    if (before === undefined) await this.#store.createContainer(trash, { [TRASH_MARK]: 'true' }, options);
    this.#made = true;
  }
}
