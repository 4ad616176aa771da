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
import { FilestoreError, kindOf } from '../base/errors.js';
import { objectNameOf } from '../base/names.js';
import { SingleFlight } from '../base/single-flight.js';
import type { ContainerInfo, ObjectStore, RequestOptions } from '../store/object-store.js';

/** Container metadata that marks a trash: a database may be named so, and its files must not get mixed up with what was deleted. */
const TRASH_MARK = 'osf-trash';
const COPIES_AT_ONCE = 4;
/** Swift copies before it answers: 5 GB take most of a minute. */
const COPY_TIMEOUT_MS = 300_000;

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

  /**
   * Call before the DELETE of these objects; what is not there needs no copy.
   * @param paths byte strings
   * @throws FilestoreError what Swift refuses; exists when a container of that name is no trash of ours
   */
  async keep(paths: readonly string[], options: RequestOptions = {}): Promise<void> {
    if (this.#retentionMs <= 0) return;
    await forEachAtOnce(paths, COPIES_AT_ONCE, (path) => this.#keepOne(objectNameOf(path), options));
  }

  async #keepOne(name: string, options: RequestOptions): Promise<void> {
    for (let isLast = false; ; isLast = true) {
      if (!this.#made) await this.#making.run('make', () => this.#make(options));
      try {
        await this.#store.copy(this.#container, name, trashContainerOf(this.#container), name, {
          timeoutMs: COPY_TIMEOUT_MS,
          ...options,
          deleteAfterSeconds: Math.max(1, Math.ceil(this.#retentionMs / 1000)),
        });
        return;
      } catch (error) {
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
