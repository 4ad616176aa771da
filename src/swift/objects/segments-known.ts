/**
 * Which containers have segments beside them. Asking whether each object is a large one would double the requests of every delete, so
 * the question is put to the container: while CONTAINER_segments does not exist, nothing in CONTAINER is a large object of ours.
 *
 * A "no" is believed for a minute, or until an answer of Swift shows a large object (`noteMade`): another node may make the first one. A container
 * that we may not see (403: access to the one container only, by its ACL) is none of ours.
 */
import type { Clock } from '../../base/clock.js';
import type { RequestOptions } from '../../store/object-store.js';
import type { ContainerHeads } from '../container-heads.js';
import type { Requester } from '../requests/requester.js';
import { segmentsContainer } from './large-object.js';
import { containerPath } from './paths.js';

const NO_IS_BELIEVED_MS = 60_000;

export class SegmentsKnown {
  readonly #requester: Requester;
  readonly #heads: ContainerHeads;
  readonly #clock: Clock;
  readonly #yes = new Set<string>();
  readonly #no = new Map<string, number>();

  constructor(requester: Requester, heads: ContainerHeads, clock: Clock) {
    this.#requester = requester;
    this.#heads = heads;
    this.#clock = clock;
  }

  /** There are segments, or a large object of somebody else's. */
  noteMade(container: string): void {
    this.#yes.add(container);
    this.#no.delete(container);
  }

  /** Nobody knows until it is asked for again. */
  noteGone(container: string): void {
    this.#yes.delete(container);
    this.#no.delete(container);
  }

  /**
   * Whether CONTAINER_segments exists.
   * @param patience 'once' asks without repeating, for who can do without the answer
   */
  async has(container: string, options: RequestOptions, patience: 'retry' | 'once' = 'retry'): Promise<boolean> {
    if (this.#yes.has(container)) return true;
    const nowMs = this.#clock.nowMs();
    if (nowMs - (this.#no.get(container) ?? -Infinity) < NO_IS_BELIEVED_MS) return false;
    const segments = segmentsContainer(container);
    const isOnce = patience === 'once';
    const answer = await this.#requester.call({ method: 'HEAD', path: containerPath(segments), accept: [403, 404], options, once: isOnce });
    const asked: RequestOptions = isOnce ? { ...options, tries: 'few' } : options;
    if (answer.status < 400 || (answer.status === 404 && (await this.#heads.head(segments, asked, answer)) !== undefined)) {
      this.noteMade(container);
      return true;
    }
    this.#no.set(container, nowMs);
    return false;
  }
}
