/**
 * Who lists directories, and whether they want attributes with the names.
 *
 * READDIRPLUS comes for every read of a directory, whoever reads it. To give each name its attributes makes the kernel an inode and us
 * a node for each; `tar`, `rsync` and `ls -l` would otherwise ask for them one by one, `find` and `ls` throw them away. The kernel does not
 * say which it is, but it shows: a name that was told without attributes is looked up, or is not.
 *
 *   first directory: all attributes ─► second: all but one file's ─┬─ that file is looked up ───► all
 *                                                                  └─ the next directory is ────► names only, until one is looked up
 *
 * Directories always come with theirs: whoever lists them goes into them.
 */
import type { Node } from './node.js';

/** A thread that has listed nothing for this long is asked anew what it wants; its number may be another's by now. */
const FORGOTTEN_AFTER_MS = 10_000;
/** Listers remembered at once: more than walk one mount at a time. */
const REMEMBERED = 64;

type Wish = 'unknown' | 'attributes' | 'names';

export class Lister {
  #wish: Wish = 'unknown';
  #directories = 0;
  /** The directory being listed has a file that was told by its name alone. */
  #hasProbe = false;

  /** It lists another directory. */
  begins(directory: Node): void {
    if (this.#wish === 'unknown' && this.#hasProbe) this.#wish = 'names';
    this.#directories++;
    this.#hasProbe = false;
    directory.lister = this;
  }

  /** Whether it is known to have no use for attributes of files. */
  get wantsNames(): boolean {
    return this.#wish === 'names';
  }

  /** Whether a listed file goes with its attributes; ask once for each file that could. */
  wantsAttributes(): boolean {
    if (this.#wish !== 'unknown') return this.#wish === 'attributes';
    if (this.#directories === 1 || this.#hasProbe) return true;
    this.#hasProbe = true;
    return false;
  }

  /** Somebody looked up a file of a directory that this one has listed: a walk may read in one thread and ask in another. */
  isAsked(): void {
    this.#wish = 'attributes';
  }
}

/** Listers by thread. */
export class Listers {
  readonly #known = new Map<number, { readonly lister: Lister; readonly lastMs: number }>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** @param threadId as a request tells it: 0 for whoever asks out of a PID namespace that is not to be seen from here */
  of(threadId: number): Lister {
    if (threadId <= 0) return new Lister();
    const nowMs = this.#nowMs();
    const known = this.#known.get(threadId);
    this.#known.delete(threadId);
    const lister = known !== undefined && nowMs - known.lastMs < FORGOTTEN_AFTER_MS ? known.lister : new Lister();
    // In the order of their last listing: the first is the one to go.
    this.#known.set(threadId, { lister, lastMs: nowMs });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(oldest);
    }
    return lister;
  }
}
