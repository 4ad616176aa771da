/**
 * Walks (`copytree`, `tar`, `zip`, `rsync`, a backup) over what is not in the cache: three cold opens in name order, which is also the order of our
 * listings, are taken for a walk, and what comes next in that order is fetched ahead, many at once, below interactive reads. A cold walk then
 * runs at the rate of Swift rather than at a round trip a file. Two in that order happen by chance where a directory has few names.
 *
 * A guess that is wrong costs at most `WINDOW_BYTES` of downloads; nothing waits for it, and its failures are nobody's: who then opens the blob asks anew.
 */
import { steadyNowMs } from '../base/clock.js';
import { joinPath, splitPath } from '../base/names.js';

const FIRST_WINDOW = 4;
const LARGEST_WINDOW = 32;
const WINDOW_BYTES = 64 << 20;
/** A larger blob is worth its own round trip. */
const LARGEST_BLOB_BYTES = 8 << 20;
/** A walker may skip names that it has already, or that are not files. */
const STRIDE = 8;
/** Opens in a row, each after the one before it in the order, from which on it is a walk. */
const STREAK_OF_A_WALK = 2;
const LONGEST_STREAK = 4;
const DIRECTORIES_REMEMBERED = 4;
/** How old a remembered order may be. */
const REMEMBERED_MS = 30_000;

/** What the walk needs of a database. */
export interface WalkGround {
  /** Size of a blob that Swift is known to have and that is not in the cache; undefined for everything else. */
  missingSize(path: string): number | undefined;
  /** Names in a directory in order, from what is known without asking. */
  namesIn(directory: string): readonly string[];
  /** Brings a blob into the cache. Never rejects. */
  fetch(path: string): Promise<void>;
}

interface Place {
  readonly directory: string;
  index: number;
}

export class WalkAhead {
  readonly #ground: WalkGround;
  readonly #orders = new Map<string, { readonly names: readonly string[]; readonly atMs: number }>();
  readonly #fetching = new Set<string>();
  #bytesAhead = 0;
  #last: Place | undefined;
  #streak = 0;
  #window = FIRST_WINDOW;
  /** Where fetching goes on. */
  #next: Place | undefined;

  constructor(ground: WalkGround) {
    this.#ground = ground;
  }

  get isWalking(): boolean {
    return this.#next !== undefined;
  }

  /** A blob is opened. @param cold it has to be fetched */
  opened(path: string, cold: boolean): void {
    if (!cold && this.#next === undefined) return;
    const { directory, name } = splitPath(path);
    const index = indexOf(this.#names(directory), name);
    if (index < 0) return;
    const follows = this.#follows(directory, index);
    this.#last = { directory, index };
    if (!follows) {
      // Another reader beside the walk does not end it; more strays than there was streak do.
      if (this.#next === undefined) this.#streak = 0;
      else if (this.#streak > 0) this.#streak--;
      else this.#next = undefined;
      return;
    }
    this.#streak = Math.min(this.#streak + 1, LONGEST_STREAK);
    if (this.#next === undefined && this.#streak < STREAK_OF_A_WALK) return;
    if (cold) this.#window = Math.min(LARGEST_WINDOW, this.#window * 2);
    this.#next ??= { directory, index: index + 1 };
    this.#goOn();
  }

  #follows(directory: string, index: number): boolean {
    const last = this.#last;
    if (last === undefined) return false;
    if (last.directory === directory) return index > last.index && index <= last.index + STRIDE;
    const atItsEnd = last.index + STRIDE >= this.#names(last.directory).length;
    return index < STRIDE && atItsEnd && this.#directoryAfter(last.directory) === directory;
  }

  #goOn(): void {
    while (this.#next !== undefined && this.#fetching.size < this.#window && this.#bytesAhead < WINDOW_BYTES) {
      const path = this.#step();
      if (path === undefined) return;
      const sizeBytes = this.#ground.missingSize(path);
      if (sizeBytes === undefined || sizeBytes > LARGEST_BLOB_BYTES || this.#fetching.has(path)) continue;
      this.#fetching.add(path);
      this.#bytesAhead += sizeBytes;
      void this.#ground.fetch(path).finally(() => {
        this.#fetching.delete(path);
        this.#bytesAhead -= sizeBytes;
        this.#goOn();
      });
    }
  }

  /** The next path in the order of the walk, not further ahead of the walker than a window. */
  #step(): string | undefined {
    const [next, last] = [this.#next, this.#last];
    if (next === undefined || last === undefined) return undefined;
    if (next.directory === last.directory && next.index > last.index + this.#window) return undefined;
    const name = this.#names(next.directory)[next.index];
    if (name !== undefined) {
      next.index++;
      return joinPath(next.directory, name);
    }
    // At most one directory ahead of the walker.
    const after = next.directory === last.directory ? this.#directoryAfter(next.directory) : undefined;
    if (after !== undefined) this.#next = { directory: after, index: 0 };
    return after === undefined ? undefined : this.#step();
  }

  #directoryAfter(directory: string): string | undefined {
    const { directory: parent, name } = splitPath(directory);
    const names = this.#names(parent);
    const index = indexOf(names, name);
    const after = index < 0 ? undefined : names[index + 1];
    return after === undefined ? undefined : joinPath(parent, after);
  }

  #names(directory: string): readonly string[] {
    const known = this.#orders.get(directory);
    if (known !== undefined && steadyNowMs() - known.atMs < REMEMBERED_MS) return known.names;
    const names = this.#ground.namesIn(directory);
    this.#orders.delete(directory);
    this.#orders.set(directory, { names, atMs: steadyNowMs() });
    const [oldest] = this.#orders.keys();
    if (this.#orders.size > DIRECTORIES_REMEMBERED && oldest !== undefined) this.#orders.delete(oldest);
    return names;
  }
}

/** Binary search. @returns -1 when it is not there */
function indexOf(sorted: readonly string[], name: string): number {
  let [low, high] = [0, sorted.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = sorted[middle] ?? '';
    if (at === name) return middle;
    if (at < name) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
