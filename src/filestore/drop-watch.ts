/**
 * With `nodes: many`: whether a container that is gone, or marked, was dropped by another node. A mark that was seen says so; one that is
 * missing without a mark is a drop only where it was ours in this life, and a second look agrees.
 */
import { steadyNowMs } from '../base/clock.js';
import type { ContainerInfo } from '../store/object-store.js';
import { dropMarkOf } from './container-metadata.js';

/** So long after a mark was taken away, a container that is gone was caught by the end of that drop: it is made again, unless it is known that it was not. */
const REMADE_MS = 60_000;
/** A container that is missing without a mark is another node's drop only when a look that sets out so long after the first agrees. */
const SECOND_LOOK_MS = 2_000;

/** What a look at the container means for the database; `doubtful`: a second look is to say whether it has ended. */
export type Outcome = 'ended' | 'doubtful' | 'lives';

/** What a look may do with the database when the container turns out to be gone, or to be being dropped. */
export interface DropLook {
  /** Something here needs the database, or has changed in it since the look began. */
  isInUse(): boolean;
  /** Ends it here. @param isMarked the drop was seen to be marked, and not only concluded */
  end(isMarked: boolean): void;
}

export class DropWatch {
  readonly #beginLook: (() => DropLook) | undefined;
  #remadeAtMs = -Infinity;
  /** That was taken away last. */
  #removedMark: string | undefined;
  /** It was ours in this life, so that one that is missing may be a drop; after a start it may as well be the wrong region. */
  #wasBound = false;
  /** Of a drop that stands. */
  #sawMark = false;
  /** When the first of the looks set out that found it missing, in ms since the epoch. */
  #missingSinceMs: number | undefined;

  /** @param beginLook undefined: nobody else can drop it */
  constructor(beginLook: (() => DropLook) | undefined) {
    this.#beginLook = beginLook;
  }

  /** Its mark was taken away less than a minute ago, and the end of that drop may still be on its way. */
  get isJustRemade(): boolean {
    return steadyNowMs() - this.#remadeAtMs < REMADE_MS;
  }

  /** While that is so: something that was stored later than this, by the store's clock, says that it is not, since Swift removes no container that holds something. */
  get outlivedFromMs(): number | undefined {
    return this.isJustRemade ? Number(this.#removedMark) : undefined;
  }

  /** One that is missing now may have been dropped. */
  get mayBeDrop(): boolean {
    return this.#wasBound || this.#sawMark;
  }

  /** In how many ms a second look may say whether a container that is missing was dropped; 0 when none is due. */
  get secondLookInMs(): number {
    return this.#missingSinceMs === undefined ? 0 : Math.max(0, this.#missingSinceMs + SECOND_LOOK_MS - steadyNowMs());
  }

  /** The mark of a drop was taken away. */
  remade(mark: string): void {
    this.#remadeAtMs = steadyNowMs();
    this.#removedMark = mark;
  }

  /** The end of that drop came too late. */
  outlived(): void {
    this.#remadeAtMs = -Infinity;
  }

  /** It is ours. */
  bound(): void {
    this.#wasBound = true;
  }

  /** It is there, and nobody's drop. */
  seen(): void {
    this.#missingSinceMs = undefined;
    this.#sawMark = false;
  }

  /**
   * To be called before the container is asked for.
   * @returns to be called when it is gone, or being dropped, and whether it was expected; ends the database when that is sure
   */
  begin(): (info: ContainerInfo | undefined, isExpected: boolean) => Outcome {
    const look = this.#beginLook?.();
    const askedAtMs = steadyNowMs();
    return (info, isExpected) => {
      const mark = info && dropMarkOf(info);
      // From a server that has not heard yet that it was taken away.
      if (mark !== undefined && mark === this.#removedMark) return 'lives';
      if (mark !== undefined && isExpected) this.#sawMark = true;
      // A mark that is there now is another drop's than the one whose end may come late.
      const isExcused = this.isJustRemade && !this.#sawMark;
      if (look === undefined || !isExpected || isExcused || look.isInUse()) return 'lives';
      if (!this.#sawMark) {
        if (!this.#wasBound) return 'lives';
        this.#missingSinceMs ??= askedAtMs;
        if (askedAtMs - this.#missingSinceMs < SECOND_LOOK_MS) return 'doubtful';
      }
      look.end(this.#sawMark);
      this.#wasBound = false;
      this.seen();
      return 'ended';
    };
  }
}
