/**
 * Walks through directories (`find`, `du`, the first pass of `rsync`) whose names have to be asked for: with several nodes a listing is believed for
 * `delete_bound` only, and a walk would cost a round trip to Swift for each shard. Shards that are listed in their order, one soon after another, are
 * taken for a walk, and the next ones can be listed ahead, some at once.
 */
import { steadyNowMs } from '../base/clock.js';
import { isShardName } from './catalog.js';

/** Listings of the walk under way at once. A wrong guess costs so many that nobody reads. */
const AHEAD = 8;
/** How many shards a walk may leave out between two that it lists: not each of them exists. */
const STRIDE = 8;
const SHARDS = 256;
/** From which listing on, each after the one before it, it is a walk. */
const STREAK_OF_A_WALK = 2;

export class WalkOfDirectories {
  #last = -1;
  #lastMs = -Infinity;
  #streak = 0;
  /** The last that was handed out: one that could not be listed is not asked for again at each step. */
  #aheadTo = -1;

  /** Also a listing that needs no question may be part of it. */
  get isWalking(): boolean {
    return this.#streak >= STREAK_OF_A_WALK;
  }

  /**
   * A directory begins to be listed.
   * @param trustMs how long a listing is believed: a walker that would come too late to the last of them is not followed
   * @param isThere whether a shard is known to have anything
   * @returns shards that the walk comes to next, in order, each once; none when this is no walk
   */
  lists(directory: string, trustMs: number, isThere: (shard: string) => boolean): readonly string[] {
    if (!isShardName(directory)) return [];
    const shard = parseInt(directory, 16);
    const nowMs = steadyNowMs();
    const isSoon = nowMs - this.#lastMs < trustMs / (2 * AHEAD);
    this.#lastMs = nowMs;
    // Who removes a tree lists each directory once more.
    if (shard === this.#last && isSoon) return [];
    const follows = shard > this.#last && shard <= this.#last + STRIDE && isSoon;
    this.#last = shard;
    this.#streak = follows ? this.#streak + 1 : 0;
    if (!follows) this.#aheadTo = -1;
    const next: string[] = [];
    for (let [ahead, count] = [shard + 1, 0]; this.isWalking && ahead < SHARDS && count < AHEAD; ahead++) {
      const name = ahead.toString(16).padStart(2, '0');
      if (!isThere(name)) continue;
      count++;
      if (ahead <= this.#aheadTo) continue;
      this.#aheadTo = ahead;
      next.push(name);
    }
    return next;
  }

  /** What it waited for is there: from now on it is the walker who takes his time. */
  listed(): void {
    this.#lastMs = steadyNowMs();
  }
}
