/**
 * With `nodes: many`: whether another node has dropped the database. It marks the container and keeps it until all have seen that (drops.ts), so a mark
 * that was seen says so, and nothing else does: a container that is missing without one is lost.
 */
import { steadyNowMs } from '../base/clock.js';
import type { ContainerInfo } from '../store/object-store.js';
import { dropMarkOf } from './container-metadata.js';

/** So long after a mark was taken away, a container that is gone was caught by the end of that drop: it is made again, unless it is known that it was not. */
const REMADE_MS = 60_000;

/** What a look at a container that is gone, or marked, means for the database; `kept`: it was dropped, and lives on with what is written here. */
export type Outcome = 'ended' | 'kept' | 'lives';

/** What a look may do with the database when the container turns out to be gone, or to be being dropped. */
export interface DropLook {
  /** Something here needs the database, or was stored in it since the look began. */
  isInUse(): boolean;
  /** Ends it here. */
  end(): void;
}

export class DropWatch {
  readonly #beginLook: (() => DropLook) | undefined;
  #remadeAtMs = -Infinity;
  /** That was taken away last. */
  #removedMark: string | undefined;
  #isDrop = false;

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

  /** The mark of a drop was seen, or it was concluded, and nothing since says that it does not stand. */
  get isDrop(): boolean {
    return this.#isDrop;
  }

  /** The mark of a drop was taken away. */
  remade(mark: string): void {
    this.#remadeAtMs = steadyNowMs();
    this.#removedMark = mark;
  }

  /** Whether this mark was taken away by us: who sees it still has asked a server that has not heard of that. */
  isRemoved(mark: string): boolean {
    return mark === this.#removedMark;
  }

  /** The end of that drop came too late. */
  outlived(): void {
    this.#remadeAtMs = -Infinity;
  }

  /** It is gone before those who drop it could know of us. */
  concluded(): void {
    this.#isDrop = true;
  }

  /** It is there, and nobody's drop. */
  seen(): void {
    this.#isDrop = false;
  }

  /**
   * To be called before the container is asked for.
   * @returns to be called when it is gone, or being dropped, and whether it was expected; ends the database when that is sure
   */
  begin(): (info: ContainerInfo | undefined, isExpected: boolean) => Outcome {
    const look = this.#beginLook?.();
    return (info, isExpected) => {
      const mark = info && dropMarkOf(info);
      if (mark !== undefined && this.isRemoved(mark)) return 'lives';
      if (mark !== undefined && isExpected) this.#isDrop = true;
      if (look === undefined || !isExpected || !this.#isDrop) return 'lives';
      if (look.isInUse()) return mark === undefined ? 'lives' : 'kept';
      look.end();
      this.seen();
      return 'ended';
    };
  }
}
